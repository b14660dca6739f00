// What a warp function computes, once all its lanes are there.
#include <algorithm>
#include <bit>

#include "executor.h"
#include "warp_instructions.h"

namespace hyperarc::emulator {
namespace {

template <typename Number, typename Combine>
void reduce(Thread* lanes, uint32_t mask, Combine combine) {
  Number total{};
  bool isFirst = true;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const Number value = static_cast<Number>(lanes[std::countr_zero(rest)].value);
    total = isFirst ? value : combine(total, value);
    isFirst = false;
  }
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1)
    lanes[std::countr_zero(rest)].result = static_cast<uint32_t>(total);
}

void shuffle(Thread* lanes, uint32_t mask) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    Thread& lane = lanes[std::countr_zero(rest)];
    if ((mask >> lane.sourceLane & 1u) == 0) {
      fail("lane %d shuffles from lane %d, which mask 0x%08x does not name (%s:%d): the value is undefined",
           std::countr_zero(rest), lane.sourceLane, mask, lane.site.file, lane.site.line);
    }
    lane.result = lanes[lane.sourceLane].value;
  }
}

void match(Thread* lanes, uint32_t mask) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    Thread& lane = lanes[std::countr_zero(rest)];
    lane.result = 0;
    for (uint32_t others = mask; others != 0; others &= others - 1) {
      const int other = std::countr_zero(others);
      if (lanes[other].value == lane.value) lane.result |= 1u << other;
    }
  }
}

void ballot(Thread* lanes, uint32_t mask) {
  uint32_t votes = 0;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if (lanes[lane].value != 0) votes |= 1u << lane;
  }
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) lanes[std::countr_zero(rest)].result = votes;
}

}  // namespace

const char* operationName(WarpOperation operation) {
  switch (operation) {
    case WarpOperation::kNone:
      return "nothing";
    case WarpOperation::kSyncWarp:
      return "__syncwarp";
    case WarpOperation::kShuffle:
      return "__shfl_sync";
    case WarpOperation::kBallot:
      return "__ballot_sync";
    case WarpOperation::kMatch:
      return "__match_any_sync";
    case WarpOperation::kMma:
      return "mma";
    case WarpOperation::kLoadMatrix:
    case WarpOperation::kLoadMatrixTransposed:
      return "ldmatrix";
    case WarpOperation::kStoreMatrix:
      return "stmatrix";
    case WarpOperation::kProduct:
      return "wgmma";
    default:
      return "__reduce_sync";
  }
}

void performCollective(WarpOperation operation, Thread* lanes, uint32_t mask) {
  switch (operation) {
    case WarpOperation::kNone:
    case WarpOperation::kSyncWarp:
      return;
    case WarpOperation::kShuffle:
      return shuffle(lanes, mask);
    case WarpOperation::kBallot:
      return ballot(lanes, mask);
    case WarpOperation::kMatch:
      return match(lanes, mask);
    case WarpOperation::kReduceAdd:
      return reduce<uint32_t>(lanes, mask, [](uint32_t a, uint32_t b) { return a + b; });
    case WarpOperation::kReduceMin:
      return reduce<uint32_t>(lanes, mask, [](uint32_t a, uint32_t b) { return std::min(a, b); });
    case WarpOperation::kReduceMax:
      return reduce<uint32_t>(lanes, mask, [](uint32_t a, uint32_t b) { return std::max(a, b); });
    case WarpOperation::kReduceMinSigned:
      return reduce<int32_t>(lanes, mask, [](int32_t a, int32_t b) { return std::min(a, b); });
    case WarpOperation::kReduceMaxSigned:
      return reduce<int32_t>(lanes, mask, [](int32_t a, int32_t b) { return std::max(a, b); });
    case WarpOperation::kReduceAnd:
      return reduce<uint32_t>(lanes, mask, [](uint32_t a, uint32_t b) { return a & b; });
    case WarpOperation::kReduceOr:
      return reduce<uint32_t>(lanes, mask, [](uint32_t a, uint32_t b) { return a | b; });
    case WarpOperation::kReduceXor:
      return reduce<uint32_t>(lanes, mask, [](uint32_t a, uint32_t b) { return a ^ b; });
    case WarpOperation::kMma:
      return multiplyFragments(lanes);
    case WarpOperation::kLoadMatrix:
      return distributeMatrices(lanes, false);
    case WarpOperation::kLoadMatrixTransposed:
      return distributeMatrices(lanes, true);
    case WarpOperation::kStoreMatrix:
      return collectMatrices(lanes);
    case WarpOperation::kProduct:
      return multiplyWarpgroup(lanes);
  }
}

}  // namespace hyperarc::emulator
