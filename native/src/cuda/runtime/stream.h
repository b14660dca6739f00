// Streams, events, and a stream's scratch.
#pragma once

#include <cstdint>
#include <string>

#include "passes.h"
#include "runtime/memory.h"
#include "runtime/scope.h"

namespace hyperarc::cuda {

/// A point in a stream's work, with its time. Throws CudaError.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream);
  /// As if it had never been recorded.
  void forget() { isRecorded_ = false; }
  /// Blocks the host. Returns at once if never recorded.
  void wait() const;
  bool isRecorded() const { return isRecorded_; }
  cudaEvent_t get() const { return event_; }

 private:
  HomeDevice home_;
  cudaEvent_t event_ = nullptr;
  bool isRecorded_ = false;
};

/// Milliseconds of the device between two recorded events that have both happened.
double elapsedMs(const Event& first, const Event& last);

/// A stream that does not order itself against others, and knows its kernels by name (launch_log.h). Throws CudaError.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t get() const { return stream_; }
  /// Waits on the host for everything enqueued; throws what failed.
  void synchronize();
  /// Throws if something enqueued has failed; does not wait.
  void poll();
  /// Waits without a report, whichever device the thread is on.
  void drain() noexcept;
  /// Kernels enqueued since the stream was last known to be done; empty if none.
  std::string kernelsUnderWay() const;
  /// Later work runs after the event; nothing to do if it was never recorded.
  void waitFor(const Event& event);

 private:
  HomeDevice home_;
  cudaStream_t stream_ = nullptr;
};

/// Scratch of one stream. Rounded up to whole megabytes, so that it seldom grows.
class StreamWorkspace final : public Workspace {
 public:
  explicit StreamWorkspace(Stream& stream) : stream_(stream) {}
  void* take(int64_t bytes) override;
  int64_t bytes() const { return buffer_.bytes(); }

 private:
  Stream& stream_;
  DeviceBuffer buffer_;
};

}  // namespace hyperarc::cuda
