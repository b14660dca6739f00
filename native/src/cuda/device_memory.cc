#include "device_memory.h"

#include <cuda_runtime.h>

#include "runtime/device.h"
#include "runtime/error.h"

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

}  // namespace

bool readsDeviceMemory() { return true; }

Status waitForDeviceOf(const void* memory, int32_t* device) {
  *device = -1;
  return answered([&]() -> Status {
    cudaPointerAttributes attributes{};
    cuda::check(cudaPointerGetAttributes(&attributes, memory), "embeddings: device memory");
    if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged) return Status::ok();
    *device = attributes.device;
    // The calling thread is TensorFlow's: it gets its device back.
    const cuda::DeviceScope scope(attributes.device);
    cuda::check(cudaDeviceSynchronize(), "embeddings: waiting for their device");
    return Status::ok();
  });
}

Status copyMemory(void* to, const void* from, int64_t bytes) {
  return answered([&]() -> Status {
    cuda::check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault), "device copy");
    // Within a device, and from pageable memory, cudaMemcpy answers before the copy has landed (CUDA runtime API, "API
    // synchronization behavior"), and no stream of TensorFlow's waits for the one it ran on.
    cuda::check(cudaStreamSynchronize(cudaStreamLegacy), "device copy");
    return Status::ok();
  });
}

}  // namespace hyperarc
