// The end of pass 2 for one row of dW, by one warp: scale, target terms, projection through the normalisation, then the
// dense row or the SGD update. docs/numerics.md, "Loss and gradients".
#pragma once

#include "device/bf16.h"
#include "device/device.h"
#include "device/philox.h"
#include "device/sgd.h"
#include "passes.h"

namespace hyperarc::cuda::mma {

/// Lane l of a warp holds elements 128q + 4l … 128q + 4l + 3 of a row, for each q.
template <int kDim>
struct RowFragment {
  static constexpr int kFours = kDim / 128;
  float value[kFours][4];
};

HYPERARC_DEVICE float warpSum(float value) {
  HYPERARC_UNROLL
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

/// The first of sorted values [count] that is not less than `bound`; by all lanes of a warp.
HYPERARC_DEVICE int warpLowerBound(const int32_t* sorted, int count, int64_t bound) {
  int low = 0, high = count;  // values before low are less, values from high on are not
  while (low < high) {
    const int step = (high - low + 31) / 32;
    const int probe = low + static_cast<int>(threadIdx.x % 32) * step;
    const bool isLess = probe < high && __ldg(sorted + probe) < bound;
    // Sorted, so the lanes that say yes come first.
    const int less = __popc(__ballot_sync(0xffffffffu, isLess));
    if (less == 0) return low;
    const int next = low + (less - 1) * step + 1;
    high = low + less * step < high ? low + less * step : high;
    low = next;
  }
  return low;
}

/// fp32 row [dim] that may be unaligned; zero beyond dim.
HYPERARC_DEVICE void readFour(const float* row, int d, int dim, float (&out)[4]) {
  if (dim % 4 == 0) {
    const float4 four = d < dim ? *reinterpret_cast<const float4*>(row + d) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    out[0] = four.x, out[1] = four.y, out[2] = four.z, out[3] = four.w;
  } else {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) out[e] = d + e < dim ? row[d + e] : 0.0f;
  }
}

HYPERARC_DEVICE void writeFour(float* row, int d, int dim, const float (&values)[4]) {
  if (dim % 4 == 0) {
    if (d < dim) *reinterpret_cast<float4*>(row + d) = make_float4(values[0], values[1], values[2], values[3]);
  } else {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) {
      if (d + e < dim) row[d + e] = values[e];
    }
  }
}

HYPERARC_DEVICE void readFour(const Bf16* row, int d, float (&out)[4]) {
  const uint2 bits = *reinterpret_cast<const uint2*>(row + d);
  out[0] = bitsFloat(bits.x << 16), out[1] = bitsFloat(bits.x & 0xffff0000u);
  out[2] = bitsFloat(bits.y << 16), out[3] = bitsFloat(bits.y & 0xffff0000u);
}

HYPERARC_DEVICE void writeFour(Bf16* row, int d, const Bf16 (&values)[4]) {
  *reinterpret_cast<uint2*>(row + d) = make_uint2(values[0].bits | static_cast<uint32_t>(values[1].bits) << 16,
                                                  values[2].bits | static_cast<uint32_t>(values[3].bits) << 16);
}

/// Adds the target terms of a position; entries [first, last) hold those of the block's positions.
template <int kDim>
HYPERARC_DEVICE void addTargets(const TargetsView& targets, int first, int last, int64_t position, int dim,
                                RowFragment<kDim>& gradient) {
  const int lane = threadIdx.x % 32;
  for (int n = first; n < last; ++n) {
    if (targets.position[n] != position) continue;
    const int32_t sample = targets.sample[n];
    const float coefficient = targets.coefficient[sample];
    const float* tangent = targets.tangentW + static_cast<int64_t>(sample) * dim;
    HYPERARC_UNROLL
    for (int q = 0; q < RowFragment<kDim>::kFours; ++q) {
      float four[4];
      readFour(tangent, 128 * q + 4 * lane, dim, four);
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) gradient.value[q][e] = fmaf(coefficient, four[e], gradient.value[q][e]);
    }
  }
}

template <int kDim>
HYPERARC_DEVICE void readMaster(const CentersView& centers, int64_t row, RowFragment<kDim>& weights) {
  HYPERARC_UNROLL
  for (int q = 0; q < RowFragment<kDim>::kFours; ++q) {
    const int d = 128 * q + 4 * (threadIdx.x % 32);
    if (centers.precision == Precision::kBf16Master) {
      readFour(centers.weightsBf16 + row * kDim, d, weights.value[q]);
    } else {
      readFour(centers.weights + row * centers.dim, d, centers.dim, weights.value[q]);
    }
  }
}

