// The CUDA engine's memory of a forward pass: arrays on the device, and a page-locked mirror of what the host gives and
// gets.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/tracked_step.h"
#include "core.h"
#include "views.h"

namespace hyperarc::cuda {

/// Byte offsets of a step's arrays; shapes as in views.h and kernels.h. Uploads and downloads are contiguous, so that
/// each is one copy.
struct StepLayout {
  StepLayout(int64_t samples, int32_t dim, bool isBf16, bool hasHostEmbeddings, int64_t sampledCount);

  // Host → device, at the same offsets in the mirror.
  int64_t embeddings, rowParameters, localClass, targetPosition, entryPosition, entrySample, sampledClasses;
  int64_t uploadBytes;
  // Device → host, in the mirror behind the uploads at the same offsets too.
  int64_t nonFinite, targetCosine, targetLogits, threshold, sumExp, loss, rowGradient, embeddingGradient;
  int64_t downloadEnd;  // without the padding behind the last array
  int64_t mirroredBytes;
  // Device alone.
  int64_t inverseNormsX, unit, unitBf16, scale, shift, slope, byM1, byM2, tangentX, tangentW, winner, weightedSum,
      targetError, gradientShift, gradientFactor, coefficient;
  int64_t deviceBytes;
};

/// ln(C_global·steepestNegative): what firstShift (margins/negative.h) wants.
double logTerms(const CentersConfig& config, const MarginRule& rule);

/// A sample whose class this shard owns: TargetsView, before it is cut into arrays.
struct TargetEntry {
  int32_t position;
  int32_t sample;
};
/// Sorted by position, then sample.
void sortEntries(std::vector<TargetEntry>* entries);

class CudaStep final : public TrackedStep {
 public:
  /// Takes memory from `core`; throws CudaError.
  CudaStep(std::shared_ptr<Core> core, Passes& passes, uint64_t centersId, uint64_t weights,
           const CentersConfig& config, const Batch& batch);
  ~CudaStep() override { core_->recycle(std::move(memory_)); }

  int64_t batch() const override { return samples; }
  std::span<float> targetLogitsB() override { return {hostAt<float>(layout.targetLogits), count()}; }
  std::span<float> targetThresholdB() override {
    if (rule.negatives.threshold != NegativeThreshold::kTarget) return {};
    return {hostAt<float>(layout.threshold), count()};
  }
  std::span<float> sumExpB() override { return {hostAt<float>(layout.sumExp), count()}; }
  std::span<const float> lossB() const override { return {hostAt<float>(layout.loss), count()}; }
  std::span<float> embeddingGradientBD() override {
    if (!hasHostGradient) return {};
    return {hostAt<float>(layout.embeddingGradient), count() * static_cast<size_t>(dim)};
  }
  std::span<float> rowGradientB4() override { return {hostAt<float>(layout.rowGradient), 4 * count()}; }
  /// Null for a shard: its sum over the shards is made in the host span.
  const float* embeddingGradientOnDevice() const override {
    return stage == Stage::kFinished && isWhole ? at<float>(layout.embeddingGradient) : nullptr;
  }
  std::span<const float> targetCosineB() const override { return {hostAt<float>(layout.targetCosine), count()}; }
  int64_t bytes() const override { return memory_.device.bytes(); }

  template <typename T>
  T* at(int64_t offset) const {
    return memory_.device.as<T>(offset);
  }
  template <typename T>
  T* hostAt(int64_t offset) const {
    return memory_.host.as<T>(offset);
  }
  /// Enqueue copies of bytes [begin, end) of the mirror on the forward stream.
  void upload(int64_t begin, int64_t end);
  void download(int64_t begin, int64_t end);

  /// Where the results of finishForward end that the host gets.
  int64_t resultsEnd() const { return hasHostGradient ? layout.downloadEnd : layout.embeddingGradient; }
  bool hasNegativeRule() const { return rule.negatives.threshold != NegativeThreshold::kNone; }
  SamplesView samplesView() const;
  ClassList classList(int64_t classes) const;

  const int64_t samples;
  const int32_t dim;
  const bool isBf16;
  const bool isWhole;          // no other shards
  const bool hasHostGradient;  // else dX stays on the device, as the embeddings did
  const StepLayout layout;
  Passes& passes;                       // of pass 1
  const float* embeddings = nullptr;    // device; the batch's own where they are there, valid during its forward alone
  std::vector<int32_t> localClass;      // [B], −1 where not owned
  std::vector<int32_t> sampledClasses;  // when not all take part
  bool allClasses = true;
  int32_t targetCount = 0;
  MarginRule rule;  // of it the four numbers alone may be replaced by rows
  /// Whether fp32 can lose every negative of a sample under its shift (docs/numerics.md, "Loss and gradients").
  bool mayLoseNegatives = false;

 private:
  size_t count() const { return static_cast<size_t>(samples); }
  void fillUploads(const CentersConfig& config, const Batch& batch);

  std::shared_ptr<Core> core_;
  StepMemory memory_;
};

}  // namespace hyperarc::cuda
