// Rows of class centres: seeding, refresh of what is derived from them, conversion, decay, compaction.
#include "common/normal.h"
#include "kernels/finish_row.cuh"
#include "kernels/kernels.h"
#include "kernels/row_launch.cuh"
#include "runtime/launch.h"

namespace hyperarc::cuda {

namespace {

constexpr int kThreads = 256;

LaunchShape threadPerItem(int64_t items) {
  return {dim3(static_cast<unsigned>((items + kThreads - 1) / kThreads)), dim3(kThreads)};
}

HYPERARC_DEVICE int64_t itemOfThread() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

/// One thread a block of four elements: the words of one Philox counter.
__global__ void __launch_bounds__(kThreads)
    seedRowsKernel(CentersView centers, uint64_t seed, float stddev, int64_t firstRow, int64_t count, int32_t quads) {
  constexpr uint32_t kSeedingStream = 0x57454947u;
  const int64_t item = itemOfThread();
  if (item >= count * quads) return;
  const int64_t row = firstRow + item / quads;
  const int32_t block = static_cast<int32_t>(item % quads);
  const uint64_t global = static_cast<uint64_t>(centers.firstGlobalRow + row);
  const PhiloxWords words = philox({{static_cast<uint32_t>(global), static_cast<uint32_t>(global >> 32),
                                     static_cast<uint32_t>(block), kSeedingStream}},
                                   seed);
  float values[4];
  HYPERARC_UNROLL
  for (int pair = 0; pair < 2; ++pair) {
    const NormalPair normals = normalPair(words.word[2 * pair], words.word[2 * pair + 1]);
    values[2 * pair] = static_cast<float>(stddev * normals.first);
    values[2 * pair + 1] = static_cast<float>(stddev * normals.second);
  }
  HYPERARC_UNROLL
  for (int e = 0; e < 4; ++e) {
    if (4 * block + e >= centers.dim) values[e] = 0.0f;
  }
  const float zeros[4] = {};
  const int64_t at = row * centers.dim, paddedAt = row * centers.dimPadded;
  if (centers.weights != nullptr) storeQuad(centers.weights + at, 4 * block, centers.dim, values);
  if (centers.momentum != nullptr) storeQuad(centers.momentum + at, 4 * block, centers.dim, zeros);
  if (centers.secondMoment != nullptr) storeQuad(centers.secondMoment + at, 4 * block, centers.dim, zeros);
  if (centers.precision == Precision::kBf16Master) {
    storeQuad(centers.weightsBf16 + paddedAt, 4 * block, centers.dim, values);
    for (Bf16* state : {centers.momentumBf16, centers.secondMomentBf16}) {
      if (state != nullptr) storeQuad(state + paddedAt, 4 * block, centers.dim, zeros);
    }
  }
}

/// Padding columns of bf16 rows, once for all: updates then keep them zero.
HYPERARC_DEVICE void clearPadding(Bf16* rows, const CentersView& centers, int64_t row, int thread, int threads) {
  if (rows == nullptr) return;
  for (int32_t d = centers.dim + thread; d < centers.dimPadded; d += threads) {
    rows[row * centers.dimPadded + d] = {0};
  }
}

template <int kWarps>
__global__ void __launch_bounds__(RowLaunch<kWarps>::kThreads)
    refreshRowsKernel(CentersView centers, int64_t firstRow, int64_t count) {
  const int64_t item = RowLaunch<kWarps>::item();
  if (item >= count) return;
  const int64_t row = firstRow + item;
  const int thread = static_cast<int>(threadIdx.x) % (32 * kWarps);
  float weights[1][kRowQuads][4];
  HYPERARC_UNROLL
  for (int q = 0; q < kRowQuads; ++q) {
    loadWeights<kWarps>(centers, row, q, weights[0][q]);
    if (centers.precision == Precision::kBf16Compute) {
      storeQuad(centers.weightsBf16 + row * centers.dimPadded, quadColumn<kWarps>(q), centers.dim, weights[0][q]);
    }
  }
  clearPadding(centers.weightsBf16, centers, row, thread, 32 * kWarps);
  clearPadding(centers.momentumBf16, centers, row, thread, 32 * kWarps);
  clearPadding(centers.secondMomentBf16, centers, row, thread, 32 * kWarps);
  double squares[1];
  squaresOfRows<kWarps>(weights, squares);
  const float inverse = static_cast<float>(inverseNormOf(squares[0]));
  if (thread == 0) centers.inverseNorms[row] = inverse;
}

__global__ void __launch_bounds__(kThreads)
    widenRowsKernel(const Bf16* rows, int32_t dimPadded, int32_t dim, int64_t count, float* out) {
  const int64_t item = itemOfThread();
  if (item < count * dim) out[item] = toFloat(rows[item / dim * dimPadded + item % dim]);
}

__global__ void __launch_bounds__(kThreads)
    narrowRowsKernel(const float* rows, int32_t dim, int32_t dimPadded, int64_t count, Bf16* out) {
  const int64_t item = itemOfThread();
  if (item >= count * dimPadded) return;
  const int64_t row = item / dimPadded;
  const int32_t d = static_cast<int32_t>(item % dimPadded);
  out[item] = d < dim ? toBf16(rows[row * dim + d]) : Bf16{0};
}

template <int kWarps, Updates kUpdates>
__global__ void __launch_bounds__(RowLaunch<kWarps>::kThreads)
    decayOthersKernel(CentersView centers, ClassList updated, UpdateView update) {
  const int64_t row = RowLaunch<kWarps>::item();
  if (row >= centers.rows) return;
  const int32_t localClass = static_cast<int32_t>(row / centers.subCenters);
  const int32_t count = static_cast<int32_t>(updated.count);
  const int32_t place = lowerBound(updated.list, count, localClass);
  if (place < count && updated.list[place] == localClass) return;
  RowState<1, kRowQuads> state;
  loadRows<kWarps>(centers, {row}, true, state);
  const float gradient[1][kRowQuads][4] = {};
  updateRows<kWarps, kUpdates>(centers, {row}, update, gradient, state);
}

/// Sixteen bytes, eight elements of a bf16 row.
struct alignas(16) Bytes16 {
  uint32_t word[4];
};

__global__ void __launch_bounds__(kThreads)
    gatherRowsKernel(CentersView centers, ClassList classes, Bf16* rows, float* inverseNorms) {
  const int32_t pieces = centers.dimPadded / 8;
  const int64_t item = itemOfThread();
  if (item >= classes.count * pieces) return;
  const int64_t position = item / pieces;
  const int64_t row = classes.list == nullptr ? position : classes.list[position];
  const int64_t piece = item % pieces;
  reinterpret_cast<Bytes16*>(rows)[item] =
      reinterpret_cast<const Bytes16*>(centers.weightsBf16 + row * centers.dimPadded)[piece];
  if (piece == 0) inverseNorms[position] = centers.inverseNorms[row];
}

}  // namespace

void launchSeedRows(const CentersView& centers, uint64_t seed, float stddev, int64_t firstRow, int64_t count,
                    cudaStream_t stream) {
  if (count == 0) return;
  const int32_t quads = (centers.dim + 3) / 4;
  launch("seedRows", seedRowsKernel, threadPerItem(count * quads), stream, centers, seed, stddev, firstRow, count,
         quads);
  launchRefreshRows(centers, firstRow, count, stream);
}

void launchRefreshRows(const CentersView& centers, int64_t firstRow, int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  withRowWarps(centers.dim, [&](auto warps) {
    launch("refreshRows", refreshRowsKernel<warps()>, RowLaunch<warps()>::shape(count), stream, centers, firstRow,
           count);
  });
}

void launchWidenRows(const Bf16* rows, int32_t dimPadded, int32_t dim, int64_t count, float* out, cudaStream_t stream) {
  if (count == 0) return;
  launch("widenRows", widenRowsKernel, threadPerItem(count * dim), stream, rows, dimPadded, dim, count, out);
}

void launchNarrowRows(const float* rows, int32_t dim, int32_t dimPadded, int64_t count, Bf16* out,
                      cudaStream_t stream) {
  if (count == 0) return;
  launch("narrowRows", narrowRowsKernel, threadPerItem(count * dimPadded), stream, rows, dim, dimPadded, count, out);
}

void launchDecayOthers(const CentersView& centers, const ClassList& updated, const UpdateView& update,
                       cudaStream_t stream) {
  // Without a list every class is updated.
  if (updated.list == nullptr || centers.rows == 0) return;
  withRowWarps(centers.dim, [&](auto warps) {
    // With kAdamW alone ptxas spills for sm_120; with both it does not.
    const auto kernel =
        update.isAdamW ? decayOthersKernel<warps(), Updates::kEither> : decayOthersKernel<warps(), Updates::kSgd>;
    launch("decayOthers", kernel, RowLaunch<warps()>::shape(centers.rows), stream, centers, updated, update);
  });
}

void launchGatherRows(const CentersView& centers, const ClassList& classes, Bf16* rows, float* inverseNorms,
                      cudaStream_t stream) {
  if (classes.count == 0) return;
  launch("gatherRows", gatherRowsKernel, threadPerItem(classes.count * (centers.dimPadded / 8)), stream, centers,
         classes, rows, inverseNorms);
}

}  // namespace hyperarc::cuda
