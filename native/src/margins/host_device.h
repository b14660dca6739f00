// Marks functions that the host compiler and nvcc both compile from the same source.
#pragma once

#ifdef __CUDACC__
#define HYPERARC_HD __host__ __device__ __forceinline__
#else
#define HYPERARC_HD inline
#endif
