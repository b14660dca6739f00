#include <algorithm>
#include <vector>

#include "gradients/gradients.h"
#include "gradients/kernels.h"
#include "gradients/parallel.h"
#include "gradients/taps.h"

namespace hyperarc {

using gradients::joinTap;
using gradients::kBlockPositions;
using gradients::Kernels;
using gradients::kernels;
using gradients::parallelFor;
using gradients::RowPairs;

namespace {

double flopsOf(const ConvShape& shape) {
  return 2.0 * static_cast<double>(shape.batch * shape.outHeight * shape.outWidth) *
         static_cast<double>(shape.filterSize());
}

/// Input channels of one piece of the filter gradient: a piece is one tap's, and small enough to share among threads.
constexpr int64_t kPieceChannels = 64;

/// The matrix of each tap of a filter [taps, in, out], or its transpose, in panels of columns as rowsTimesMatrix takes
/// them.
class PackedFilter {
 public:
  PackedFilter(const ConvShape& shape, const float* filter, bool transpose, int64_t panelColumns) {
    const int64_t taps = shape.filterHeight * shape.filterWidth;
    const int64_t depth = transpose ? shape.outChannels : shape.inChannels;
    const int64_t columns = transpose ? shape.inChannels : shape.outChannels;
    const int64_t depthStride = transpose ? 1 : shape.outChannels;
    const int64_t columnStride = transpose ? shape.outChannels : 1;
    const int64_t panels = (columns + panelColumns - 1) / panelColumns;
    tapFloats_ = panels * panelColumns * depth;
    floats_.resize(taps * tapFloats_);
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float* from = filter + tap * shape.inChannels * shape.outChannels;
      for (int64_t column = 0; column < columns; ++column) {
        float* to =
            floats_.data() + tap * tapFloats_ + column / panelColumns * panelColumns * depth + column % panelColumns;
        for (int64_t k = 0; k < depth; ++k) to[k * panelColumns] = from[k * depthStride + column * columnStride];
      }
    }
  }
  const float* tap(int64_t index) const { return floats_.data() + index * tapFloats_; }

 private:
  int64_t tapFloats_ = 0;
  std::vector<float> floats_;
};

}  // namespace

void conv2d(const ConvShape& shape, const float* x, const float* filter, float* y) {
  const Kernels& kernel = kernels();
  const int64_t positions = shape.batch * shape.outHeight * shape.outWidth;
  const PackedFilter packed(shape, filter, false, kernel.panelColumns);
  parallelFor((positions + kBlockPositions - 1) / kBlockPositions, flopsOf(shape), [&](int64_t block) {
    const int64_t first = block * kBlockPositions;
    const int64_t last = std::min(first + kBlockPositions, positions);
    std::fill(y + first * shape.outChannels, y + last * shape.outChannels, 0.0f);
    RowPairs<const float, float> pairs;
    for (int64_t tap = 0; tap < shape.filterHeight * shape.filterWidth; ++tap) {
      joinTap(shape, tap / shape.filterWidth, tap % shape.filterWidth, first, last, x, y, &pairs);
      kernel.rowsTimesMatrix(pairs.in.data(), packed.tap(tap), pairs.count, shape.inChannels, shape.outChannels,
                             pairs.out.data());
    }
  });
}

void conv2dBackpropFilter(const ConvShape& shape, const float* x, const float* dy, float* filterGradient) {
  const Kernels& kernel = kernels();
  const int64_t positions = shape.batch * shape.outHeight * shape.outWidth;
  const int64_t piecesOfTap = (shape.inChannels + kPieceChannels - 1) / kPieceChannels;
  const int64_t pieces = shape.filterHeight * shape.filterWidth * piecesOfTap;
  std::fill_n(filterGradient, shape.filterSize(), 0.0f);
  // A group is a run of pieces that one thread takes block by block, so that x and dy stay in its cache between taps.
  const int64_t groups = std::min<int64_t>(pieces, 16);
  parallelFor(groups, flopsOf(shape), [&](int64_t group) {
    RowPairs<const float, const float> pairs;
    for (int64_t first = 0; first < positions; first += kBlockPositions) {
      const int64_t last = std::min(first + kBlockPositions, positions);
      for (int64_t piece = pieces * group / groups; piece < pieces * (group + 1) / groups; ++piece) {
        const int64_t tap = piece / piecesOfTap;
        const int64_t channel = piece % piecesOfTap * kPieceChannels;
        joinTap(shape, tap / shape.filterWidth, tap % shape.filterWidth, first, last, x + channel, dy, &pairs);
        kernel.outerSum(pairs.in.data(), pairs.out.data(), pairs.count,
                        std::min(kPieceChannels, shape.inChannels - channel), shape.outChannels,
                        filterGradient + (tap * shape.inChannels + channel) * shape.outChannels);
      }
    }
  });
}

void conv2dBackpropInput(const ConvShape& shape, const float* dy, const float* filter, float* dx) {
  const Kernels& kernel = kernels();
  const int64_t perImage = shape.outHeight * shape.outWidth;
  const PackedFilter packed(shape, filter, true, kernel.panelColumns);
  std::fill_n(dx, shape.inputSize(), 0.0f);
  // Output positions of one image share input positions, so that an image is one thread's.
  parallelFor(shape.batch, flopsOf(shape), [&](int64_t image) {
    RowPairs<float, const float> pairs;
    for (int64_t first = image * perImage; first < (image + 1) * perImage; first += kBlockPositions) {
      const int64_t last = std::min(first + kBlockPositions, (image + 1) * perImage);
      for (int64_t tap = 0; tap < shape.filterHeight * shape.filterWidth; ++tap) {
        joinTap(shape, tap / shape.filterWidth, tap % shape.filterWidth, first, last, dx, dy, &pairs);
        kernel.rowsTimesMatrix(pairs.out.data(), packed.tap(tap), pairs.count, shape.outChannels, shape.inChannels,
                               pairs.in.data());
      }
    }
  });
}

}  // namespace hyperarc
