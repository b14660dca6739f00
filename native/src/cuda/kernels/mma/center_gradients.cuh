// Pass 2: 64 classes stationary, samples streamed; whole rows of dW end up on chip and are finished there.
#pragma once

#include "kernels/finish_row.cuh"
#include "kernels/mma/stream.cuh"
#include "margins/negative.h"
#include "passes.h"

namespace hyperarc::cuda::mma {

inline constexpr float kInfinity = __builtin_huge_valf();

/// The first of sorted values [count] that is not less than `bound`; by all lanes of a warp.
HYPERARC_DEVICE int32_t warpLowerBound(const int32_t* sorted, int32_t count, int64_t bound) {
  int32_t low = 0, high = count;  // values before low are less, values from high on are not
  while (low < high) {
    const int32_t step = (high - low + 31) / 32;
    const int32_t probe = low + static_cast<int32_t>(threadIdx.x % 32) * step;
    const bool isLess = probe < high && __ldg(sorted + probe) < bound;
    // Sorted: the lanes that say yes come first.
    const int32_t less = __popc(__ballot_sync(0xffffffffu, isLess));
    if (less == 0) return low;
    const int32_t beyond = low + less * step;
    low += (less - 1) * step + 1;
    high = beyond < high ? beyond : high;
  }
  return low;
}

struct CenterGradientsArgs {
  CenterGradients pass;
  /// From which |q·s·N'| on a weight must not lose bits: a class with this share of a sample's probability dominates
  /// sums.
  float large;
};

template <typename Shape, bool kHasRule>
struct GradientPass {
  struct RowTerms {
    float inverseNorm;
    int32_t position;
    int32_t row;  // −1 beyond the classes
    int32_t unused;
  };
  static_assert(sizeof(RowTerms) * Shape::kRows == Shape::kRowTermBytes);

  struct Column {
    float slope;   // s_i·log2e
    float offset;  // with q·s = 2^(N(c)·slope − offset); +inf for no gradient
    int32_t target;
    float threshold;

    HYPERARC_DEVICE Column shuffled(int from) const {
      return {__shfl_sync(0xffffffffu, slope, from), __shfl_sync(0xffffffffu, offset, from),
              __shfl_sync(0xffffffffu, target, from), kHasRule ? __shfl_sync(0xffffffffu, threshold, from) : 0.0f};
    }
  };

  static constexpr uint32_t kPrefetchTiles = 32;

  const CenterGradients& args;
  const float& large;  // in constant memory: no register
  char* shared;

  HYPERARC_DEVICE RowTerms* rowTerms() const { return reinterpret_cast<RowTerms*>(shared + Shape::kRowTerms); }

  // Sample arrays are padded (views.h): their factor is 0 beyond B.
  HYPERARC_DEVICE Column column(uint32_t position, int32_t row) const {
    if (row < 0) return {0.0f, kInfinity, -1, 0.0f};
    const float factor = __ldg(args.samples.gradientFactor + position);
    const float offset = fmaf(__ldg(args.samples.gradientShift + position), kLog2e, -log2f(factor));
    return {__ldg(args.samples.scale + position) * kLog2e, factor > 0.0f ? offset : kInfinity,
            __ldg(args.samples.targetPosition + position), kHasRule ? __ldg(args.samples.threshold + position) : 0.0f};
  }

  HYPERARC_DEVICE float weight(int, int row, const Column& column, float score, bool& isLarge) const {
    const RowTerms terms = rowTerms()[row];
    const float cosine = score * terms.inverseNorm;
    margins::Negative<float> negative = {cosine, 1.0f};
    if constexpr (kHasRule) negative = margins::negative(args.rule, column.threshold, cosine);
    float g = exp2Fast(fmaf(negative.value, column.slope, -column.offset));
    if (column.target == terms.position) return 0.0f;
    if constexpr (kHasRule) g *= negative.slope;
    isLarge |= (kHasRule ? fabsf(g) : g) > large;
    return g;
  }

