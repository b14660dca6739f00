// Barriers, votes, shuffles and reductions. A call returns when every named lane has made the same call at the same
// line: CUDA asks for as much, and so the harness finds the kernels that break it.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/language.h"

#define HYPERARC_EMULATED_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace hyperarc::emulator {

enum class BarrierKind : uint8_t { kPlain, kCount, kAnd, kOr, kCluster };

/// Waits for every thread of the block; the count, conjunction or disjunction of `predicate` over them.
int blockBarrier(BarrierKind kind, int predicate, Site site);

enum class WarpOperation : uint8_t {
  kNone,
  kSyncWarp,
  kShuffle,
  kBallot,
  kMatch,
  kReduceAdd,
  kReduceMin,
  kReduceMax,
  kReduceMinSigned,
  kReduceMaxSigned,
  kReduceAnd,
  kReduceOr,
  kReduceXor,
  kMma,
  kLoadMatrix,
  kLoadMatrixTransposed,
  kStoreMatrix,
  kProduct,
};

/// One collective call of the lanes in `mask`; `value` is this lane's word, `sourceLane` the lane that a shuffle reads.
uint64_t warpCollective(WarpOperation operation, uint32_t mask, uint64_t value, int sourceLane, Site site);

/// The current thread's lane.
unsigned laneIndex();
/// Fails unless width is a power of two up to 32.
void requireWidth(int width);

template <typename T>
T shuffle(uint32_t mask, T value, int sourceLane, Site site) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "shuffles take 32- and 64-bit numbers");
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = warpCollective(WarpOperation::kShuffle, mask, word, sourceLane, site);
  std::memcpy(&value, &word, sizeof value);
  return value;
}

}  // namespace hyperarc::emulator

inline void __syncthreads(HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::blockBarrier(::hyperarc::emulator::BarrierKind::kPlain, 0, {file, line});
}
inline int __syncthreads_count(int predicate, HYPERARC_EMULATED_SITE) {
  return ::hyperarc::emulator::blockBarrier(::hyperarc::emulator::BarrierKind::kCount, predicate, {file, line});
}
inline int __syncthreads_and(int predicate, HYPERARC_EMULATED_SITE) {
  return ::hyperarc::emulator::blockBarrier(::hyperarc::emulator::BarrierKind::kAnd, predicate, {file, line});
}
inline int __syncthreads_or(int predicate, HYPERARC_EMULATED_SITE) {
  return ::hyperarc::emulator::blockBarrier(::hyperarc::emulator::BarrierKind::kOr, predicate, {file, line});
}

inline void __syncwarp(unsigned mask = 0xffffffffu, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::warpCollective(::hyperarc::emulator::WarpOperation::kSyncWarp, mask, 0, 0, {file, line});
}

// Source lanes: PTX ISA, "shfl.sync". A lane beyond the segment reads its own value.
template <typename T>
T __shfl_sync(unsigned mask, T value, int sourceLane, int width = 32, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::requireWidth(width);
  const int lane = static_cast<int>(::hyperarc::emulator::laneIndex());
  return ::hyperarc::emulator::shuffle(mask, value, (lane & ~(width - 1)) | (sourceLane & (width - 1)), {file, line});
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::requireWidth(width);
  const int lane = static_cast<int>(::hyperarc::emulator::laneIndex());
  const int source = lane - static_cast<int>(delta & 31u);
  return ::hyperarc::emulator::shuffle(mask, value, source < (lane & ~(width - 1)) ? lane : source, {file, line});
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::requireWidth(width);
  const int lane = static_cast<int>(::hyperarc::emulator::laneIndex());
  const int source = lane + static_cast<int>(delta & 31u);
  return ::hyperarc::emulator::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, {file, line});
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int laneMask, int width = 32, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::requireWidth(width);
  const int lane = static_cast<int>(::hyperarc::emulator::laneIndex());
  const int source = lane ^ (laneMask & 31);
  return ::hyperarc::emulator::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, {file, line});
}

inline unsigned __ballot_sync(unsigned mask, int predicate, HYPERARC_EMULATED_SITE) {
  return static_cast<unsigned>(::hyperarc::emulator::warpCollective(::hyperarc::emulator::WarpOperation::kBallot, mask,
                                                                    predicate != 0, 0, {file, line}));
}
inline int __any_sync(unsigned mask, int predicate, HYPERARC_EMULATED_SITE) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, HYPERARC_EMULATED_SITE) {
  return __ballot_sync(mask, predicate, file, line) == mask;
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T value, HYPERARC_EMULATED_SITE) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  return static_cast<unsigned>(
      ::hyperarc::emulator::warpCollective(::hyperarc::emulator::WarpOperation::kMatch, mask, word, 0, {file, line}));
}

#define HYPERARC_EMULATED_REDUCE(name, Number, operation)                                                      \
  inline Number name(unsigned mask, Number value, HYPERARC_EMULATED_SITE) {                                    \
    return static_cast<Number>(::hyperarc::emulator::warpCollective(                                           \
        ::hyperarc::emulator::WarpOperation::operation, mask, static_cast<uint32_t>(value), 0, {file, line})); \
  }
HYPERARC_EMULATED_REDUCE(__reduce_add_sync, unsigned, kReduceAdd)
HYPERARC_EMULATED_REDUCE(__reduce_add_sync, int, kReduceAdd)
HYPERARC_EMULATED_REDUCE(__reduce_min_sync, unsigned, kReduceMin)
HYPERARC_EMULATED_REDUCE(__reduce_max_sync, unsigned, kReduceMax)
HYPERARC_EMULATED_REDUCE(__reduce_min_sync, int, kReduceMinSigned)
HYPERARC_EMULATED_REDUCE(__reduce_max_sync, int, kReduceMaxSigned)
HYPERARC_EMULATED_REDUCE(__reduce_and_sync, unsigned, kReduceAnd)
HYPERARC_EMULATED_REDUCE(__reduce_or_sync, unsigned, kReduceOr)
HYPERARC_EMULATED_REDUCE(__reduce_xor_sync, unsigned, kReduceXor)
#undef HYPERARC_EMULATED_REDUCE