/// g ← (g − (g·ŵ)ŵ)/‖w‖; 0 where w is.
template <int kDim>
HYPERARC_DEVICE void project(const RowFragment<kDim>& weights, float inverseNorm, RowFragment<kDim>& gradient) {
  float dot = 0.0f;
  HYPERARC_UNROLL
  for (int q = 0; q < RowFragment<kDim>::kFours; ++q) {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) dot = fmaf(gradient.value[q][e], weights.value[q][e] * inverseNorm, dot);
  }
  const float along = warpSum(dot) * inverseNorm;
  HYPERARC_UNROLL
  for (int q = 0; q < RowFragment<kDim>::kFours; ++q) {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) {
      gradient.value[q][e] = fmaf(-along, weights.value[q][e], gradient.value[q][e]) * inverseNorm;
    }
  }
}

/// v ← μ·v + (g + λ·w), w ← w − η·v on four elements of an fp32 master; `weights` becomes the new w.
HYPERARC_DEVICE void updateFour(const CentersView& centers, const SgdView& sgd, int64_t row, int d,
                                const float (&gradient)[4], float (&weights)[4]) {
  float momentum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  float* momentumRow = centers.momentum == nullptr ? nullptr : centers.momentum + row * centers.dim;
  if (momentumRow != nullptr) readFour(momentumRow, d, centers.dim, momentum);
  HYPERARC_UNROLL
  for (int e = 0; e < 4; ++e) sgdElement(gradient[e], weights[e], momentum[e], sgd);
  if (momentumRow != nullptr) writeFour(momentumRow, d, centers.dim, momentum);
  writeFour(centers.weights + row * centers.dim, d, centers.dim, weights);
  const Bf16 rounded[4] = {toBf16(weights[0]), toBf16(weights[1]), toBf16(weights[2]), toBf16(weights[3])};
  writeFour(centers.weightsBf16 + row * centers.dimPadded, d, rounded);
}

/// The same for a bf16 master, rounded stochastically; `weights` becomes the rounded w.
HYPERARC_DEVICE void updateFourStochastically(const CentersView& centers, const SgdView& sgd, int64_t row, int d,
                                              const float (&gradient)[4], float (&weights)[4]) {
  float momentum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  Bf16* momentumRow = centers.momentumBf16 == nullptr ? nullptr : centers.momentumBf16 + row * centers.dimPadded;
  if (momentumRow != nullptr) readFour(momentumRow, d, momentum);
  const PhiloxWords random = roundingWords(centers.firstGlobalRow + row, d / 4, sgd.roundingStep);
  Bf16 newWeights[4], newMomentum[4];
  HYPERARC_UNROLL
  for (int e = 0; e < 4; ++e) {
    sgdElement(gradient[e], weights[e], momentum[e], sgd);
    newWeights[e] = toBf16Stochastic(weights[e], random.word[e] & 0xffffu);
    newMomentum[e] = toBf16Stochastic(momentum[e], random.word[e] >> 16);
    weights[e] = toFloat(newWeights[e]);
  }
  if (momentumRow != nullptr) writeFour(momentumRow, d, newMomentum);
  writeFour(centers.weightsBf16 + row * centers.dimPadded, d, newWeights);
}

/// ‖v‖ < 1e-12 counts as zero.
HYPERARC_DEVICE float inverseNormOf(float sumOfSquares) {
  const float norm = sqrtf(sumOfSquares);
  return norm < 1e-12f ? 0.0f : 1.0f / norm;
}

/// `gradient` has the target terms. The update refreshes the row's copy and norm.
template <int kDim>
HYPERARC_DEVICE void finishRow(const CentersView& centers, const GradientSink& sink, int64_t row,
                               RowFragment<kDim>& gradient) {
  constexpr int kFours = RowFragment<kDim>::kFours;
  const int lane = threadIdx.x % 32;
  RowFragment<kDim> weights;
  readMaster<kDim>(centers, row, weights);
  project<kDim>(weights, centers.inverseNorms[row], gradient);
  if (!sink.isUpdate) {
    HYPERARC_UNROLL
    for (int q = 0; q < kFours; ++q) {
      writeFour(sink.dense + row * centers.dim, 128 * q + 4 * lane, centers.dim, gradient.value[q]);
    }
    return;
  }
  float squares = 0.0f;
  HYPERARC_UNROLL
  for (int q = 0; q < kFours; ++q) {
    const int d = 128 * q + 4 * lane;
    if (centers.precision == Precision::kBf16Master) {
      updateFourStochastically(centers, sink.sgd, row, d, gradient.value[q], weights.value[q]);
    } else {
      updateFour(centers, sink.sgd, row, d, gradient.value[q], weights.value[q]);
    }
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) squares = fmaf(weights.value[q][e], weights.value[q][e], squares);
  }
  const float inverse = inverseNormOf(warpSum(squares));
  // The warp has read the old norm: warpSum is past it.
  if (lane == 0) centers.inverseNorms[row] = inverse;
}

}  // namespace hyperarc::cuda::mma
