#include "device_memory.h"

#include <cuda_runtime.h>

#include <string>

namespace hyperarc {
namespace {

Status statusOf(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return Status::ok();
  return {StatusCode::kDevice,
          std::string(what) + ": expected success, received \"" + cudaGetErrorString(error) + "\""};
}

/// The calling thread is TensorFlow's: it gets its device back.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    if (cudaGetDevice(&before_) != cudaSuccess) before_ = -1;
    error_ = cudaSetDevice(device);
  }
  ~DeviceScope() {
    if (before_ >= 0) cudaSetDevice(before_);
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  cudaError_t error() const { return error_; }

 private:
  int before_ = -1;
  cudaError_t error_;
};

}  // namespace

bool readsDeviceMemory() { return true; }

Status waitForDeviceOf(const void* memory, int32_t* device) {
  *device = -1;
  cudaPointerAttributes attributes{};
  if (Status status = statusOf(cudaPointerGetAttributes(&attributes, memory), "embeddings: device memory"); !status) {
    return status;
  }
  if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged) return Status::ok();
  *device = attributes.device;
  const DeviceScope scope(attributes.device);
  if (Status status = statusOf(scope.error(), "embeddings: choosing their device"); !status) return status;
  return statusOf(cudaDeviceSynchronize(), "embeddings: waiting for their device");
}

Status copyMemory(void* to, const void* from, int64_t bytes) {
  const cudaError_t error = cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault);
  // Within a device that has only enqueued the copy, on the default stream.
  return statusOf(error == cudaSuccess ? cudaStreamSynchronize(nullptr) : error, "device copy");
}

}  // namespace hyperarc
