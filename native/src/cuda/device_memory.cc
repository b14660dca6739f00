#include "device_memory.h"

#include <cuda_runtime.h>

#include <cstring>

#include "runtime/error.h"
#include "runtime/scope.h"

namespace hyperarc {
namespace {

/// Runs `body` (returning Status); what CUDA refuses becomes one.
template <typename Body>
Status answered(Body body) {
  try {
    return body();
  } catch (const cuda::CudaError& error) {
    return {error.code(), error.what()};
  }
}

/// The device that owns `memory`, −1 for the host's. Throws CudaError.
int deviceOf(const void* memory) {
  cudaPointerAttributes attributes{};
  cuda::check(cudaPointerGetAttributes(&attributes, memory), "device memory");
  const bool isDevice = attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  return isDevice ? attributes.device : -1;
}

}  // namespace

bool readsDeviceMemory() { return true; }

Status waitForDeviceOf(const void* memory, int32_t* device) {
  *device = -1;
  return answered([&]() -> Status {
    *device = deviceOf(memory);
    if (*device < 0) return Status::ok();
    const cuda::DeviceScope scope(*device);
    cuda::check(cudaDeviceSynchronize(), "embeddings: waiting for their device");
    return Status::ok();
  });
}

Status copyMemory(void* to, const void* from, int64_t bytes) {
  return answered([&]() -> Status {
    const int source = deviceOf(from);
    const int device = source >= 0 ? source : deviceOf(to);
    if (device < 0) {
      std::memcpy(to, from, static_cast<size_t>(bytes));
      return Status::ok();
    }
    const cuda::DeviceScope scope(device);
    cuda::check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault), "device copy");
    // Within a device, and from pageable memory, cudaMemcpy answers before the copy has landed (CUDA runtime API, "API
    // synchronization behavior"), and no stream of TensorFlow's waits for the one it ran on.
    cuda::check(cudaStreamSynchronize(cudaStreamLegacy), "device copy");
    return Status::ok();
  });
}

}  // namespace hyperarc
