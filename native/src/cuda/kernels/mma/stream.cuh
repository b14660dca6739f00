// The loop of both passes: O += f(A·Tᵀ)·T for a stationary A and a stream of tiles T, with mma.sync m16n8k16. Fragment
// layouts: PTX ISA, "Matrix Fragments for mma.m16n8k16". One block of 8 warps; see shape.h for who computes what.
#pragma once

#include "device/bf16.h"
#include "device/warp.h"
#include "few_terms.h"
#include "kernels/mma/shape.h"

namespace hyperarc::cuda::mma {

/// Whether no weight of a pass may lose bits to bf16, however small: where few terms decide a sum, what rounding cuts
/// off does not average out. docs/kernels/mma.md, "Few terms", has what it costs.
inline bool keepsEveryBit(int64_t samples, int32_t dim) { return samples <= kFewSamples || dim < kFewDimensions; }

/// Less than any weight: a bound from which on all weights keep their bits.
inline constexpr float kEveryWeight = -1.0f;

/// Rows of a bf16 matrix [·, Dp], by position: position p is row list[p], or p itself without a list.
struct RowStream {
  const Bf16* rows;
  const int32_t* list;
  uint32_t first;  // positions [first, end), below 2³¹ as labels are
  uint32_t end;

  /// −1 beyond the end.
  HYPERARC_DEVICE int32_t rowOf(uint32_t position) const {
    if (position >= end) return -1;
    return list != nullptr ? __ldg(list + position) : static_cast<int32_t>(position);
  }
};

/// This warp's share of O: rows × kColumns.
template <typename Shape>
struct Output {
  float value[Shape::kRowTiles][Shape::kColumnTiles][4];

  HYPERARC_DEVICE void clear() {
    HYPERARC_UNROLL
    for (int m = 0; m < Shape::kRowTiles; ++m) {
      HYPERARC_UNROLL
      for (int n = 0; n < Shape::kColumnTiles; ++n) {
        HYPERARC_UNROLL
        for (int e = 0; e < 4; ++e) value[m][n][e] = 0.0f;
      }
    }
  }

  /// visit(row, column, v0, v1) for each pair of neighbouring columns that this lane holds.
  template <typename Visit>
  HYPERARC_DEVICE void forEachPair(Visit visit) const {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    HYPERARC_UNROLL
    for (int m = 0; m < Shape::kRowTiles; ++m) {
      HYPERARC_UNROLL
      for (int n = 0; n < Shape::kColumnTiles; ++n) {
        const int row = m * 16 + lane / 4, column = warp * Shape::kColumns + n * 8 + lane % 4 * 2;
        visit(row, column, value[m][n][0], value[m][n][1]);
        visit(row + 8, column, value[m][n][2], value[m][n][3]);
      }
    }
  }
};

/// Starts the copy of kCount ≤ 32 rows into `operand`; lane l of each warp names the row of place l in rowOfLane, −1
/// for zeros. A warp copies whole rows.
template <typename Shape, int kCount>
HYPERARC_DEVICE void copyRows(char* operand, const Bf16* rows, int32_t rowOfLane) {
  constexpr int kChunks = Shape::kDim / 8;
  constexpr int kLanes = kChunks < 32 ? kChunks : 32;  // on one row
  constexpr int kRowsOfWarp = kCount / kWarps;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, chunk = lane % kLanes;
  HYPERARC_UNROLL
  for (int r = 0; r < kRowsOfWarp; r += 32 / kLanes) {
    const int place = warp * kRowsOfWarp + r + lane / kLanes;
    const int32_t row = __shfl_sync(0xffffffffu, rowOfLane, place);
    const Bf16* from = rows + static_cast<int64_t>(max(row, 0)) * Shape::kDim + chunk * 8;
    char* to = operand + operandOffset<Shape>(place, chunk);
    HYPERARC_UNROLL
    for (int c = 0; c < kChunks; c += kLanes) cpAsync16(to + 16 * c, from + 8 * c, row >= 0);
  }
}

/// A, `position` on, into shared memory; rows beyond the end are zero.
template <typename Shape>
HYPERARC_DEVICE void copyStationary(char* shared, const RowStream& source, uint32_t position) {
  HYPERARC_UNROLL
  for (int base = 0; base < Shape::kRows; base += 32) {
    copyRows<Shape, 32>(shared + Shape::kStationary + base * Shape::kRowBytes, source.rows,
                        source.rowOf(position + base + threadIdx.x % 32));
  }
}

// A warp of depth group g loads the rows of A and of the tile with the bits of its own pairs flipped, so that local
// pair p of its scores is pair p ^ g·kOwnPairs of the 32 × kTile scores, and its own are the first: register indices
// are static, and depth group g ^ h takes local pairs h·kOwnPairs … of this one.

/// This warp's part of A, a depth step at a time.
template <typename Shape>
struct StationaryFragments {
  uint32_t held[Shape::kHeldSteps > 0 ? Shape::kHeldSteps : 1][2][4];
  const char* shared;
  int laneOffset;

