// Launching a kernel by name: the one place with the launch syntax, so that the same source runs in the host harness.
#pragma once

#include "device/device.h"
#include "runtime/error.h"
#include "runtime/launch_log.h"

namespace hyperarc::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t sharedBytes = 0;
  unsigned cluster = 1;  // as the kernel's __cluster_dims__ says, which a device goes by
};

/// Enqueues kernel(args…). More than 48 KB of dynamic shared memory is asked for here. Throws CudaError naming `name`.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream,
            Arguments&&... arguments) {
#ifdef HYPERARC_EMULATED
  (void)::hyperarc::emulator::launch(
      name, shape.grid, shape.block, shape.sharedBytes, stream, [=] { kernel(Parameters(arguments)...); },
      shape.cluster, ::hyperarc::emulator::kernelOf(kernel, arguments...));
#else
  if (shape.sharedBytes > 48 * 1024) {
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shape.sharedBytes)),
          name);
  }
  // clang-format off
  kernel<<<shape.grid, shape.block, shape.sharedBytes, stream>>>(Parameters(arguments)...);
  // clang-format on
#endif
  // A launch answers nothing itself. Whatever an earlier call left behind on this thread would come up here too.
  check(cudaGetLastError(), name);
  LaunchLog::add(stream, name);
}

}  // namespace hyperarc::cuda
