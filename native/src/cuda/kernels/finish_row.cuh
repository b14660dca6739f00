// A row of dW once its sum over the samples is formed: target terms, projection through the normalisation, and the sink
// (the fused update, or a dense row). Every kernel family ends here, so a row is finished by one arithmetic.
//
// A group of warps (row_state.cuh) may finish kRows rows at a time: each step is a loop over them, so that what one row
// waits for (loads, shuffles) overlaps with the others', and each row's own operations keep their order.
#pragma once

#include "device/update_element.h"
#include "kernels/row_state.cuh"

namespace hyperarc::cuda {

/// Below this norm a vector counts as zero (docs/numerics.md, "Unit vectors").
inline constexpr double kZeroNorm = 1e-12;

/// 1/‖x‖ from Σ x².
HYPERARC_HD double inverseNormOf(double squares) {
  using std::sqrt;
  const double norm = sqrt(squares);
  return norm < kZeroNorm ? 0.0 : 1.0 / norm;
}

/// Σ w² of rows in registers.
template <int kWarps, int kRows, int kQuads>
HYPERARC_DEVICE void squaresOfRows(const float (&weights)[kRows][kQuads][4], double (&squares)[kRows]) {
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    float sum = 0.0f;
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) sum = fmaf(weights[r][q][e], weights[r][q][e], sum);
    }
    // A thread's few squares in fp32, the threads' sums in double: this norm scales every cosine of the row.
    squares[r] = static_cast<double>(sum);
  }
  sumOverGroup<kWarps>(squares);
  // Squares out of fp32's range are summed again in double, as on the CPU. The whole group sees the same sum.
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    if (squares[r] > 1e-20 && squares[r] < 1e30) continue;
    double exact = 0.0;
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) {
        exact += static_cast<double>(weights[r][q][e]) * static_cast<double>(weights[r][q][e]);
      }
    }
    squares[r] = groupSum<kWarps>(exact);
  }
}

/// Writes 1/‖w‖ of rows in registers, 0 for one that counts as zero. Thread r has row r, so that the roots and the
/// divisions of all rows are the same instructions.
template <int kWarps, int kRows, int kQuads>
HYPERARC_DEVICE void storeInverseNorms(const CentersView& centers, const int64_t (&rows)[kRows],
                                       const float (&weights)[kRows][kQuads][4]) {
  double squares[kRows];
  squaresOfRows<kWarps>(weights, squares);
  const uint32_t thread = threadIdx.x % (32 * kWarps);
  double ownSquares = squares[0];
  int64_t ownRow = rows[0];
  HYPERARC_UNROLL
  for (uint32_t r = 1; r < kRows; ++r) {
    ownSquares = thread == r ? squares[r] : ownSquares;
    ownRow = thread == r ? rows[r] : ownRow;
  }
  const float inverse = static_cast<float>(inverseNormOf(ownSquares));
  if (thread < kRows) centers.inverseNorms[ownRow] = inverse;
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

/// The update with dW = gradient of loaded rows; writes weights, optimizer state, bf16 copy and 1/‖w‖. `gradient` is 0
/// beyond D.
template <int kWarps, Updates kUpdates, int kRows, int kQuads>
HYPERARC_DEVICE void updateRows(const CentersView& centers, const int64_t (&rows)[kRows], const UpdateView& update,
                                const float (&gradient)[kRows][kQuads][4], RowState<kRows, kQuads>& state) {
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      float(&w)[4] = state.weights[r][q];
      float(&v)[4] = state.momentum[r][q];
      if (isAdamW<kUpdates>(update)) {
        updateQuadAdamW<kWarps>(centers, rows[r], update, q, gradient[r][q], w, v);
      } else {
        HYPERARC_UNROLL
        for (int e = 0; e < 4; ++e) sgdElement(gradient[r][q][e], w[e], v[e], update);
      }
    }
  }
  if (centers.precision == Precision::kBf16Master) {
    // The norm below is of what is stored, so the rounding comes first; then storeState's own rounding is exact.
    HYPERARC_UNROLL
    for (int r = 0; r < kRows; ++r) {
      HYPERARC_UNROLL
      for (int q = 0; q < kQuads; ++q) {
        const PhiloxWords random =
            roundingWords(centers.firstGlobalRow + rows[r], quadColumn<kWarps>(q) / 4, update.roundingStep);
        float(&w)[4] = state.weights[r][q];
        float(&v)[4] = state.momentum[r][q];
        HYPERARC_UNROLL
        for (int e = 0; e < 4; ++e) {
          w[e] = toFloat(toBf16Stochastic(w[e], random.word[e] & 0xffffu));
          v[e] = toFloat(toBf16Stochastic(v[e], random.word[e] >> 16));
        }
      }
    }
  }
  storeState<kWarps>(centers, rows, state);
  storeInverseNorms<kWarps>(centers, rows, state.weights);
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

