#include <algorithm>

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

/// Memory-bound: each position counts as much as ten multiplications.
double workOf(const ConvShape& shape) {
  return 20.0 * static_cast<double>(shape.outputSize() * shape.filterHeight * shape.filterWidth);
}

}  // namespace

void depthwiseBackpropFilter(const ConvShape& shape, const float* x, const float* dy, float* filterGradient) {
  const Kernels& kernel = kernels();
  const int64_t positions = shape.batch * shape.outHeight * shape.outWidth;
  const int64_t multiplier = shape.outChannels / shape.inChannels;
  std::fill_n(filterGradient, shape.depthwiseFilterSize(), 0.0f);
  parallelFor(shape.filterHeight * shape.filterWidth, workOf(shape), [&](int64_t tap) {
    RowPairs<const float, const float> pairs;
    for (int64_t first = 0; first < positions; first += kBlockPositions) {
      const int64_t last = std::min(first + kBlockPositions, positions);
      joinTap(shape, tap / shape.filterWidth, tap % shape.filterWidth, first, last, x, dy, &pairs);
      kernel.depthwiseFilter(pairs.in.data(), pairs.out.data(), pairs.count, shape.inChannels, multiplier,
                             filterGradient + tap * shape.outChannels);
    }
  });
}

void depthwiseBackpropInput(const ConvShape& shape, const float* dy, const float* filter, float* dx) {
  const Kernels& kernel = kernels();
  const int64_t perImage = shape.outHeight * shape.outWidth;
  const int64_t multiplier = shape.outChannels / shape.inChannels;
  std::fill_n(dx, shape.inputSize(), 0.0f);
  parallelFor(shape.batch, workOf(shape), [&](int64_t image) {
    RowPairs<float, const float> pairs;
    for (int64_t first = image * perImage; first < (image + 1) * perImage; first += kBlockPositions) {
      const int64_t last = std::min(first + kBlockPositions, (image + 1) * perImage);
      for (int64_t tap = 0; tap < shape.filterHeight * shape.filterWidth; ++tap) {
        joinTap(shape, tap / shape.filterWidth, tap % shape.filterWidth, first, last, dx, dy, &pairs);
        kernel.depthwiseInput(pairs.out.data(), filter + tap * shape.outChannels, pairs.count, shape.inChannels,
                              multiplier, pairs.in.data());
      }
    }
  });
}

}  // namespace hyperarc
