// A CUDA device as the engine knows it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

namespace hyperarc::cuda {

struct Device {
  int index = 0;
  int major = 0;  // compute capability
  int minor = 0;
  int multiprocessors = 0;
  int64_t sharedBytesPerBlock = 0;  // opt-in limit
  int64_t totalMemoryBytes = 0;
  std::string name;
};

}  // namespace hyperarc::cuda