/// Finishes rows. On entry v holds Σ_i q_ij·s_i/B_total·x̂_i over the negatives, 0 beyond D; `ranges` are the targets
/// of the rows' classes. dW = (v − (v·ŵ)ŵ)/‖w‖ with the target terms in v: a row that counts as zero gets 0. Of SGD and
/// of dense rows, rows may be the same one more than once: everything is read before anything is written.
template <int kWarps, Updates kUpdates, int kRows, int kQuads>
HYPERARC_DEVICE void finishRows(const CentersView& centers, const int64_t (&rows)[kRows], const TargetsView& targets,
                                const TargetRange (&ranges)[kRows], const GradientSink& sink,
                                float (&v)[kRows][kQuads][4]) {
  static_assert(kRows == 1 || (kWarps == 1 && kUpdates == Updates::kSgd));
  float inverse[kRows];
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) inverse[r] = centers.inverseNorms[rows[r]];
  RowState<kRows, kQuads> state;
  loadRows<kWarps>(centers, rows, sink.isUpdate, state);
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    if (ranges[r].begin == ranges[r].end) continue;  // most rows: they are not asked which sub-centre they are
    const int32_t subCenter = centers.subCenters == 1 ? 0 : static_cast<int32_t>(rows[r] % centers.subCenters);
    for (int32_t n = ranges[r].begin; n < ranges[r].end; ++n) {
      const int32_t sample = targets.sample[n];
      if (targets.winner[sample] != subCenter) continue;
      const float coefficient = targets.coefficient[sample];
      const float* tangent = targets.tangentW + int64_t{sample} * centers.dim;
      HYPERARC_UNROLL
      for (int q = 0; q < kQuads; ++q) {
        float t[4];
        loadQuad(tangent, quadColumn<kWarps>(q), centers.dim, t);
        HYPERARC_UNROLL
        for (int e = 0; e < 4; ++e) v[r][q][e] = fmaf(coefficient, t[e], v[r][q][e]);
      }
    }
  }
  // ŵ first, then the product: w alone may be too small or too large for it.
  float along[kRows];
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    along[r] = 0.0f;
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) along[r] = fmaf(v[r][q][e], state.weights[r][q][e] * inverse[r], along[r]);
    }
  }
  sumOverGroup<kWarps>(along);
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) {
        v[r][q][e] = fmaf(-along[r], state.weights[r][q][e] * inverse[r], v[r][q][e]) * inverse[r];
      }
    }
  }
  if (sink.isUpdate) {
    updateRows<kWarps, kUpdates>(centers, rows, sink.update, v, state);
  } else {
    HYPERARC_UNROLL
    for (int r = 0; r < kRows; ++r) {
      HYPERARC_UNROLL
      for (int q = 0; q < kQuads; ++q) {
        storeQuad(sink.dense + rows[r] * centers.dim, quadColumn<kWarps>(q), centers.dim, v[r][q]);
      }
    }
  }
}

}  // namespace hyperarc::cuda
