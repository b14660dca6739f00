// A row of dW once its sum over the samples is formed: target terms, projection through the normalisation, and the sink
// (the fused update, or a dense row). Every kernel family ends here, so a row is finished by one arithmetic.
//
// A row lies in the registers of a group of kWarps warps: quad q of thread t holds columns 4·(t + 32·kWarps·q) … +3, so
// one group holds up to 128·kWarps·kQuads columns. With kWarps = 1 nothing here synchronises the block, and every warp
// may go its own way; with more, the group is the whole block. Blocks are one-dimensional.
#pragma once

#include "device/device.h"
#include "device/update_element.h"
#include "views.h"

namespace hyperarc::cuda {

/// Below this norm a vector counts as zero (docs/numerics.md, "Unit vectors").
inline constexpr double kZeroNorm = 1e-12;

/// 1/‖x‖ from Σ x².
HYPERARC_HD double inverseNormOf(double squares) {
  using std::sqrt;
  const double norm = sqrt(squares);
  return norm < kZeroNorm ? 0.0 : 1.0 / norm;
}

/// First column of this thread's quad q.
template <int kWarps>
HYPERARC_DEVICE int32_t quadColumn(int quad) {
  return 4 * (static_cast<int32_t>(threadIdx.x) % (32 * kWarps) + 32 * kWarps * quad);
}

/// Sum over the group, the same bits in every thread: halves first, then warps in order.
template <int kWarps, typename Real>
HYPERARC_DEVICE Real groupSum(Real value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  if constexpr (kWarps > 1) {
    __shared__ Real sums[kWarps];
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    value = sums[0];
    for (int warp = 1; warp < kWarps; ++warp) value += sums[warp];
  }
  return value;
}

struct alignas(16) FloatQuad {
  float value[4];
};
struct alignas(8) Bf16Quad {
  Bf16 value[4];
};
struct alignas(8) Bf16Pairs {
  uint32_t pair[2];
};

/// Columns [column, column + 4) of a row of `dim` floats, 0 beyond it. One 16-byte access where rows are 16-byte
/// aligned.
HYPERARC_DEVICE void loadQuad(const float* row, int32_t column, int32_t dim, float (&out)[4]) {
  if (dim % 4 == 0) {
    FloatQuad quad = {};
    if (column < dim) quad = *reinterpret_cast<const FloatQuad*>(row + column);
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) out[e] = quad.value[e];
  } else {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) out[e] = column + e < dim ? row[column + e] : 0.0f;
  }
}

HYPERARC_DEVICE void storeQuad(float* row, int32_t column, int32_t dim, const float (&in)[4]) {
  if (dim % 4 == 0) {
    if (column < dim) *reinterpret_cast<FloatQuad*>(row + column) = {{in[0], in[1], in[2], in[3]}};
  } else {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) {
      if (column + e < dim) row[column + e] = in[e];
    }
  }
}

/// The same of a bf16 row, whose length is padded to a multiple of 8 with zeros: a quad that starts within `dim` is
/// whole.
HYPERARC_DEVICE void loadQuad(const Bf16* row, int32_t column, int32_t dim, float (&out)[4]) {
  Bf16Quad quad = {};
  if (column < dim) quad = *reinterpret_cast<const Bf16Quad*>(row + column);
  HYPERARC_UNROLL
  for (int e = 0; e < 4; ++e) out[e] = toFloat(quad.value[e]);
}

/// `in` is 0 beyond `dim`: padding stays zero.
HYPERARC_DEVICE void storeQuad(Bf16* row, int32_t column, int32_t dim, const float (&in)[4]) {
  if (column < dim) {
    *reinterpret_cast<Bf16Pairs*>(row + column) = {{packBf16(in[0], in[1]), packBf16(in[2], in[3])}};
  }
}

/// A row's weights and momentum; 0 beyond D, and momentum 0 where it is not asked for or there is no buffer.
template <int kQuads>
struct RowState {
  float weights[kQuads][4];
  float momentum[kQuads][4];
};

