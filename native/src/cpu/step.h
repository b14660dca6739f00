// The CPU engine's memory of a forward pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/tracked_step.h"
#include "cpu/core.h"

namespace hyperarc::cpu {

/// A sample whose class this shard owns.
struct TargetEntry {
  int32_t localClass;
  int32_t sample;
  int32_t winner;  // sub-centre of the largest cosine
};

/// Target entries of the classes [first, last].
std::span<const TargetEntry> targetsOf(const std::vector<TargetEntry>& sorted, int64_t first, int64_t last);

class CpuStep final : public TrackedStep {
 public:
  CpuStep(uint64_t centersId, uint64_t version, const Blocking& blocking, const Batch& input);
  static int64_t bytesFor(const Blocking& blocking, int64_t batch);

  int64_t batch() const override { return samples; }
  std::span<float> targetLogitsB() override { return targetLogits.span().first(samples); }
  std::span<float> targetThresholdB() override {
    return negatives.threshold == NegativeThreshold::kTarget ? threshold.span().first(samples) : std::span<float>();
  }
  std::span<float> sumExpB() override { return sumExp.span().first(samples); }
  std::span<const float> lossB() const override { return loss.span().first(samples); }
  std::span<float> embeddingGradientBD() override { return embeddingGradient.span(); }
  std::span<float> rowGradientB4() override { return rowGradient.span(); }
  std::span<const float> targetCosineB() const override { return targetCosine.span().first(samples); }
  int64_t bytes() const override;

  /// x̂ᵀ [D × B] from sample `first`, a multiple of the panel.
  Panels unitTransposed(int64_t first) const { return {const_cast<float*>(unitXT.data()) + first * dim, dim}; }
  /// x̂ [B × D] from sample `first`.
  Panels unitRows(int64_t first) const { return {const_cast<float*>(unitX.data()) + first * panel, samples}; }

  /// Thresholds of the negative rule from sample `first`; null without one.
  const float* thresholdFrom(int64_t first) const { return threshold.empty() ? nullptr : threshold.data() + first; }

  const int64_t samples;
  const int64_t dim;
  const int64_t panel;
  const NegativeRule negatives;

  // Arrays [B] are padded to whole panels: the kernels read whole vectors.
  FloatArray inverseNorms;       // 1/‖x_i‖ [B]
  FloatArray unitXT;             // panels [D × B]
  FloatArray unitX;              // panels [B × D]
  FloatArray scale;              // s_i [B]
  FloatArray shift;              // shift_i [B]
  FloatArray threshold;          // τ_i [B]; empty without a negative rule
  FloatArray targetLogits;       // T_i [B]
  FloatArray targetCosine;       // [B]
  FloatArray slope;              // h_i = T'_i·sinθ_i [B]
  FloatArray tangentX;           // (ŵ_y − c·x̂)/sinθ [B, D]
  FloatArray tangentW;           // (x̂ − c·ŵ_y)/sinθ [B, D]
  FloatArray sumExp;             // l_i [B]
  FloatArray weightedSum;        // U_i = Σ e_ij·N'(c_ij)·ŵ_j [B, D]
  FloatArray loss;               // [B]
  FloatArray embeddingGradient;  // [B, D]
  FloatArray rowGradient;        // [B, 4]; until finishForward dT_i/d(s, m1, m2, m3), 0 where not owned
  FloatArray targetError;        // 1 − p_i [B]
  // q_ij·s_i = exp(s_i·N(c_ij) − gradientShift_i)·gradientFactor_i, the factor near 1: fp32 rounding of the shift
  // undone.
  FloatArray gradientShift;
  FloatArray gradientFactor;
  std::vector<TargetEntry> targets;  // sorted by class, then sample
  bool allClasses = true;
  std::vector<int32_t> sampledClasses;  // when not all take part
};

}  // namespace hyperarc::cpu