  HYPERARC_DEVICE explicit StationaryFragments(const char* shared) : shared(shared) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int rowGroup = warp / Shape::kDepthGroups, depthGroup = warp % Shape::kDepthGroups;
    const int row = lane % 16 ^ pairRow(depthGroup * Shape::kOwnPairs, 0);
    const int chunk = depthGroup * (Shape::kDepth / 8) + lane / 16;
    laneOffset = Shape::kStationary + operandOffset<Shape>(rowGroup * 32 + row, chunk);
  }

  /// Once the rows have arrived.
  HYPERARC_DEVICE void hold() {
    HYPERARC_UNROLL
    for (int step = 0; step < Shape::kHeldSteps; ++step) read(step, held[step]);
  }

  // Depth steps are 32 bytes apart before the swizzle, which is an exclusive or too.
  HYPERARC_DEVICE void read(int step, uint32_t (&fragment)[2][4]) const {
    ldmatrixX4(fragment[0], shared + (laneOffset ^ (step << 5)));
    ldmatrixX4(fragment[1], shared + (laneOffset ^ (step << 5 | 16 * Shape::kRowBytes)));
  }
};

template <typename Shape>
using Scores = float[2][Shape::kClassTiles][4];

/// `laneOffset` is the lane's place in the tile for this depth step.
template <typename Shape>
HYPERARC_DEVICE void addScoresOfStep(const uint32_t (&a)[2][4], const char* shared, int laneOffset,
                                     Scores<Shape>& scores) {
  HYPERARC_UNROLL
  for (int pair = 0; pair < Shape::kClassTiles / 2; ++pair) {
    uint32_t b[4];
    ldmatrixX4(b, shared + (laneOffset ^ (pair * 16 * Shape::kRowBytes)));
    const uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
    HYPERARC_UNROLL
    for (int m = 0; m < 2; ++m) {
      mmaBf16(scores[m][2 * pair], a[m], b0);
      mmaBf16(scores[m][2 * pair + 1], a[m], b1);
    }
  }
}

/// S over this warp's depths, for the tile at offset `tile` of shared memory.
template <typename Shape>
HYPERARC_DEVICE void partialScores(const StationaryFragments<Shape>& stationary, const char* shared, int tile,
                                   Scores<Shape>& scores) {
  const int lane = threadIdx.x % 32, depthGroup = threadIdx.x / 32 % Shape::kDepthGroups;
  const int row = (lane / 16 * 8 + lane % 8) ^ pairColumn(depthGroup * Shape::kOwnPairs, 0);
  const int laneOffset = tile + operandOffset<Shape>(row, depthGroup * (Shape::kDepth / 8) + lane / 8 % 2);
  HYPERARC_UNROLL
  for (int m = 0; m < 2; ++m) {
    HYPERARC_UNROLL
    for (int n = 0; n < Shape::kClassTiles; ++n) {
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) scores[m][n][e] = 0.0f;
    }
  }
  HYPERARC_UNROLL
  for (int step = 0; step < Shape::kDepthSteps; ++step) {
    if (step < Shape::kHeldSteps) {
      addScoresOfStep<Shape>(stationary.held[step], shared, laneOffset ^ (step << 5), scores);
    } else {
      uint32_t a[2][4];
      stationary.read(step, a);
      addScoresOfStep<Shape>(a, shared, laneOffset ^ (step << 5), scores);
    }
  }
}

