// What every kernel file includes first: CUDA's own names, or on the host (HYPERARC_EMULATED, tests only) the harness
// of tests/emulator, which runs the same source with blocks, barriers and warps in software.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#ifdef HYPERARC_EMULATED
// From tests/emulator/include/cuda_runtime.h: __global__, threadIdx, __syncthreads, __shfl_*_sync, atomicAdd, …
#define HYPERARC_DYNAMIC_SHARED(Type, name) Type* name = static_cast<Type*>(::hyperarc::emulator::dynamicShared())
#define HYPERARC_DEVICE inline
#define HYPERARC_UNROLL
#else
/// Declares `Type* name`, the block's dynamic shared memory, aligned to 1024 bytes.
#define HYPERARC_DYNAMIC_SHARED(Type, name)                                \
  extern __shared__ __align__(1024) unsigned char hyperarcDynamicShared[]; \
  Type* name = reinterpret_cast<Type*>(hyperarcDynamicShared)
#define HYPERARC_DEVICE __device__ __forceinline__
#define HYPERARC_UNROLL _Pragma("unroll")
#endif
