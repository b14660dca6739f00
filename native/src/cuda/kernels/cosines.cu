// Plain cosines x̂·ŵ, the maximum over sub-centres: for small C and inference. The master's rows in every precision.
#include "kernels/kernels.h"
#include "kernels/plain/multiply.cuh"
#include "runtime/launch.h"

namespace hyperarc::cuda {

namespace {

using plain::kTileLeft;
using plain::kTileRight;
using plain::kTileThreads;

/// A tile takes as many whole classes as fit in its 64 rows; the rows left over are computed and not used.
/// `inverseNorms` are those of `rows`.
template <typename Element>
__global__ void __launch_bounds__(kTileThreads, 2)
    cosinesKernel(plain::Matrix<true> samples, plain::Matrix<true, Element> rows, const float* inverseNorms,
                  int32_t dim, int32_t subCenters, int64_t classes, float* out) {
  __shared__ union {
    plain::TileShared operands;
    float products[kTileLeft][kTileRight + 1];
  } shared;
  const int32_t classesPerTile = kTileRight / subCenters;
  const int64_t firstSample = int64_t{blockIdx.y} * kTileLeft;
  const int64_t firstClass = int64_t{blockIdx.x} * classesPerTile;
  float sum[plain::kOwnLeft][plain::kOwnRight];
  plain::multiplyTile(samples, rows, firstSample, firstClass * subCenters, 0, dim, shared.operands, sum);
  __syncthreads();
  HYPERARC_UNROLL
  for (int l = 0; l < plain::kOwnLeft; ++l) {
    HYPERARC_UNROLL
    for (int r = 0; r < plain::kOwnRight; ++r) shared.products[plain::ownLeft() + l][plain::ownRight() + r] = sum[l][r];
  }
  __syncthreads();
  for (int item = threadIdx.x; item < kTileLeft * classesPerTile; item += kTileThreads) {
    const int64_t sample = firstSample + item / classesPerTile;
    const int64_t localClass = firstClass + item % classesPerTile;
    if (sample >= samples.lines || localClass >= classes) continue;
    const float* products = shared.products[item / classesPerTile] + item % classesPerTile * subCenters;
    const float* inverse = inverseNorms + localClass * subCenters;
    float best = products[0] * inverse[0];
    for (int32_t k = 1; k < subCenters; ++k) {
      const float candidate = products[k] * inverse[k];
      if (candidate > best || candidate != candidate) best = candidate;
    }
    out[sample * classes + localClass] = best;
  }
}

}  // namespace

void launchCosines(const CentersView& centers, const float* unit, int64_t samples, int64_t firstClass, int64_t count,
                   float* out, cudaStream_t stream) {
  if (samples == 0 || count == 0) return;
  const int32_t classesPerTile = kTileRight / centers.subCenters;
  const LaunchShape shape = {dim3(static_cast<unsigned>((count + classesPerTile - 1) / classesPerTile),
                                  static_cast<unsigned>((samples + kTileLeft - 1) / kTileLeft)),
                             dim3(kTileThreads)};
  const plain::Matrix<true> left = {unit, centers.dim, samples};
  const int64_t firstRow = firstClass * centers.subCenters;
  const int64_t rows = count * centers.subCenters;
  const auto launchOn = [&](const auto& right, auto kernel) {
    launch("cosines", kernel, shape, stream, left, right, centers.inverseNorms + firstRow, centers.dim,
           centers.subCenters, count, out);
  };
  if (centers.precision == Precision::kBf16Master) {
    launchOn(plain::Matrix<true, Bf16>{centers.weightsBf16 + firstRow * centers.dimPadded, centers.dimPadded, rows},
             cosinesKernel<Bf16>);
  } else {
    launchOn(plain::Matrix<true, float>{centers.weights + firstRow * centers.dim, centers.dim, rows},
             cosinesKernel<float>);
  }
}

}  // namespace hyperarc::cuda
