// Pass 1: 64 samples stationary, classes streamed. A block sums over one range of classes; an ordered sum over the
// ranges follows.
#pragma once

#include "kernels/mma/plan.h"
#include "kernels/mma/stream.cuh"
#include "margins/negative.h"
#include "passes.h"

namespace hyperarc::cuda::mma {

struct NegativeSumsArgs {
  RowStream classes;  // all positions; a block takes its range
  const float* inverseNorms;
  SamplesView samples;
  SplitPlan plan;
  float* partialU;  // [splits, partialRows, Dp]
  float* partialL;  // [splits, partialRows]
  NegativeRule rule;
  bool keepsEveryBit;  // of all weights
};

/// Of pass 1; with a rule its rows' thresholds lie behind the shape's own.
template <typename Shape, bool kHasRule>
inline constexpr int kNegativeSharedBytes = Shape::kSharedBytes + (kHasRule ? 4 * Shape::kRows : 0);

template <typename Shape, bool kHasRule>
struct NegativePass {
  struct RowTerms {
    float slope;   // s_i·log2e
    float offset;  // shift_i·log2e
    int32_t target;
    float large;  // beyond which a weight may be most of its row's sum: as much as all classes at c = 0
  };
  static_assert(sizeof(RowTerms) * Shape::kRows == Shape::kRowTermBytes);

  struct Column {
    float inverseNorm;
    int32_t position;  // −2 beyond the range

    HYPERARC_DEVICE Column shuffled(int from) const {
      return {__shfl_sync(0xffffffffu, inverseNorm, from), __shfl_sync(0xffffffffu, position, from)};
    }
  };

  const NegativeSumsArgs& args;
  char* shared;
  float sum[Shape::kOwnPairs];  // of e, for the rows and columns that this lane weighs

  HYPERARC_DEVICE RowTerms* rowTerms() const { return reinterpret_cast<RowTerms*>(shared + Shape::kRowTerms); }

  HYPERARC_DEVICE float* thresholds() const { return reinterpret_cast<float*>(shared + Shape::kSharedBytes); }

  /// Sample arrays are padded beyond B (views.h).
  HYPERARC_DEVICE void setRow(int r, uint32_t sample) const {
    const float slope = args.samples.scale[sample] * kLog2e, offset = args.samples.shift[sample] * kLog2e;
    const float logClasses = log2f(static_cast<float>(args.classes.end));
    float large;
    if constexpr (kHasRule) {
      const float threshold = args.samples.threshold[sample];
      thresholds()[r] = threshold;
      const margins::Negative<float> atZero = margins::negative(args.rule, threshold, 0.0f);
      large = fabsf(atZero.slope) * exp2Fast(fmaf(atZero.value, slope, logClasses - offset));
    } else {
      large = exp2Fast(logClasses - offset);
    }
    if (args.keepsEveryBit) large = kEveryWeight;
    rowTerms()[r] = {slope, offset, args.samples.targetPosition[sample], large};
  }

  HYPERARC_DEVICE Column column(uint32_t position, int32_t row) const {
    if (row < 0) return {0.0f, -2};
    return {__ldg(args.inverseNorms + row), static_cast<int32_t>(position)};
  }

  HYPERARC_DEVICE float weight(int q, int row, const Column& column, float score, bool& isLarge) {
    const RowTerms terms = rowTerms()[row];
    const float cosine = score * column.inverseNorm;
    margins::Negative<float> negative = {cosine, 1.0f};
    if constexpr (kHasRule) negative = margins::negative(args.rule, thresholds()[row], cosine);
    float e = exp2Fast(fmaf(negative.value, terms.slope, -terms.offset));
    if (column.position < 0 || column.position == terms.target) e = 0.0f;
    sum[q] += e;
    if constexpr (kHasRule) e *= negative.slope;
    isLarge |= (kHasRule ? fabsf(e) : e) > terms.large;
    return e * column.inverseNorm;
  }

  HYPERARC_DEVICE void prefetch(uint32_t, uint32_t) const {}

  HYPERARC_DEVICE void clearSums() {
    HYPERARC_UNROLL
    for (int q = 0; q < Shape::kOwnPairs; ++q) sum[q] = 0.0f;
  }

  /// O and l become this block's partial sums, or are added to them.
  HYPERARC_DEVICE void flush(bool isFirst, const Output<Shape>& output) const {
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
    const int64_t firstRow = args.plan.partialRow(blockIdx.x);
    if (threadIdx.x < Shape::kRows) {
      float* to = args.partialL + firstRow + threadIdx.x;
      float total = isFirst ? 0.0f : *to;
      HYPERARC_UNROLL
      for (int n = 0; n < Shape::kClassTiles; ++n) total += rowSums[n * Shape::kRows + threadIdx.x];
      *to = total;
    }
    float* blockU = args.partialU + firstRow * Shape::kDim;
    output.forEachPair([&](int row, int column, float v0, float v1) {
      float2* to = reinterpret_cast<float2*>(blockU + row * Shape::kDim + column);
      const float2 before = isFirst ? make_float2(0.0f, 0.0f) : *to;
      *to = make_float2(before.x + v0, before.y + v1);
    });
  }
};

template <typename Shape, bool kHasRule>
__global__ void __launch_bounds__(kThreads, 1) negativeSumsKernel(const __grid_constant__ NegativeSumsArgs args) {
  HYPERARC_DYNAMIC_SHARED(char, shared);
  constexpr uint32_t kFlushTiles = kFlushClasses / Shape::kTile;
  const TileRange range = args.plan.tilesOf(blockIdx.x);
  const uint32_t firstSample = args.plan.rowBlockOf(blockIdx.x) * Shape::kRows;
  NegativePass<Shape, kHasRule> pass = {args, shared, {}};
  for (int r = threadIdx.x; r < Shape::kRows; r += kThreads) pass.setRow(r, firstSample + r);
  // A range without classes still has its zeros to write.
  uint32_t tile = 0;
  do {
    const uint32_t tiles = min(range.count - tile, kFlushTiles);
    copyStationary<Shape>(shared, {args.samples.unitBf16, nullptr, 0, firstSample + Shape::kRows}, firstSample);
    RowStream classes = args.classes;
    classes.first = (range.first + tile) * Shape::kTile;
    pass.clearSums();
    Output<Shape> output;
    streamTiles<Shape>(shared, classes, tiles, pass, output);
    pass.flush(tile == 0, output);
    tile += kFlushTiles;
  } while (tile < range.count);
}

/// U and l: the sum over the splits, in their order. A block a sample.
__global__ void __launch_bounds__(kThreads)
    sumPartialsKernel(NegativeSumsArgs args, int dimPadded, int dim, float* sumExp, float* weightedSum) {
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
