#include "runtime/memory.h"

namespace hyperarc::cuda {

void* DeviceMemory::take(int64_t bytes) {
  void* data = nullptr;
  check(cudaMalloc(&data, static_cast<size_t>(bytes)), "device memory");
  return data;
}

cudaError_t DeviceMemory::release(void* data) noexcept { return cudaFree(data); }

void* PinnedMemory::take(int64_t bytes) {
  void* data = nullptr;
  check(cudaMallocHost(&data, static_cast<size_t>(bytes)), "page-locked host memory");
  return data;
}

cudaError_t PinnedMemory::release(void* data) noexcept { return cudaFreeHost(data); }

}  // namespace hyperarc::cuda