/// Weights of row `row`: fp32 where they are kept so, else bf16.
template <int kWarps>
HYPERARC_DEVICE void loadWeights(const CentersView& centers, int64_t row, int quad, float (&out)[4]) {
  const int32_t column = quadColumn<kWarps>(quad);
  if (centers.precision == Precision::kBf16Master) {
    loadQuad(centers.weightsBf16 + row * centers.dimPadded, column, centers.dim, out);
  } else {
    loadQuad(centers.weights + row * centers.dim, column, centers.dim, out);
  }
}

/// Quads of a row as they lie in memory; beyond its columns the last one again. No branch and no conversion lies
/// between the loads, so that all of them are under way before one is waited for.
template <int kWarps, int kQuads, class Quad, class Element>
HYPERARC_DEVICE void readQuads(const Element* row, int32_t columns, Quad (&out)[kQuads]) {
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    const int32_t column = quadColumn<kWarps>(q);
    out[q] = *reinterpret_cast<const Quad*>(row + (column < columns ? column : columns - 4));
  }
}

template <int kWarps, int kQuads, class Quad>
HYPERARC_DEVICE void widenQuads(const Quad (&quads)[kQuads], int32_t dim, float (&out)[kQuads][4]) {
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) out[q][e] = quadColumn<kWarps>(q) < dim ? toFloat(quads[q].value[e]) : 0.0f;
  }
}

/// `momentum` may be null.
template <int kWarps, class Quad, int kQuads, class Element>
HYPERARC_DEVICE void readRow(const Element* weights, const Element* momentum, int32_t columns, int32_t dim,
                             RowState<kQuads>& state) {
  Quad w[kQuads], v[kQuads] = {};
  readQuads<kWarps>(weights, columns, w);
  if (momentum != nullptr) readQuads<kWarps>(momentum, columns, v);
  widenQuads<kWarps>(w, dim, state.weights);
  widenQuads<kWarps>(v, dim, state.momentum);
}

template <int kWarps, int kQuads>
HYPERARC_DEVICE void loadRow(const CentersView& centers, int64_t row, bool withMomentum, RowState<kQuads>& state) {
  const auto at = [row](auto* rows, int32_t stride) { return rows == nullptr ? nullptr : rows + row * stride; };
  if (centers.precision == Precision::kBf16Master) {
    const int32_t stride = centers.dimPadded;
    const Bf16* momentum = withMomentum ? at(centers.momentumBf16, stride) : nullptr;
    return readRow<kWarps, Bf16Quad>(at(centers.weightsBf16, stride), momentum, stride, centers.dim, state);
  }
  const int32_t dim = centers.dim;
  const float* weights = at(centers.weights, dim);
  const float* momentum = withMomentum ? at(centers.momentum, dim) : nullptr;
  if (dim % 4 == 0) return readRow<kWarps, FloatQuad>(weights, momentum, dim, dim, state);
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    const int32_t column = quadColumn<kWarps>(q);
    loadQuad(weights, column, dim, state.weights[q]);
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) state.momentum[q][e] = 0.0f;
    if (momentum != nullptr) loadQuad(momentum, column, dim, state.momentum[q]);
  }
}

/// 1/‖w‖ of a row in registers, 0 for one that counts as zero.
template <int kWarps, int kQuads>
HYPERARC_DEVICE float inverseNormOfRow(const float (&weights)[kQuads][4]) {
  float sum = 0.0f;
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) sum = fmaf(weights[q][e], weights[q][e], sum);
  }
  // A thread's few squares in fp32, the threads' sums in double: this norm scales every cosine of the row.
  double squares = groupSum<kWarps>(static_cast<double>(sum));
  // Squares out of fp32's range are summed again in double, as on the CPU. The whole group sees the same sum.
  if (!(squares > 1e-20 && squares < 1e30)) {
    double exact = 0.0;
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) exact += static_cast<double>(weights[q][e]) * static_cast<double>(weights[q][e]);
    }
    squares = groupSum<kWarps>(exact);
  }
  return static_cast<float>(inverseNormOf(squares));
}

