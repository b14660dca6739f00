// Functions of the driver's own API, which the addon does not link to: it must load where there is no driver.
#pragma once

#include <cuda.h>

namespace hyperarc::cuda {

/// As of CUDA 12.0, by its name in cuda.h. Opens no context. Throws CudaError.
void* findDriverFunction(const char* name);

template <typename Function>
Function driverFunction(const char* name) {
  return reinterpret_cast<Function>(findDriverFunction(name));
}

}  // namespace hyperarc::cuda
