#include "runtime/memory.h"

namespace hyperarc::cuda {

void* DeviceMemory::take(int64_t bytes) {
  void* data = nullptr;
  check(cudaMalloc(&data, static_cast<size_t>(bytes)), "device memory");
  return data;
}

void DeviceMemory::release(void* data) noexcept { ignore(cudaFree(data)); }

void* PinnedMemory::take(int64_t bytes) {
  void* data = nullptr;
  check(cudaMallocHost(&data, static_cast<size_t>(bytes)), "page-locked host memory");
  return data;
}

void PinnedMemory::release(void* data) noexcept { ignore(cudaFreeHost(data)); }

}  // namespace hyperarc::cuda
