// What the addon keeps for one JavaScript environment (the main thread, or one worker_threads worker): constructors,
// the road on which finished jobs come back to JavaScript, and the end of it all when the environment is torn down.
#pragma once

#include <napi.h>

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "cores.h"
#include "device_thread.h"

namespace hyperarc::addon {

/// A job that has something to say to JavaScript when it has run. Not called if the environment ends first.
class SettlingJob : public Job {
 public:
  virtual void settle(Napi::Env env) = 0;
};

class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// Makes the environment's data; call once, when the addon is loaded into it.
  static void install(Napi::Env env);
  /// Objects keep the pointer: they may be finalised after the instance data.
  static const std::shared_ptr<Environment>& of(Napi::Env env);

  /// A thread for a new engine; the environment ends it if the engine does not.
  std::shared_ptr<DeviceThread> startThread();
  /// Queues work whose promise keeps the event loop alive until it is settled.
  void post(DeviceThread& thread, std::unique_ptr<SettlingJob> job);

  /// Lets go of a reference. Where it is the last one and the engine is busy now, the device thread does it after what
  /// is queued, so that the JavaScript thread does not wait.
  void release(std::shared_ptr<CentersCore> centers);
  void release(std::shared_ptr<StepCore> step);

  /// A new Float32Array of zeros; E_MEMORY where V8 cannot have it (napi's own call would end the process).
  Napi::Float32Array newFloat32Array(int64_t length, const char* name);
  Napi::Int32Array newInt32Array(int64_t length, const char* name);

  Napi::FunctionReference engineConstructor;
  Napi::FunctionReference centersConstructor;
  Napi::FunctionReference stepConstructor;
  /// What a constructor called by the addon itself is to wrap; null whenever JavaScript calls one.
  void* constructing = nullptr;

 private:
  template <typename Core>
  void releaseCore(std::shared_ptr<Core> core);
  Napi::Object newTypedArray(const Napi::FunctionReference& constructor, int64_t length, const char* name);
  void finished(std::unique_ptr<Job> job);
  void settleFinished();
  void shutDown();

  Napi::Env env_;
  napi_threadsafe_function wake_ = nullptr;
  Napi::FunctionReference float32Array_;
  Napi::FunctionReference int32Array_;
  std::vector<std::shared_ptr<DeviceThread>> threads_;
  /// Promises not settled; above zero the wake function keeps the event loop alive.
  int pending_ = 0;

  std::mutex mutex_;  // guards what follows
  bool closed_ = false;
  std::deque<std::unique_ptr<Job>> finished_;
};

}  // namespace hyperarc::addon
