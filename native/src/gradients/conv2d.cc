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

/// Filter [taps, in, out] → for each tap its transpose [out, in], in panels of columns, zero-padded.
std::vector<float> packTransposed(const ConvShape& shape, const float* filter, int64_t panelColumns) {
  const int64_t taps = shape.filterHeight * shape.filterWidth;
  const int64_t in = shape.inChannels;
  const int64_t out = shape.outChannels;
  const int64_t panels = (in + panelColumns - 1) / panelColumns;
  std::vector<float> packed(taps * panels * panelColumns * out);
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t c = 0; c < in; ++c) {
      const float* from = filter + (tap * in + c) * out;
      float* to = packed.data() + (tap * panels + c / panelColumns) * panelColumns * out + c % panelColumns;
      for (int64_t n = 0; n < out; ++n) to[n * panelColumns] = from[n];
    }
  }
  return packed;
}

}  // namespace

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
  const int64_t taps = shape.filterHeight * shape.filterWidth;
  const int64_t perImage = shape.outHeight * shape.outWidth;
  const std::vector<float> packed = packTransposed(shape, filter, kernel.panelColumns);
  const int64_t tapFloats = static_cast<int64_t>(packed.size()) / taps;
  std::fill_n(dx, shape.inputSize(), 0.0f);
  parallelFor(shape.batch, flopsOf(shape), [&](int64_t image) {
    RowPairs<float, const float> pairs;
    for (int64_t first = image * perImage; first < (image + 1) * perImage; first += kBlockPositions) {
      const int64_t last = std::min(first + kBlockPositions, (image + 1) * perImage);
      for (int64_t tap = 0; tap < taps; ++tap) {
        joinTap(shape, tap / shape.filterWidth, tap % shape.filterWidth, first, last, dx, dy, &pairs);
        kernel.rowsTimesMatrix(pairs.out.data(), packed.data() + tap * tapFloats, pairs.count, shape.outChannels,
                               shape.inChannels, pairs.in.data());
      }
    }
  });
}

}  // namespace hyperarc
