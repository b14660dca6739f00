// Builds without CUDA: nobody can hand in device memory. With it: cuda/device_memory.cc.
#include "device_memory.h"

#include <cstring>

#if !HYPERARC_WITH_CUDA
namespace hyperarc {

bool readsDeviceMemory() { return false; }

Status waitForDeviceOf(const void*, int32_t* device) {
  *device = -1;
  return Status::ok();
}

Status copyMemory(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
  return Status::ok();
}

}  // namespace hyperarc
#endif
