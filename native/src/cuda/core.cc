#include "core.h"

#include <algorithm>

namespace hyperarc::cuda {

namespace {

/// Steps alive at once are the micro-batches of one update; more than a few kept back would be memory nobody uses.
constexpr size_t kMaxRecycled = 4;

}  // namespace

Core::Core(const Device& onDevice, Kernels asked, KernelTable kernelTable)
    : device(onDevice), kernels(asked), table(kernelTable) {}

Status Core::refusal(const char* what) const {
  return {StatusCode::kDevice, std::string(what) + ": expected a working device, received one that failed earlier (" +
                                   failure_ + "); start a new process and continue from a checkpoint"};
}

Status Core::failed(const char* what, const CudaError& error) noexcept {
  forwardStream.drain();
  if (!error.isLasting()) return {error.code(), std::string(what) + ": " + error.what()};
  failure_ = error.what();
  // A kernel's failure surfaces wherever the host next asks for something.
  std::string kernels = forwardStream.kernelsUnderWay();
  const std::string updates = updateStream.kernelsUnderWay();
  if (!kernels.empty() && !updates.empty()) kernels += ", ";
  kernels += updates;
  if (!kernels.empty()) failure_ += ", with these kernels under way: " + kernels;
  return {error.code(), std::string(what) + ": " + failure_ +
                            "; what is on the device is lost: start a new process and continue from a checkpoint"};
}

bool Core::releaseRecycled() {
  const bool had = !recycled_.empty();
  recycled_.clear();
  return had;
}

StepMemory Core::takeStep(int64_t deviceBytes, int64_t hostBytes) {
  const auto fits = [&](const StepMemory& memory) {
    return memory.device.bytes() >= deviceBytes && memory.host.bytes() >= hostBytes &&
           memory.device.bytes() <= 2 * deviceBytes;
  };
  const auto found = std::find_if(recycled_.begin(), recycled_.end(), fits);
  if (found != recycled_.end()) {
    StepMemory memory = std::move(*found);
    recycled_.erase(found);
    return memory;
  }
  return {DeviceBuffer(deviceBytes), PinnedBuffer(hostBytes)};
}

void Core::recycle(StepMemory memory) {
  if (memory.device.bytes() == 0) return;
  if (recycled_.size() == kMaxRecycled) recycled_.erase(recycled_.begin());
  recycled_.push_back(std::move(memory));
}

Passes& Core::passes(const KernelRow& row) {
  std::unique_ptr<Passes>& made = passes_[{row.family, row.dimPadded}];
  if (made == nullptr) made = makePasses(row, device);
  return *made;
}

}  // namespace hyperarc::cuda
