// Class centres on the CPU: W [C, K, D], the optimizer's state and 1/‖w‖, and the stages of a step over them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cpu/class_set.h"
#include "cpu/core.h"
#include "cpu/step.h"
#include "hyperarc/engine.h"

namespace hyperarc::cpu {

/// One sweep of pass 1: the samples, by views of a CpuStep or of a part of one.
struct NegativeInput {
  int64_t samples;
  Panels unitTransposed;   // x̂ᵀ [D × B]
  const float* scale;      // [B], padded to whole panels
  const float* shift;      // [B], padded
  const float* threshold;  // [B], padded; null without a negative rule
  const NegativeRule* rule;
  const std::vector<TargetEntry>* targets;
};

/// What makes softmax terms of the cosines of some samples: arrays from the first of them, padded to whole panels.
struct SampleTerms {
  const float* scale;
  const float* shift;
  const float* factor;
  const float* threshold;  // null without a negative rule
  const NegativeRule* rule;
};

class CpuClassCenters final : public ClassCenters {
 public:
  /// Throws std::bad_alloc.
  CpuClassCenters(std::shared_ptr<Core> core, const CentersConfig& config);

  const CentersConfig& config() const override { return config_; }
  uint64_t weightsVersion() const override { return version_; }
  uint64_t updates() const override { return updates_; }
  Status setUpdates(uint64_t updates) override;
  int64_t bytes() const override;
  std::string kernels(int64_t batch) const override;
  StepTimes lastTimes() override { return {}; }

  Status seedNormal(uint64_t seed, float stddev) override;
  Status writeRows(Buffer buffer, int64_t firstRow, int64_t rowCount, const float* valuesRD) override;
  Status readRows(Buffer buffer, int64_t firstRow, int64_t rowCount, float* valuesRD) const override;
  Status resize(int64_t classes, uint64_t seed, float stddev) override;

  Status forward(const Batch& batch, std::unique_ptr<Step>* step) override;
  Status targetTerms(const Batch& batch, std::unique_ptr<Step>* step) override;
  Status negativeSums(Step* step) override;
  Status finishForward(Step* step) override;

  Status update(std::span<Step* const> steps, const UpdateOptions& options) override;
  Status gradients(std::span<Step* const> steps, float* gradientCKD) override;
  Status cosines(const float* embeddingsBD, int64_t batch, float* cosinesBC) override;
  Status sample(const int32_t* labelsB, int64_t batch, const SampleOptions& options,
                std::vector<int32_t>* classes) const override;

 private:
  /// What an update does to a row with its gradient, null for none.
  using RowUpdate = std::function<void(int64_t row, const float* gradientD)>;
  using RowSink = std::function<void(int64_t row, float* gradientD)>;

  int64_t rowCount() const { return config_.classes * config_.subCenters; }
  float* weightRow(int64_t row) { return weights_.data() + row * config_.dim; }
  const float* weightRow(int64_t row) const { return weights_.data() + row * config_.dim; }
  float* momentumRow(int64_t row) { return config_.momentum ? momentum_.data() + row * config_.dim : nullptr; }
  bool isAdamW() const { return config_.optimizer == Optimizer::kAdamW; }
  float* secondMomentRow(int64_t row) { return isAdamW() ? secondMoment_.data() + row * config_.dim : nullptr; }
  /// The array behind a buffer, const where the centres are.
  template <typename Self>
  static auto& arrayOf(Self& self, Buffer buffer) {
    switch (buffer) {
      case Buffer::kMomentum:
        return self.momentum_;
      case Buffer::kSecondMoment:
        return self.secondMoment_;
      case Buffer::kWeights:
        break;
    }
    return self.weights_;
  }
  ClassSet participants(const CpuStep& step) const;
  void refreshInverseNorms(int64_t firstRow, int64_t count);
  void seedRows(uint64_t seed, float stddev, int64_t firstRow);
  /// This object's step at the given stage of forward, or why it is not.
  Status ownStep(Step* step, CpuStep::Stage stage, CpuStep** own) const;
  Status finishedSteps(std::span<Step* const> steps, std::vector<CpuStep*>* own) const;
  BlockScratch& scratch(int worker) { return *scratch_[worker]; }
  /// Allocates what the threads need; throws std::bad_alloc.
  void prepareScratch();

  // target_terms.cc
  /// The sub-centre of the largest cosine, the first of equals.
  int32_t winningSubCenter(const float* x, int64_t localClass) const;
  void computeTarget(const Batch& batch, const TargetEntry& entry, CpuStep& step) const;

  // block.cc: loads the classes at positions [first, last) of `classes`; returns its rows.
  int64_t loadBlock(const ClassSet& classes, int64_t first, int64_t last, BlockScratch& scratch) const;
  /// The cosines of the block and the `samples` from `firstSample` on become e^(s·N(c) − shift)·N'(c)·factor, 0 for a
  /// sample's own class. sums [samples] += Σ e^(s·N(c) − shift)·factor over the block's negatives, unless it is null.
  void softmaxTerms(const ClassSet& classes, int64_t first, int64_t last, const std::vector<TargetEntry>& targets,
                    const SampleTerms& terms, int64_t firstSample, int64_t samples, Panels scores, double* sums) const;
  void setTargetScores(const ClassSet& classes, int64_t first, int64_t last, const std::vector<TargetEntry>& targets,
                       int64_t firstSample, int64_t samples, Panels scores, float value) const;

  // negatives.cc
  void sumNegatives(const NegativeInput& input, const ClassSet& classes, float* sumExpB, float* weightedSumBD);
  /// Whether classes other than the sample's own take part [B].
  std::vector<uint8_t> hasNegatives(const CpuStep& step) const;
  void raiseSmallSums(CpuStep& step);

  // center_gradient.cc: dW of the mean loss, a row at a time, to `sink`. Rows come in no order, from many threads.
  void streamGradient(const std::vector<CpuStep*>& steps, const ClassSet& classes, const RowSink& sink);
  /// Zeroes the scores of classes that take no part in `step`.
  void clearAbsent(const CpuStep& step, const ClassSet& classes, int64_t first, int64_t last, int64_t samples,
                   Panels scores) const;
  void addStepGradient(const CpuStep& step, const ClassSet& classes, int64_t first, int64_t last, int64_t rows,
                       const float* factorB, bool accumulate, BlockScratch& scratch) const;

  // update.cc
  RowUpdate rowUpdate(const UpdateOptions& options);
  /// The update without a gradient for the classes that are not in `updated`.
  void decayOthers(const ClassSet& updated, const RowUpdate& update);

  std::shared_ptr<Core> core_;
  CentersConfig config_;
  Blocking blocking_;
  uint64_t id_;
  uint64_t version_ = 1;
  uint64_t updates_ = 0;     // AdamW: t
  FloatArray weights_;       // [C·K, D]
  FloatArray momentum_;      // [C·K, D] or empty: v of SGD, m of AdamW
  FloatArray secondMoment_;  // [C·K, D] or empty: v of AdamW
  FloatArray inverseNorms_;  // [C·K]
  std::vector<std::unique_ptr<BlockScratch>> scratch_;
  FloatArray partialSums_;  // U of the chunks of pass 1
  FloatArray ones_;         // samplesPerBlock ones
};

}  // namespace hyperarc::cpu