template <typename Shape>
HYPERARC_DEVICE float2 localPair(const Scores<Shape>& scores, int pair) {
  const ScorePair at = scorePair(pair);
  return make_float2(scores[at.rowTile][at.classTile][2 * at.half], scores[at.rowTile][at.classTile][2 * at.half + 1]);
}

/// Leaves the pairs of other depth groups for them, and keeps this warp's in `own`.
template <typename Shape>
HYPERARC_DEVICE void sendScores(char* shared, const Scores<Shape>& scores, float2 (&own)[Shape::kOwnPairs]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float2* slots = reinterpret_cast<float2*>(shared + Shape::kExchange) + lane;
  HYPERARC_UNROLL
  for (int q = 0; q < Shape::kOwnPairs; ++q) own[q] = localPair<Shape>(scores, q);
  HYPERARC_UNROLL
  for (int distance = 1; distance < Shape::kDepthGroups; ++distance) {
    HYPERARC_UNROLL
    for (int q = 0; q < Shape::kOwnPairs; ++q) {
      // Depth groups are the low bits of a warp's number.
      slots[exchangeSlot<Shape>(warp ^ distance, distance, q) * 32] =
          localPair<Shape>(scores, distance * Shape::kOwnPairs + q);
    }
  }
}

/// Adds what the other depth groups sent, nearest first.
template <typename Shape>
HYPERARC_DEVICE void receiveScores(const char* shared, float2 (&own)[Shape::kOwnPairs]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const float2* slots = reinterpret_cast<const float2*>(shared + Shape::kExchange) + lane;
  HYPERARC_UNROLL
  for (int distance = 1; distance < Shape::kDepthGroups; ++distance) {
    HYPERARC_UNROLL
    for (int q = 0; q < Shape::kOwnPairs; ++q) {
      const float2 other = slots[exchangeSlot<Shape>(warp, distance, q) * 32];
      own[q].x += other.x;
      own[q].y += other.y;
    }
  }
}

/// This lane's pairs of P.
template <typename Shape>
HYPERARC_DEVICE void storeWeights(char* shared, const uint32_t (&pairs)[Shape::kOwnPairs]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  HYPERARC_UNROLL
  for (int q = 0; q < Shape::kOwnPairs; ++q) {
    const int pair = warp % Shape::kDepthGroups * Shape::kOwnPairs + q;
    const int row = warp / Shape::kDepthGroups * 32 + pairRow(pair, lane);
    char* chunk = shared + Shape::kWeights + weightOffset<Shape>(row, scorePair(pair).classTile);
    *reinterpret_cast<uint32_t*>(chunk + lane % 4 * 4) = pairs[q];
  }
}

/// O += P·T.
template <typename Shape>
HYPERARC_DEVICE void addProduct(const char* shared, int tile, Output<Shape>& output) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  HYPERARC_UNROLL
  for (int step = 0; step < Shape::kTile / 16; ++step) {
    uint32_t p[Shape::kRowTiles][4];
    HYPERARC_UNROLL
    for (int m = 0; m < Shape::kRowTiles; ++m) {
      ldmatrixX4(p[m], shared + Shape::kWeights + weightOffset<Shape>(m * 16 + lane % 16, step * 2 + lane / 16));
    }
    HYPERARC_UNROLL
    for (int pair = 0; pair < Shape::kColumnTiles / 2; ++pair) {
      const int chunk = warp * (Shape::kColumns / 8) + pair * 2 + lane / 16;
      uint32_t b[4];
      ldmatrixX4Transposed(b, shared + tile + operandOffset<Shape>(step * 16 + lane % 16, chunk));
      const uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
      HYPERARC_UNROLL
      for (int m = 0; m < Shape::kRowTiles; ++m) {
        mmaBf16(output.value[m][2 * pair], p[m], b0);
        mmaBf16(output.value[m][2 * pair + 1], p[m], b1);
      }
    }
  }
}

