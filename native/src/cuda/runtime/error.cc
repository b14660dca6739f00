#include "runtime/error.h"

namespace hyperarc::cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  ignore(error);
  const bool isMemory = error == cudaErrorMemoryAllocation;
  const std::string received = std::string(cudaGetErrorName(error)) + " (" + cudaGetErrorString(error) + ")";
  throw CudaError(isMemory ? StatusCode::kMemory : StatusCode::kDevice,
                  std::string(what) + ": expected success, received " + received, !isMemory);
}

void ignore(cudaError_t error) noexcept {
  if (error != cudaSuccess) (void)cudaGetLastError();
}

}  // namespace hyperarc::cuda
