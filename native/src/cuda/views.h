// What kernels see of class centres and samples: device pointers with their shapes. Shape suffixes: docs/notation.md.
// R = C·K rows; Dp = `paddedDim(D)`: the row length of bf16 operands.
#pragma once

#include <cstdint>

#include "common/adamw.h"
#include "device/bf16.h"
#include "hyperarc/types.h"

namespace hyperarc::cuda {

/// Row length of a bf16 operand matrix: 128, 256 or 512 where D fits (padding columns are zero), else D rounded up
/// to 8.
HYPERARC_HD constexpr int32_t paddedDim(int32_t dim) {
  if (dim <= 128) return 128;
  if (dim <= 256) return 256;
  if (dim <= 512) return 512;
  return (dim + 7) / 8 * 8;
}

/// Arrays over samples are padded to a multiple of this, so that tiles need no bounds check along B.
inline constexpr int64_t kSamplePadding = 128;
HYPERARC_HD constexpr int64_t paddedSamples(int64_t samples) {
  return (samples + kSamplePadding - 1) / kSamplePadding * kSamplePadding;
}

/// Class centres on the device.
///   kFp32:        weights, momentum
///   kBf16Compute: weights, momentum, and weightsBf16 = bf16(weights), which the passes read
///   kBf16Master:  weightsBf16 and momentumBf16 alone; updated with stochastic rounding
/// With AdamW momentum is the first moment, and the second is kept as it is.
struct CentersView {
  Precision precision;
  int64_t rows;                      // R
  int64_t firstGlobalRow;            // global index of row 0 (shards): keys the stochastic rounding
  int32_t subCenters;                // K
  int32_t dim;                       // D
  int32_t dimPadded;                 // Dp
  float* weights = nullptr;          // [R, D] or null
  float* momentum = nullptr;         // [R, D] or null
  float* secondMoment = nullptr;     // [R, D] or null
  Bf16* weightsBf16 = nullptr;       // [R, Dp] or null; padding columns are zero
  Bf16* momentumBf16 = nullptr;      // [R, Dp] or null
  Bf16* secondMomentBf16 = nullptr;  // [R, Dp] or null
  float* inverseNorms;               // [R]: 1/‖w‖ of the master rows, 0 for a zero row
};

/// The classes that take part in a pass, by position: position p is class list[p], or p itself where list is null.
struct ClassList {
  int64_t count;
  const int32_t* list;  // device [count], sorted local classes; null for all
};

/// Samples of a forward pass, or of several one after another (gradient accumulation). Bp = paddedSamples(B).
/// Padding: unitBf16 rows 0, scale 0, shift 0, threshold 0, targetPosition −1, gradientFactor 0, gradientShift 0.
struct SamplesView {
  int64_t samples;       // B
  const float* unit;     // x̂ [B, D]
  const Bf16* unitBf16;  // bf16(x̂) [Bp, Dp]; null in fp32
  const float* scale;    // s_i [Bp]
  const float* shift;    // shift_i [Bp]
  const float*
      gradientShift;  // q_ij·s_i = exp(s_i·N(c_ij) − gradientShift_i)·gradientFactor_i [Bp], after finishForward
  const float* gradientFactor;    // [Bp]
  const int32_t* targetPosition;  // position of the sample's own class in the pass's ClassList, −1 if not there [Bp]
  const float* threshold;         // of a negative rule: cosines above it take the branch `above` [Bp]
};

/// Target terms of pass 2: entry n adds coefficient[sample]·tangentW[sample] to the gradient of a row, where the row is
/// sub-centre winner[sample] of the class at `position`. Sorted by position, then sample: sums have one order.
struct TargetsView {
  int32_t count;
  const int32_t* position;   // [count], sorted
  const int32_t* sample;     // [count]
  const int32_t* winner;     // [B]
  const float* coefficient;  // (p_i − 1)·h_i/B_total [B]
  const float* tangentW;     // (x̂ − c·ŵ_y)/sinθ [B, D]
};

/// The fused update. SGD: v ← μ·v + (dW + λ·w); w ← w − η·v. AdamW: its own factors (common/adamw.h).
struct UpdateView {
  float learningRate;
  float momentum;
  float weightDecay;
  uint64_t roundingStep;  // counter of stochastic rounding (bf16 master)
  bool isAdamW = false;
  AdamWFactors adamw = {};
};

/// What becomes of a finished dW row: the fused update, or a dense row of a [R, D] buffer.
struct GradientSink {
  bool isUpdate;
  UpdateView update;
  float* dense;  // [R, D] where not an update
};

}  // namespace hyperarc::cuda
