// Keywords of device code, and the variables that tell a thread where it is.
#pragma once

#include <cstddef>

#include "emulator/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __builtin_assume(condition) static_cast<void>(0)
// One block runs at a time in a process, so a static variable is the block's. It keeps the last block's bytes: only
// dynamic shared memory is poisoned.
#define __shared__ static

// Written at each switch of threads; code reads them alone.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
inline constexpr int warpSize = 32;

namespace hyperarc::emulator {

/// Where device code stands, for messages and to tell one barrier from another.
struct Site {
  const char* file;
  int line;
};

/// The block's dynamic shared memory, aligned to 1024 bytes. Filled with 0xFF when the block starts.
void* dynamicShared();

/// Writes the message, the kernel and the thread to stderr, and aborts.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace hyperarc::emulator
