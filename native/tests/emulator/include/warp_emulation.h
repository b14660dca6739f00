// The functions of device/warp.h in software, from the PTX ISA: fragment layouts ("mma.m16n8k16", "ldmatrix") are
// written out in warp_instructions.cc; cp.async lands only when the thread waits for its group.
#pragma once

#include <cmath>
#include <cstdint>

#include "emulator/prefetches.h"
#include "emulator/warp_functions.h"

namespace hyperarc::emulator {

void mmaBf16(float* d, const uint32_t* a, const uint32_t* b, Site site);
void loadMatrices(uint32_t* r, const void* sharedRow, bool isTransposed, Site site);
void copyAsync(void* shared, const void* global, bool isValid, Site site);
void commitCopies();
void waitForCopies(int pending);
/// The offset of an address in the block's dynamic shared memory.
uint32_t sharedOffset(const void* shared);

}  // namespace hyperarc::emulator

namespace hyperarc::cuda {

inline uint32_t sharedAddress(const void* shared) { return ::hyperarc::emulator::sharedOffset(shared); }

inline void mmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::mmaBf16(d, a, b, {file, line});
}

inline void ldmatrixX4(uint32_t (&r)[4], const void* sharedRow, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::loadMatrices(r, sharedRow, false, {file, line});
}

inline void ldmatrixX4Transposed(uint32_t (&r)[4], const void* sharedRow, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::loadMatrices(r, sharedRow, true, {file, line});
}

inline void cpAsync16(void* shared, const void* global, bool valid, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::copyAsync(shared, global, valid, {file, line});
}

inline void cpAsyncCommit() { ::hyperarc::emulator::commitCopies(); }

template <int Pending>
inline void cpAsyncWait() {
  static_assert(Pending >= 0);
  ::hyperarc::emulator::waitForCopies(Pending);
}

inline void prefetchL2(const void* global, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::prefetchLine(global, {file, line});
}

/// ex2.approx.ftz: a subnormal input counts as 0, a subnormal result is 0.
inline float exp2Fast(float x) {
  constexpr float kSmallestNormal = 0x1p-126f;
  if (std::fabs(x) < kSmallestNormal) return 1.0f;
  const float y = exp2f(x);
  return y < kSmallestNormal ? 0.0f : y;
}

}  // namespace hyperarc::cuda
