// The convolution as a sum over filter taps: for one tap, each output position reads at most one input position, so a
// block of positions is two lists of row pointers, and no patch matrix (im2col) is ever written.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "gradients/gradients.h"

namespace hyperarc::gradients {

/// Output positions handled together: their rows of 512 channels fit a core's second-level cache.
inline constexpr int64_t kBlockPositions = 256;

template <typename In, typename Out>
struct RowPairs {
  std::array<In*, kBlockPositions> in;
  std::array<Out*, kBlockPositions> out;
  int64_t count = 0;
};

/// The pairs (input row, output row) that tap (tapRow, tapColumn) joins, for output positions [first, last) counted
/// over batch, height and width; positions whose input lies in the padding are left out.
template <typename In, typename Out>
void joinTap(const ConvShape& shape, int64_t tapRow, int64_t tapColumn, int64_t first, int64_t last, In* input,
             Out* output, RowPairs<In, Out>* pairs) {
  const int64_t perImage = shape.outHeight * shape.outWidth;
  pairs->count = 0;
  for (int64_t position = first; position < last;) {
    const int64_t image = position / perImage;
    const int64_t outRow = position % perImage / shape.outWidth;
    const int64_t outColumn = position % shape.outWidth;
    const int64_t lineEnd = std::min(last, position + shape.outWidth - outColumn);
    const int64_t inRow = outRow * shape.strideHeight - shape.padTop + tapRow * shape.dilationHeight;
    if (inRow >= 0 && inRow < shape.inHeight) {
      int64_t inColumn = outColumn * shape.strideWidth - shape.padLeft + tapColumn * shape.dilationWidth;
      In* const line = input + (image * shape.inHeight + inRow) * shape.inWidth * shape.inChannels;
      for (int64_t p = position; p < lineEnd; ++p, inColumn += shape.strideWidth) {
        if (inColumn < 0 || inColumn >= shape.inWidth) continue;
        pairs->in[pairs->count] = line + inColumn * shape.inChannels;
        pairs->out[pairs->count] = output + p * shape.outChannels;
        ++pairs->count;
      }
    }
    position = lineEnd;
  }
}

}  // namespace hyperarc::gradients