/// The updates that a kernel is built with; with kEither UpdateView says which it is. Registers are the reason to have
/// but one.
enum class Updates { kSgd, kAdamW, kEither };

template <Updates kUpdates>
HYPERARC_DEVICE bool isAdamW(const UpdateView& update) {
  return kUpdates == Updates::kAdamW || (kUpdates == Updates::kEither && update.isAdamW);
}

/// AdamW on a quad of a loaded row. The second moment passes through here alone, so that no row holds its registers.
template <int kWarps>
HYPERARC_DEVICE void updateQuadAdamW(const CentersView& centers, int64_t row, const UpdateView& update, int quad,
                                     const float (&gradient)[4], float (&weights)[4], float (&first)[4]) {
  const int32_t column = quadColumn<kWarps>(quad);
  const bool isMaster = centers.precision == Precision::kBf16Master;
  float second[4];
  if (isMaster) {
    loadQuad(centers.secondMomentBf16 + row * centers.dimPadded, column, centers.dim, second);
  } else {
    loadQuad(centers.secondMoment + row * centers.dim, column, centers.dim, second);
  }
  HYPERARC_UNROLL
  for (int e = 0; e < 4; ++e) adamwElement(gradient[e], weights[e], first[e], second[e], update.adamw);
  if (!isMaster) return storeQuad(centers.secondMoment + row * centers.dim, column, centers.dim, second);
  const PhiloxWords random =
      roundingWords(centers.firstGlobalRow + row, column / 4, update.roundingStep, kSecondMomentStream);
  HYPERARC_UNROLL
  for (int e = 0; e < 4; ++e) second[e] = toFloat(toBf16Stochastic(second[e], random.word[e] & 0xffffu));
  storeQuad(centers.secondMomentBf16 + row * centers.dimPadded, column, centers.dim, second);
}

/// Quads of a row of floats to memory. What kind of row it is, is asked once and not for every quad.
template <int kWarps, int kQuads>
HYPERARC_DEVICE void storeQuads(float* row, int32_t dim, const float (&in)[kQuads][4]) {
  if (dim % 4 == 0) {
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      const int32_t column = quadColumn<kWarps>(q);
      if (column < dim) *reinterpret_cast<FloatQuad*>(row + column) = {{in[q][0], in[q][1], in[q][2], in[q][3]}};
    }
  } else {
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) storeQuad(row, quadColumn<kWarps>(q), dim, in[q]);
  }
}

template <int kWarps, int kQuads>
HYPERARC_DEVICE void storeQuads(Bf16* row, int32_t dim, const float (&in)[kQuads][4]) {
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) storeQuad(row, quadColumn<kWarps>(q), dim, in[q]);
}

/// Weights, momentum and the bf16 copy; of a bf16 master what is given is rounded already.
template <int kWarps, int kQuads>
HYPERARC_DEVICE void storeRow(const CentersView& centers, int64_t row, const RowState<kQuads>& state) {
  if (centers.precision == Precision::kBf16Master) {
    storeQuads<kWarps>(centers.weightsBf16 + row * centers.dimPadded, centers.dim, state.weights);
    if (centers.momentumBf16 != nullptr) {
      storeQuads<kWarps>(centers.momentumBf16 + row * centers.dimPadded, centers.dim, state.momentum);
    }
    return;
  }
  storeQuads<kWarps>(centers.weights + row * centers.dim, centers.dim, state.weights);
  if (centers.momentum != nullptr)
    storeQuads<kWarps>(centers.momentum + row * centers.dim, centers.dim, state.momentum);
  if (centers.weightsBf16 != nullptr) {
    storeQuads<kWarps>(centers.weightsBf16 + row * centers.dimPadded, centers.dim, state.weights);
  }
}

