#include "runtime/memory.h"

namespace hyperarc::cuda {

DeviceBuffer::DeviceBuffer(int64_t bytes) {
  if (bytes == 0) return;
  check(cudaMalloc(&data_, static_cast<size_t>(bytes)), "device memory");
  bytes_ = bytes;
}

// A failure here has nobody to report to; the error that caused it was reported where it happened.
DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) ignore(cudaFree(data_));
}

PinnedBuffer::PinnedBuffer(int64_t bytes) {
  if (bytes == 0) return;
  check(cudaMallocHost(&data_, static_cast<size_t>(bytes)), "page-locked host memory");
  bytes_ = bytes;
}

PinnedBuffer::~PinnedBuffer() {
  if (data_ != nullptr) ignore(cudaFreeHost(data_));
}

}  // namespace hyperarc::cuda
