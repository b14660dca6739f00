// Pass 2: 64 classes stationary, samples streamed; whole rows of dW end up on chip and are finished there.
#pragma once

#include <math_constants.h>

#include "kernels/mma/finish_row.cuh"
#include "kernels/mma/stream.cuh"
#include "passes.h"

namespace hyperarc::cuda::mma {

template <typename Shape>
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
    float offset;  // with q·s = 2^(c·slope − offset); +inf for no gradient
    int32_t target;

    HYPERARC_DEVICE Column shuffled(int from) const {
      return {__shfl_sync(0xffffffffu, slope, from), __shfl_sync(0xffffffffu, offset, from),
              __shfl_sync(0xffffffffu, target, from)};
    }
  };

  char* shared;
  SamplesView samples;

  HYPERARC_DEVICE RowTerms* rowTerms() const { return reinterpret_cast<RowTerms*>(shared + Shape::kRowTerms); }

  // Sample arrays are padded (views.h): their factor is 0 beyond B.
  HYPERARC_DEVICE Column column(int64_t position, int32_t row) const {
    if (row < 0) return {0.0f, CUDART_INF_F, -1};
    const float factor = __ldg(samples.gradientFactor + position);
    const float offset = fmaf(__ldg(samples.gradientShift + position), CUDART_L2E_F, -log2f(factor));
    return {__ldg(samples.scale + position) * CUDART_L2E_F, factor > 0.0f ? offset : CUDART_INF_F,
            __ldg(samples.targetPosition + position)};
  }

  HYPERARC_DEVICE float weight(int, int row, const Column& column, float score) const {
    const RowTerms terms = rowTerms()[row];
    const float g = exp2Fast(fmaf(score * terms.inverseNorm, column.slope, -column.offset));
    return column.target == terms.position ? 0.0f : g;
  }

  HYPERARC_DEVICE void afterTile(int64_t, Output<Shape>&) {}
};

/// O to shared memory, over the operands, and finished from there row by row.
template <typename Shape>
HYPERARC_DEVICE void finishRows(char* shared, const CenterGradients& args, const Output<Shape>& output,
                                int64_t firstPosition, int firstTarget, int lastTarget) {
  constexpr int kFours = RowFragment<Shape::kDim>::kFours;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float* staged = reinterpret_cast<float*>(shared);
  output.forEachPair([&](int row, int column, float v0, float v1) {
    *reinterpret_cast<float2*>(staged + stagedIndex<Shape>(row, column)) = make_float2(v0, v1);
  });
  __syncthreads();
  const auto* terms = reinterpret_cast<const typename GradientPass<Shape>::RowTerms*>(shared + Shape::kRowTerms);
  for (int r = warp; r < Shape::kRows; r += kWarps) {
    const int32_t row = terms[r].row;
    if (row < 0) break;
    RowFragment<Shape::kDim> gradient;
    HYPERARC_UNROLL
    for (int q = 0; q < kFours; ++q) {
      const float4 four = *reinterpret_cast<const float4*>(staged + stagedIndex<Shape>(r, 128 * q + 4 * lane));
      gradient.value[q][0] = four.x * args.inverseTotal;
      gradient.value[q][1] = four.y * args.inverseTotal;
      gradient.value[q][2] = four.z * args.inverseTotal;
      gradient.value[q][3] = four.w * args.inverseTotal;
    }
    addTargets<Shape::kDim>(args.targets, firstTarget, lastTarget, firstPosition + r, args.centers.dim, gradient);
    finishRow<Shape::kDim>(args.centers, args.sink, row, gradient);
  }
}

template <typename Shape>
__global__ void __launch_bounds__(kThreads, 1) centerGradientsKernel(CenterGradients args) {
  HYPERARC_DYNAMIC_SHARED(char, shared);
  const int64_t firstPosition = static_cast<int64_t>(blockIdx.x) * Shape::kRows;
  const RowStream classes = {args.centers.weightsBf16, args.classes.list, firstPosition, args.classes.count};
  copyStationary<Shape>(shared, classes, firstPosition);
  GradientPass<Shape> pass;
  pass.shared = shared;
  pass.samples = args.samples;
  for (int r = threadIdx.x; r < Shape::kRows; r += kThreads) {
    const int32_t row = classes.rowOf(firstPosition + r);
    pass.rowTerms()[r] = {row < 0 ? 0.0f : args.centers.inverseNorms[row], static_cast<int32_t>(firstPosition + r), row,
                          0};
  }
  const int firstTarget = warpLowerBound(args.targets.position, args.targets.count, firstPosition);
  const int lastTarget = warpLowerBound(args.targets.position, args.targets.count, firstPosition + Shape::kRows);
  Output<Shape> output;
  const int64_t tiles = (args.samples.samples + Shape::kTile - 1) / Shape::kTile;
  streamTiles<Shape>(shared, {args.samples.unitBf16, nullptr, 0, tiles * Shape::kTile}, tiles, pass, output);
  finishRows<Shape>(shared, args, output, firstPosition, firstTarget, lastTarget);
}

}  // namespace hyperarc::cuda::mma
