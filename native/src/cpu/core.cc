#include "cpu/core.h"

#include <algorithm>
#include <cmath>

namespace hyperarc::cpu {

namespace {

/// Bytes of ŵ of one block of classes. It shares a 1 MiB L2 with its scores, its dŴ and x̂ (lab/README.md, attempt 4).
constexpr int64_t kBlockBytes = 96 << 10;
/// Bytes of one partial U.
constexpr int64_t kPartialBytes = 512 << 10;
/// A chunk has at least this many classes, so that adding its U costs little beside computing it.
constexpr int64_t kMinChunkClasses = 512;
constexpr int64_t kMaxChunks = 64;
constexpr double kZeroNorm = 1e-12;

int64_t roundDown(int64_t value, int64_t step) { return value / step * step; }

}  // namespace

Blocking::Blocking(const KernelTable& kernels, int64_t subCenters, int64_t dimension)
    : panel(kernels.panel), dim(dimension), dimPadded((dimension + kernels.panel - 1) / kernels.panel * kernels.panel) {
  const int64_t rowBytes = dimPadded * static_cast<int64_t>(sizeof(float));
  const int64_t rows = std::clamp<int64_t>(kBlockBytes / rowBytes, 16, 256);
  classesPerBlock = std::max<int64_t>(1, rows / subCenters);
  rowsPerBlock = classesPerBlock * subCenters;
  samplesPerBlock = std::clamp<int64_t>(roundDown(kPartialBytes / rowBytes, 32), 32, 256);
}

int64_t Blocking::chunks(int64_t classes) const {
  return std::min(kMaxChunks, std::max<int64_t>(1, std::min(classes / kMinChunkClasses, blocks(classes))));
}

BlockScratch::BlockScratch(const Blocking& blocking)
    : unitRows(blocking.rowsPerBlock * blocking.dimPadded),
      scores(blocking.rowsPerBlock * blocking.samplesPerBlock),
      gradientRows(blocking.rowsPerBlock * blocking.dimPadded),
      row(blocking.dimPadded),
      weightRows(blocking.rowsPerBlock),
      inverseNorms(blocking.rowsPerBlock) {}

int64_t BlockScratch::bytes(const Blocking& blocking) {
  return blocking.rowsPerBlock * (2 * blocking.dimPadded + blocking.samplesPerBlock + 3) *
             static_cast<int64_t>(sizeof(float)) +
         blocking.dimPadded * static_cast<int64_t>(sizeof(float));
}

float inverseNorm(const KernelTable& kernels, const float* x, int64_t dim) {
  double sum = kernels.sumSquares(x, dim);
  // Squares out of fp32's range are summed again in double.
  if (!(sum > 1e-20 && sum < 1e30)) {
    sum = 0.0;
    for (int64_t d = 0; d < dim; ++d) sum += static_cast<double>(x[d]) * static_cast<double>(x[d]);
  }
  const double norm = std::sqrt(sum);
  return norm < kZeroNorm ? 0.0f : static_cast<float>(1.0 / norm);
}

}  // namespace hyperarc::cpu