/// Runs the loop over tiles of `source`, from a cleared O. A's copy has been started with copyStationary and not
/// committed; `pass` says what f is:
///   pass.column(position, row)
///       what f needs of a tile's column, as the lane of that column loads it
///   pass.weight(q, row, column, score, isLarge)
///       f of one score; q counts the pairs that this lane weighs; sets isLarge where the weight must not lose bits
///   pass.prefetch(tile, tiles)           called once a tile
/// On return all of the block is done with the operands and the exchange area.
template <typename Shape, typename Pass>
HYPERARC_DEVICE void streamTiles(char* shared, const RowStream& source, uint32_t tiles, Pass& pass,
                                 Output<Shape>& output) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int rowGroup = warp / Shape::kDepthGroups, depthGroup = warp % Shape::kDepthGroups;
  const uint32_t lanePosition = source.first + lane % Shape::kTile;
  int32_t row = source.rowOf(lanePosition);
  int32_t nextRow = source.rowOf(lanePosition + Shape::kTile);
  copyRows<Shape, Shape::kTile>(shared + Shape::kTiles, source.rows, row);
  cpAsyncCommit();
  output.clear();
  StationaryFragments<Shape> stationary(shared);
  cpAsyncWait<0>();
  __syncthreads();
  stationary.hold();
  for (uint32_t tile = 0; tile < tiles; ++tile) {
    // The tile is here and, as all warps are done with the one before, its buffer takes the next.
    cpAsyncWait<0>();
    __syncthreads();
    const int current = Shape::kTiles + (tile & 1) * Shape::kTileBytes;
    const int other = Shape::kTiles + (~tile & 1) * Shape::kTileBytes;
    if (tile + 1 < tiles) {
      copyRows<Shape, Shape::kTile>(shared + other, source.rows, nextRow);
    }
    cpAsyncCommit();
    pass.prefetch(tile, tiles);
    const uint32_t position = lanePosition + tile * Shape::kTile;
    const typename Pass::Column laneColumn = pass.column(position, row);
    row = nextRow;
    nextRow = source.rowOf(position + 2 * Shape::kTile);

    float2 own[Shape::kOwnPairs] = {};
    {
      Scores<Shape> scores;
      partialScores<Shape>(stationary, shared, current, scores);
      sendScores<Shape>(shared, scores, own);
    }
    __syncthreads();
    receiveScores<Shape>(shared, own);
    uint32_t rounded[Shape::kOwnPairs], rest[Shape::kOwnPairs];
    bool isLarge = false;
    HYPERARC_UNROLL
    for (int q = 0; q < Shape::kOwnPairs; ++q) {
      const int pair = depthGroup * Shape::kOwnPairs + q;
      const int r = rowGroup * 32 + pairRow(pair, lane), c = pairColumn(pair, lane);
      const typename Pass::Column column0 = laneColumn.shuffled(c), column1 = laneColumn.shuffled(c + 1);
      const float weight0 = pass.weight(q, r, column0, own[q].x, isLarge);
      const float weight1 = pass.weight(q, r, column1, own[q].y, isLarge);
      rounded[q] = packBf16(weight0, weight1);
      rest[q] = packBf16(weight0 - bitsFloat(rounded[q] << 16), weight1 - bitsFloat(rounded[q] & 0xffff0000u));
    }
    storeWeights<Shape>(shared, rounded);
    bool isMore = __syncthreads_or(isLarge);
    while (true) {
      addProduct<Shape>(shared, current, output);
      if (!isMore) break;
      // A term that may be most of its row's sum: what rounding to bf16 cut off counts too.
      isMore = false;
      __syncthreads();
      storeWeights<Shape>(shared, rest);
      __syncthreads();
    }
  }
  __syncthreads();
}

}  // namespace hyperarc::cuda::mma
