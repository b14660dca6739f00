#include "runtime/scope.h"

#include "runtime/driver.h"

namespace hyperarc::cuda {

namespace {

struct ContextFunctions {
  decltype(&cuCtxGetCurrent) get = driverFunction<decltype(get)>("cuCtxGetCurrent");
  decltype(&cuCtxSetCurrent) set = driverFunction<decltype(set)>("cuCtxSetCurrent");
};

const ContextFunctions& contexts() {
  static const ContextFunctions functions;
  return functions;
}

}  // namespace

DeviceScope::DeviceScope(int index) {
  if (contexts().get(&before_) != CUDA_SUCCESS) before_ = nullptr;
  const cudaError_t error = cudaSetDevice(index);
  if (error == cudaSuccess) return;
  (void)contexts().set(before_);
  check(error, "device");
}

DeviceScope::~DeviceScope() { (void)contexts().set(before_); }

}  // namespace hyperarc::cuda
