// One native thread for an engine: runs jobs one at a time, in the order they were posted. Knows nothing of napi.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace hyperarc::addon {

/// A piece of work for the device thread. It is destroyed by whoever took it from the `finished` callback.
class Job {
 public:
  virtual ~Job() = default;
  /// On the device thread. Must not throw.
  virtual void run() noexcept = 0;
};

class DeviceThread {
 public:
  using Finished = std::function<void(std::unique_ptr<Job>)>;

  /// `finished` is called on the device thread with every job that has run.
  explicit DeviceThread(Finished finished);
  /// Joins; call close() or cancel() first.
  ~DeviceThread();
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  void post(std::unique_ptr<Job> job);
  /// Lets the queued jobs finish, then ends the thread. Does not wait.
  void close();
  /// Whether the thread has ended by itself, so that destroying this object does not wait.
  bool ended();
  /// Waits for the running job, ends the thread, and returns the jobs that never ran.
  std::deque<std::unique_ptr<Job>> cancel();

 private:
  void loop();

  Finished finished_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  bool closing_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace hyperarc::addon
