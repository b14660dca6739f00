#include "runtime/error.h"

namespace hyperarc::cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  // Takes the error from the runtime, so that the next call does not report it again.
  (void)cudaGetLastError();
  const bool isMemory = error == cudaErrorMemoryAllocation;
  const std::string received = std::string(cudaGetErrorName(error)) + " (" + cudaGetErrorString(error) + ")";
  throw CudaError(isMemory ? StatusCode::kMemory : StatusCode::kDevice,
                  std::string(what) + ": expected success, received " + received, !isMemory);
}

}  // namespace hyperarc::cuda
