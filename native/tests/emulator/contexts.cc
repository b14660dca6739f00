// Contexts: one for each device, and which of them is a thread's.
#include "emulator/contexts.h"

#include <cuda.h>

#include "runtime.h"

namespace hyperarc::emulator {
namespace {

bool isOpen[kMostDevices] = {};

CUcontext contextOf(int device) { return reinterpret_cast<CUcontext>(&isOpen[device]); }

}  // namespace

bool isContextOpen(int device) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  return isOpen[device];
}

void closeContexts() {
  for (bool& open : isOpen) open = false;
}

void takeContext() {
  hostThread().hasContext = true;
  isOpen[hostThread().device] = true;
}

}  // namespace hyperarc::emulator

using namespace hyperarc::emulator;

CUresult cuCtxGetCurrent(CUcontext* context) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  *context = hostThread().hasContext ? contextOf(hostThread().device) : nullptr;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  if (context == nullptr) {
    // What the runtime takes next is not written down: the device that nobody chose shows a call without a scope.
    hostThread().device = 0;
    hostThread().hasContext = false;
    return CUDA_SUCCESS;
  }
  for (int device = 0; device < kMostDevices; ++device) {
    if (context != contextOf(device)) continue;
    hostThread().device = device;
    hostThread().hasContext = true;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_CONTEXT;
}
