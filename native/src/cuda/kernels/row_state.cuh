// Rows of centres in the registers of a group of kWarps warps: sums over the group, loads, stores.
//
// Quad q of thread t holds columns 4·(t + 32·kWarps·q) … +3 of a row, so one group holds up to 128·kWarps·kQuads
// columns. With kWarps = 1 nothing here synchronises the block, and every warp may go its own way; with more, the group
// is the whole block. Blocks are one-dimensional.
#pragma once

#include <type_traits>

#include "device/bf16.h"
#include "device/device.h"
#include "views.h"

namespace hyperarc::cuda {

/// First column of this thread's quad q.
template <int kWarps>
HYPERARC_DEVICE int32_t quadColumn(int quad) {
  return 4 * (static_cast<int32_t>(threadIdx.x) % (32 * kWarps) + 32 * kWarps * quad);
}

/// Sum of each value over the group, the same bits in every thread: halves first, then warps in order.
template <int kWarps, int kRows, typename Real>
HYPERARC_DEVICE void sumOverGroup(Real (&values)[kRows]) {
  for (int offset = 16; offset > 0; offset /= 2) {
    HYPERARC_UNROLL
    for (Real& value : values) value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  if constexpr (kWarps > 1) {
    static_assert(kRows == 1);
    __shared__ Real sums[kWarps];
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = values[0];
    __syncthreads();
    values[0] = sums[0];
    for (int warp = 1; warp < kWarps; ++warp) values[0] += sums[warp];
  }
}

template <int kWarps, typename Real>
HYPERARC_DEVICE Real groupSum(Real value) {
  Real values[1] = {value};
  sumOverGroup<kWarps>(values);
  return values[0];
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

/// Rows' weights and momentum; 0 beyond D, and momentum 0 where it is not asked for or there is no buffer.
template <int kRows, int kQuads>
struct RowState {
  float weights[kRows][kQuads][4];
  float momentum[kRows][kQuads][4];
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

/// Where rows begin in a buffer; null where there is none, or none is asked for.
template <int kRows, class Element>
struct RowPointers {
  HYPERARC_DEVICE RowPointers(const Element* buffer, const int64_t (&rows)[kRows], int32_t stride, bool isAskedFor) {
    HYPERARC_UNROLL
    for (int r = 0; r < kRows; ++r) {
      at[r] = isAskedFor ? (buffer == nullptr ? nullptr : buffer + rows[r] * stride) : nullptr;
    }
  }
  const Element* at[kRows];
};

/// `momentum` may be null.
template <int kWarps, class Quad, int kRows, int kQuads, class Element>
HYPERARC_DEVICE void readRows(const RowPointers<kRows, Element>& weights, const RowPointers<kRows, Element>& momentum,
                              int32_t columns, int32_t dim, RowState<kRows, kQuads>& state) {
  Quad w[kRows][kQuads], v[kRows][kQuads] = {};
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) readQuads<kWarps>(weights.at[r], columns, w[r]);
  if (momentum.at[0] != nullptr) {
    HYPERARC_UNROLL
    for (int r = 0; r < kRows; ++r) readQuads<kWarps>(momentum.at[r], columns, v[r]);
  }
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    widenQuads<kWarps>(w[r], dim, state.weights[r]);
    widenQuads<kWarps>(v[r], dim, state.momentum[r]);
  }
}

template <int kWarps, int kRows, int kQuads>
HYPERARC_DEVICE void loadRows(const CentersView& centers, const int64_t (&rows)[kRows], bool withMomentum,
                              RowState<kRows, kQuads>& state) {
  if (centers.precision == Precision::kBf16Master) {
    const int32_t stride = centers.dimPadded;
    const RowPointers<kRows, Bf16> momentum(centers.momentumBf16, rows, stride, withMomentum);
    const RowPointers<kRows, Bf16> weights(centers.weightsBf16, rows, stride, true);
    return readRows<kWarps, Bf16Quad>(weights, momentum, stride, centers.dim, state);
  }
  const int32_t dim = centers.dim;
  const RowPointers<kRows, float> weights(centers.weights, rows, dim, true);
  const RowPointers<kRows, float> momentum(centers.momentum, rows, dim, withMomentum);
  if (dim % 4 == 0) return readRows<kWarps, FloatQuad>(weights, momentum, dim, dim, state);
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    HYPERARC_UNROLL
    for (int q = 0; q < kQuads; ++q) {
      const int32_t column = quadColumn<kWarps>(q);
      loadQuad(weights.at[r], column, dim, state.weights[r][q]);
      HYPERARC_UNROLL
      for (int e = 0; e < 4; ++e) state.momentum[r][q][e] = 0.0f;
      if (momentum.at[0] != nullptr) loadQuad(momentum.at[r], column, dim, state.momentum[r][q]);
    }
  }
}

/// A row of floats to memory. What kind of row it is, is asked once and not for every quad.
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

/// The same, packed before any is stored: then ptxas makes predicated stores, else a branch around each. It takes
/// registers: with it decayOthersKernel has fewer blocks on a multiprocessor.
template <int kWarps, int kQuads>
HYPERARC_DEVICE void storePacked(Bf16* row, int32_t dim, const float (&in)[kQuads][4]) {
  Bf16Pairs packed[kQuads];
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) packed[q] = {{packBf16(in[q][0], in[q][1]), packBf16(in[q][2], in[q][3])}};
  HYPERARC_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    const int32_t column = quadColumn<kWarps>(q);
    if (column < dim) *reinterpret_cast<Bf16Pairs*>(row + column) = packed[q];
  }
}

template <int kWarps, int kRows, int kQuads, class Element>
HYPERARC_DEVICE void storeRows(Element* buffer, const int64_t (&rows)[kRows], int32_t stride, int32_t dim,
                               const float (&in)[kRows][kQuads][4]) {
  HYPERARC_UNROLL
  for (int r = 0; r < kRows; ++r) {
    Element* row = buffer + rows[r] * stride;
    if constexpr (kRows > 1 && std::is_same_v<Element, Bf16>) {
      storePacked<kWarps>(row, dim, in[r]);
    } else {
      storeQuads<kWarps>(row, dim, in[r]);
    }
  }
}

/// Weights, momentum and the bf16 copy; of a bf16 master what is given is rounded already.
template <int kWarps, int kRows, int kQuads>
HYPERARC_DEVICE void storeState(const CentersView& centers, const int64_t (&rows)[kRows],
                                const RowState<kRows, kQuads>& state) {
  if (centers.precision == Precision::kBf16Master) {
    storeRows<kWarps>(centers.weightsBf16, rows, centers.dimPadded, centers.dim, state.weights);
    if (centers.momentumBf16 != nullptr) {
      storeRows<kWarps>(centers.momentumBf16, rows, centers.dimPadded, centers.dim, state.momentum);
    }
    return;
  }
  storeRows<kWarps>(centers.weights, rows, centers.dim, centers.dim, state.weights);
  if (centers.momentum != nullptr) {
    storeRows<kWarps>(centers.momentum, rows, centers.dim, centers.dim, state.momentum);
  }
  if (centers.weightsBf16 != nullptr) {
    storeRows<kWarps>(centers.weightsBf16, rows, centers.dimPadded, centers.dim, state.weights);
  }
}

}  // namespace hyperarc::cuda