/// The update with dW = gradient of a loaded row; writes weights, optimizer state, bf16 copy and 1/‖w‖. `gradient` is 0
/// beyond D.
template <int kWarps, Updates kUpdates, int kQuads>
HYPERARC_DEVICE void updateRow(const CentersView& centers, int64_t row, const UpdateView& update,
                               const float (&gradient)[kQuads][4], RowState<kQuads>& state) {
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    float(&w)[4] = state.weights[q];
    float(&v)[4] = state.momentum[q];
    if (isAdamW<kUpdates>(update)) {
      updateQuadAdamW<kWarps>(centers, row, update, q, gradient[q], w, v);
    } else {
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) sgdElement(gradient[q][e], w[e], v[e], update);
    }
  }
  if (centers.precision == Precision::kBf16Master) {
    // The norm below is of what is stored, so the rounding comes first; then storeRow's own rounding is exact.
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      const PhiloxWords random =
          roundingWords(centers.firstGlobalRow + row, quadColumn<kWarps>(q) / 4, update.roundingStep);
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) {
        state.weights[q][e] = toFloat(toBf16Stochastic(state.weights[q][e], random.word[e] & 0xffffu));
        state.momentum[q][e] = toFloat(toBf16Stochastic(state.momentum[q][e], random.word[e] >> 16));
      }
    }
  }
  storeRow<kWarps>(centers, row, state);
  const float inverse = inverseNormOfRow<kWarps>(state.weights);
  if (threadIdx.x % (32 * kWarps) == 0) centers.inverseNorms[row] = inverse;
}

/// Entries of TargetsView [begin, end).
struct TargetRange {
  int32_t begin;
  int32_t end;
};

/// First index of sorted[0, count) whose value is at least `value`.
HYPERARC_HD int32_t lowerBound(const int32_t* sorted, int32_t count, int64_t value) {
  int32_t begin = 0;
  while (count > 0) {
    const int32_t half = count / 2;
    if (sorted[begin + half] < value) {
      begin += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return begin;
}

/// The target terms of the classes at positions [first, last).
HYPERARC_HD TargetRange targetsOf(const TargetsView& targets, int64_t first, int64_t last) {
  const int32_t begin = lowerBound(targets.position, targets.count, first);
  return {begin, begin + lowerBound(targets.position + begin, targets.count - begin, last)};
}

/// Finishes one row. On entry v holds Σ_i q_ij·s_i/B_total·x̂_i over the negatives, 0 beyond D; `targets` is the range
/// of the row's class. dW = (v − (v·ŵ)ŵ)/‖w‖ with the target terms in v: a row that counts as zero gets 0.
template <int kWarps, Updates kUpdates, int kQuads>
HYPERARC_DEVICE void finishRow(const CentersView& centers, int64_t row, const TargetsView& targets,
                               const TargetRange& range, const GradientSink& sink, float (&v)[kQuads][4]) {
  const float inverse = centers.inverseNorms[row];
  RowState<kQuads> state;
  loadRow<kWarps>(centers, row, sink.isUpdate, state);
  const int32_t subCenter = centers.subCenters == 1 ? 0 : static_cast<int32_t>(row % centers.subCenters);
  for (int32_t n = range.begin; n < range.end; ++n) {
    const int32_t sample = targets.sample[n];
    if (targets.winner[sample] != subCenter) continue;
    const float coefficient = targets.coefficient[sample];
    const float* tangent = targets.tangentW + int64_t{sample} * centers.dim;
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      float t[4];
      loadQuad(tangent, quadColumn<kWarps>(q), centers.dim, t);
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) v[q][e] = fmaf(coefficient, t[e], v[q][e]);
    }
  }
  // ŵ first, then the product: w alone may be too small or too large for it.
  float along = 0.0f;
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) along = fmaf(v[q][e], state.weights[q][e] * inverse, along);
  }
  along = groupSum<kWarps>(along);
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    HYPERARC_UNROLL
    for (int e = 0; e < 4; ++e) v[q][e] = fmaf(-along, state.weights[q][e] * inverse, v[q][e]) * inverse;
  }
  if (sink.isUpdate) {
    updateRow<kWarps, kUpdates>(centers, row, sink.update, v, state);
  } else {
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      storeQuad(sink.dense + row * centers.dim, quadColumn<kWarps>(q), centers.dim, v[q]);
    }
  }
}

}  // namespace hyperarc::cuda
