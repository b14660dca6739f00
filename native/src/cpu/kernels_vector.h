// Vector type of the instruction set being compiled. The including file defines HYPERARC_LANES (floats a vector) and
// HYPERARC_TILE_ROWS (rows of the register tile). Everything here and in the other kernels_*.h is in an anonymous
// namespace, and no standard header with inline functions is included: code built with extra instructions must not be
// merged into other files.
#pragma once

#include <cstdint>

#include "cpu/kernels.h"

#define HYPERARC_INLINE inline __attribute__((always_inline))

namespace hyperarc::cpu {
namespace {

constexpr int64_t kLanes = HYPERARC_LANES;
constexpr int kTileRows = HYPERARC_TILE_ROWS;
/// Two vectors: with kTileRows × 2 accumulators the loads of a step are well below its multiply-adds.
constexpr int64_t kPanel = 2 * kLanes;

typedef float Vec __attribute__((vector_size(HYPERARC_LANES * 4)));
typedef int32_t IntVec __attribute__((vector_size(HYPERARC_LANES * 4)));
typedef Vec VecInMemory __attribute__((aligned(4), may_alias));

HYPERARC_INLINE Vec load(const float* p) { return *reinterpret_cast<const VecInMemory*>(p); }
HYPERARC_INLINE void store(float* p, Vec v) { *reinterpret_cast<VecInMemory*>(p) = v; }
HYPERARC_INLINE Vec splat(float x) { return x - Vec{}; }
HYPERARC_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
/// Sum of the lanes by halves: a fixed order.
HYPERARC_INLINE float sumLanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int64_t width = kLanes / 2; width > 0; width /= 2)
    for (int64_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
}

HYPERARC_INLINE float* panelAt(Panels m, int64_t column) { return m.data + (column / kPanel) * m.rowCapacity * kPanel; }

}  // namespace
}  // namespace hyperarc::cpu