  /// Brings the rows that the block will finish into the L2 cache during the last tiles: there is one block on a
  /// multiprocessor, so nothing else would hide their way from memory.
  HYPERARC_DEVICE void prefetch(uint32_t tile, uint32_t tiles) const {
    const bool isMaster = args.centers.precision == Precision::kBf16Master;
    const uint32_t rowBytes = isMaster ? Shape::kRowBytes : 4 * args.centers.dim;
    const uint32_t lines = (rowBytes + 127) / 128 * Shape::kRows;
    const uint32_t steps = tiles < kPrefetchTiles ? tiles : kPrefetchTiles;
    if (tile + steps < tiles) return;
    const uint32_t share = (lines + steps - 1) / steps, begin = (tile + steps - tiles) * share;
    const char* weights = isMaster ? reinterpret_cast<const char*>(args.centers.weightsBf16)
                                   : reinterpret_cast<const char*>(args.centers.weights);
    const char* momentum = isMaster ? reinterpret_cast<const char*>(args.centers.momentumBf16)
                                    : reinterpret_cast<const char*>(args.centers.momentum);
    const char* second = isMaster ? reinterpret_cast<const char*>(args.centers.secondMomentBf16)
                                  : reinterpret_cast<const char*>(args.centers.secondMoment);
    for (uint32_t line = begin + threadIdx.x; line < begin + share && line < lines; line += kThreads) {
      const int32_t row = rowTerms()[line % Shape::kRows].row;
      if (row < 0) continue;
      const int64_t offset = static_cast<int64_t>(row) * rowBytes + line / Shape::kRows * 128;
      prefetchL2(weights + offset);
      if (args.sink.isUpdate && momentum != nullptr) prefetchL2(momentum + offset);
      if (args.sink.isUpdate && second != nullptr) prefetchL2(second + offset);
    }
  }
};

/// O to shared memory, over the operands, and finished from there row by row, a warp a row. `targets` has the entries
/// of the block's positions.
template <typename Shape>
HYPERARC_DEVICE void finishRows(char* shared, const CenterGradients& args, const Output<Shape>& output,
                                TargetRange targets) {
  constexpr int kQuads = Shape::kDim / 128;
  const int warp = threadIdx.x / 32;
  float* staged = reinterpret_cast<float*>(shared);
  output.forEachPair([&](int row, int column, float v0, float v1) {
    *reinterpret_cast<float2*>(staged + stagedIndex<Shape>(row, column)) = make_float2(v0, v1);
  });
  __syncthreads();
  const auto* terms = reinterpret_cast<const typename GradientPass<Shape, false>::RowTerms*>(shared + Shape::kRowTerms);
  for (int r = warp; r < Shape::kRows; r += kWarps) {
    const int32_t row = terms[r].row;
    if (row < 0) break;
    float gradient[1][kQuads][4];
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      const float4 four = *reinterpret_cast<const float4*>(staged + stagedIndex<Shape>(r, quadColumn<1>(q)));
      gradient[0][q][0] = four.x * args.inverseTotal;
      gradient[0][q][1] = four.y * args.inverseTotal;
      gradient[0][q][2] = four.z * args.inverseTotal;
      gradient[0][q][3] = four.w * args.inverseTotal;
    }
    const int32_t position = terms[r].position;
    TargetRange own = {targets.begin, targets.begin};
    while (own.begin < targets.end && args.targets.position[own.begin] < position) ++own.begin;
    for (own.end = own.begin; own.end < targets.end && args.targets.position[own.end] == position;) ++own.end;
    targets.begin = own.end;
    cuda::finishRows<1, Updates::kEither>(args.centers, {row}, args.targets, {own}, args.sink, gradient);
  }
}

template <typename Shape, bool kHasRule>
__global__ void __launch_bounds__(kThreads, 1)
    centerGradientsKernel(const __grid_constant__ CenterGradientsArgs inner) {
  HYPERARC_DYNAMIC_SHARED(char, shared);
  const CenterGradients& args = inner.pass;
  const uint32_t first = blockIdx.x * Shape::kRows;
  const RowStream classes = {args.centers.weightsBf16, args.classes.list, first,
                             static_cast<uint32_t>(args.classes.count)};
  copyStationary<Shape>(shared, classes, first);
  GradientPass<Shape, kHasRule> pass = {args, inner.large, shared};
  for (int r = threadIdx.x; r < Shape::kRows; r += kThreads) {
    const int32_t row = classes.rowOf(first + r);
    pass.rowTerms()[r] = {row < 0 ? 0.0f : args.centers.inverseNorms[row], static_cast<int32_t>(first + r), row, 0};
  }
  Output<Shape> output;
  const uint32_t tiles = (args.samples.samples + Shape::kTile - 1) / Shape::kTile;
  streamTiles<Shape>(shared, {args.samples.unitBf16, nullptr, 0, tiles * Shape::kTile}, tiles, pass, output);
  const TargetRange targets = {
      warpLowerBound(args.targets.position, args.targets.count, first),
      warpLowerBound(args.targets.position, args.targets.count, static_cast<int64_t>(first) + Shape::kRows)};
  finishRows<Shape>(shared, args, output, targets);
}

}  // namespace hyperarc::cuda::mma
