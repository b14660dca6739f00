#include "runtime/driver.h"

#include <string>

#include "runtime/error.h"

namespace hyperarc::cuda {

void* findDriverFunction(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  check(cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &result), name);
  if (result == cudaDriverEntryPointSuccess && function != nullptr) return function;
  throw CudaError(
      StatusCode::kDevice,
      std::string("driver: expected one of CUDA 12.0 or newer, received one without ") + name + "; update the driver");
}

}  // namespace hyperarc::cuda
