#include "runtime/stream.h"

#include "runtime/launch_log.h"

namespace hyperarc::cuda {

Event::Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDefault), "event"); }

Event::~Event() {
  home_.run([this] { return cudaEventDestroy(event_); });
}

void Event::record(cudaStream_t stream) {
  check(cudaEventRecord(event_, stream), "event");
  isRecorded_ = true;
}

void Event::wait() const {
  if (isRecorded_) check(cudaEventSynchronize(event_), "event");
}

double elapsedMs(const Event& first, const Event& last) {
  float ms = 0.0f;
  check(cudaEventElapsedTime(&ms, first.get(), last.get()), "event");
  return ms;
}

Stream::Stream() {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
  LaunchLog::watch(stream_);
}

Stream::~Stream() {
  LaunchLog::forget(stream_);
  drain();
  home_.run([this] { return cudaStreamDestroy(stream_); });
}

void Stream::synchronize() {
  check(cudaStreamSynchronize(stream_), "device work");
  LaunchLog::clear(stream_);
}

void Stream::poll() {
  const cudaError_t state = cudaStreamQuery(stream_);
  if (state == cudaErrorNotReady) return ignore(state);
  check(state, "device work");
  LaunchLog::clear(stream_);
}

std::string Stream::kernelsUnderWay() const { return LaunchLog::kernels(stream_); }

void Stream::drain() noexcept {
  home_.run([this] { return cudaStreamSynchronize(stream_); });
}

void Stream::waitFor(const Event& event) {
  if (event.isRecorded()) check(cudaStreamWaitEvent(stream_, event.get(), 0), "stream");
}

void* StreamWorkspace::take(int64_t bytes) {
  if (bytes > buffer_.bytes()) {
    constexpr int64_t kStep = int64_t{1} << 20;
    stream_.synchronize();
    buffer_ = DeviceBuffer();
    buffer_ = DeviceBuffer((bytes + kStep - 1) / kStep * kStep);
  }
  return buffer_.as();
}

}  // namespace hyperarc::cuda
