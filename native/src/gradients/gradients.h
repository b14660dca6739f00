// Convolution kernels that TensorFlow.js's WebAssembly backend needs to train: the gradients it lacks, and those
// kernels that it runs in one thread. On plain float buffers, NHWC, filters [height, width, in, out]. Results do not
// depend on the number of threads. None throws except for memory.
#pragma once

#include <cstdint>

#include "hyperarc/status.h"

namespace hyperarc {

/// Geometry of a convolution; pads are of the top and left side, missing input reads as zero.
struct ConvShape {
  int64_t batch = 0;
  int64_t inHeight = 0;
  int64_t inWidth = 0;
  int64_t inChannels = 0;
  int64_t outHeight = 0;
  int64_t outWidth = 0;
  int64_t outChannels = 0;  // depthwise: inChannels · multiplier
  int64_t filterHeight = 0;
  int64_t filterWidth = 0;
  int64_t strideHeight = 1;
  int64_t strideWidth = 1;
  int64_t padTop = 0;
  int64_t padLeft = 0;
  int64_t dilationHeight = 1;
  int64_t dilationWidth = 1;

  int64_t inputSize() const { return batch * inHeight * inWidth * inChannels; }
  int64_t outputSize() const { return batch * outHeight * outWidth * outChannels; }
  int64_t filterSize() const { return filterHeight * filterWidth * inChannels * outChannels; }
  int64_t depthwiseFilterSize() const { return filterHeight * filterWidth * outChannels; }
};

/// E_RANGE naming the field: sizes, strides and dilations in [1, 2^24], pads in [0, 2^24], buffers below 2^40 elements.
/// `depthwise` also wants outChannels to be a multiple of inChannels (E_SHAPE).
Status checkConvShape(const ConvShape& shape, bool depthwise);

/// x [inputSize], filter [filterSize] → y [outputSize], overwritten.
void conv2d(const ConvShape& shape, const float* x, const float* filter, float* y);
/// x [inputSize], dy [outputSize] → filterGradient [filterSize], overwritten.
void conv2dBackpropFilter(const ConvShape& shape, const float* x, const float* dy, float* filterGradient);
/// dy [outputSize], filter [filterSize] → dx [inputSize], overwritten.
void conv2dBackpropInput(const ConvShape& shape, const float* dy, const float* filter, float* dx);

/// x [inputSize], dy [outputSize] → filterGradient [depthwiseFilterSize], overwritten.
void depthwiseBackpropFilter(const ConvShape& shape, const float* x, const float* dy, float* filterGradient);
/// dy [outputSize], filter [depthwiseFilterSize] → dx [inputSize], overwritten.
void depthwiseBackpropInput(const ConvShape& shape, const float* dy, const float* filter, float* dx);

/// values [rows, columns], ids [rows] → sums [segments, columns], overwritten. Rows with a negative id are dropped;
/// E_RANGE for an id ≥ segments, before anything is written.
Status unsortedSegmentSum(const float* values, const int32_t* ids, int64_t rows, int64_t columns, int64_t segments,
                          float* sums);

}  // namespace hyperarc
