// Pass 1: 64 samples stationary, classes streamed. A block sums over one range of classes; an ordered sum over the
// ranges follows.
#pragma once

#include <math_constants.h>

#include "kernels/mma/plan.h"
#include "kernels/mma/stream.cuh"
#include "passes.h"

namespace hyperarc::cuda::mma {

struct NegativeSumsArgs {
  RowStream classes;  // all positions; a block takes its range
  const float* inverseNorms;
  SamplesView samples;
  SplitPlan plan;
  float* partialU;  // [splits, partialRows, Dp]
  float* partialL;  // [splits, partialRows]
};

template <typename Shape>
struct NegativePass {
  static constexpr int64_t kFlushTiles = kFlushClasses / Shape::kTile;

  struct RowTerms {
    float slope;   // s_i·log2e
    float offset;  // shift_i·log2e
    int32_t target;
    int32_t unused;
  };
  static_assert(sizeof(RowTerms) * Shape::kRows == Shape::kRowTermBytes);

  struct Column {
    float inverseNorm;
    int32_t position;  // −2 beyond the range: not even equal to an absent target

    HYPERARC_DEVICE Column shuffled(int from) const {
      return {__shfl_sync(0xffffffffu, inverseNorm, from), __shfl_sync(0xffffffffu, position, from)};
    }
  };

  char* shared;
  const float* inverseNorms;
  float* blockU;  // [kRows, Dp] of this block
  float* blockL;  // [kRows]
  bool isFirst;
  float sum[Shape::kOwnPairs];

  HYPERARC_DEVICE RowTerms* rowTerms() const { return reinterpret_cast<RowTerms*>(shared + Shape::kRowTerms); }

  HYPERARC_DEVICE Column column(int64_t position, int32_t row) const {
    if (row < 0) return {0.0f, -2};
    return {__ldg(inverseNorms + row), static_cast<int32_t>(position)};
  }

  HYPERARC_DEVICE float weight(int q, int row, const Column& column, float score) {
    const RowTerms terms = rowTerms()[row];
    float e = exp2Fast(fmaf(score * column.inverseNorm, terms.slope, -terms.offset));
    if (column.position < 0 || column.position == terms.target) e = 0.0f;
    sum[q] += e;
    return e * column.inverseNorm;
  }

  HYPERARC_DEVICE void clearSums() {
    HYPERARC_UNROLL
    for (int q = 0; q < Shape::kOwnPairs; ++q) sum[q] = 0.0f;
  }

  HYPERARC_DEVICE void afterTile(int64_t tile, Output<Shape>& output) {
    if ((tile + 1) % kFlushTiles == 0) flush(output);
  }

  /// Adds O and l to this block's partial sums and starts anew. The exchange area is free after a tile.
  HYPERARC_DEVICE void flush(Output<Shape>& output) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float* rowSums = reinterpret_cast<float*>(shared + Shape::kExchange);  // [kClassTiles, kRows]
    HYPERARC_UNROLL
    for (int q = 0; q < Shape::kOwnPairs; ++q) {
      const int pair = warp % Shape::kDepthGroups * Shape::kOwnPairs + q;
      float total = sum[q];
      total += __shfl_xor_sync(0xffffffffu, total, 1);
      total += __shfl_xor_sync(0xffffffffu, total, 2);
      const int row = warp / Shape::kDepthGroups * 32 + pairRow(pair, lane);
      if (lane % 4 == 0) rowSums[scorePair(pair).classTile * Shape::kRows + row] = total;
    }
    __syncthreads();
    if (threadIdx.x < Shape::kRows) {
      float total = isFirst ? 0.0f : blockL[threadIdx.x];
      HYPERARC_UNROLL
      for (int n = 0; n < Shape::kClassTiles; ++n) total += rowSums[n * Shape::kRows + threadIdx.x];
      blockL[threadIdx.x] = total;
    }
    output.forEachPair([&](int row, int column, float v0, float v1) {
      float2* to = reinterpret_cast<float2*>(blockU + row * Shape::kDim + column);
      const float2 before = isFirst ? make_float2(0.0f, 0.0f) : *to;
      *to = make_float2(before.x + v0, before.y + v1);
    });
    isFirst = false;
    clearSums();
    output.clear();
    __syncthreads();
  }
};

template <typename Shape>
__global__ void __launch_bounds__(kThreads, 1) negativeSumsKernel(NegativeSumsArgs args) {
  HYPERARC_DYNAMIC_SHARED(char, shared);
  // Blocks of one range follow one another, so that they read its classes from the L2 cache together.
  const int64_t rowBlock = blockIdx.x % args.plan.rowBlocks, split = blockIdx.x / args.plan.rowBlocks;
  const int64_t firstRow = rowBlock * Shape::kRows;
  RowStream range = args.classes;
  const int64_t firstTile = split * args.plan.tilesPerSplit;
  range.first = firstTile * Shape::kTile;
  const int64_t last = range.first + args.plan.tilesPerSplit * Shape::kTile;
  if (last < range.end) range.end = last;
  const int64_t tiles = range.end > range.first ? (range.end - range.first + Shape::kTile - 1) / Shape::kTile : 0;

  NegativePass<Shape> pass;
  pass.shared = shared;
  pass.inverseNorms = args.inverseNorms;
  const int64_t partialRow = split * args.plan.partialRows + firstRow;
  pass.blockU = args.partialU + partialRow * Shape::kDim;
  pass.blockL = args.partialL + partialRow;
  pass.isFirst = true;
  pass.clearSums();
  // Sample arrays are padded beyond B (views.h).
  for (int r = threadIdx.x; r < Shape::kRows; r += kThreads) {
    const int64_t i = firstRow + r;
    pass.rowTerms()[r] = {args.samples.scale[i] * CUDART_L2E_F, args.samples.shift[i] * CUDART_L2E_F,
                          args.samples.targetPosition[i], 0};
  }
  copyStationary<Shape>(shared, {args.samples.unitBf16, nullptr, firstRow, firstRow + Shape::kRows}, firstRow);
  Output<Shape> output;
  streamTiles<Shape>(shared, range, tiles, pass, output);
  if (tiles == 0 || tiles % NegativePass<Shape>::kFlushTiles != 0) pass.flush(output);
}

/// U and l: the sum over the splits, in their order.
HYPERARC_DEVICE void sumPartials(const NegativeSumsArgs& args, int dimPadded, int dim, float* sumExp,
                                 float* weightedSum) {
  const int64_t i = blockIdx.x;
  const int64_t stride = args.plan.partialRows;
  for (int d = threadIdx.x; d < dim; d += kThreads) {
    float total = 0.0f;
    for (int64_t split = 0; split < args.plan.splits; ++split) {
      total += args.partialU[(split * stride + i) * dimPadded + d];
    }
    weightedSum[i * dim + d] = total;
  }
  if (threadIdx.x == 0) {
    float total = 0.0f;
    for (int64_t split = 0; split < args.plan.splits; ++split) total += args.partialL[split * stride + i];
    sumExp[i] = total;
  }
}

}  // namespace hyperarc::cuda::mma
