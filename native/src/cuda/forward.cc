// The three stages of forward. Each call returns when its results are in the step's host mirror.
#include <algorithm>
#include <cmath>
#include <vector>

#include "class_centers.h"
#include "common/small_sums.h"
#include "common/validation.h"
#include "kernels/kernels.h"
#include "margins/negative.h"

namespace hyperarc::cuda {

namespace {

double rateOf(const Batch& batch, const CentersConfig& config) {
  if (batch.sampledClasses == nullptr) return 1.0;
  return static_cast<double>(std::clamp<int64_t>(batch.sampledCount, 1, config.classes)) /
         static_cast<double>(config.classes);
}

int64_t samplesOf(const Step* step) { return step == nullptr ? 1 : step->batch(); }

}  // namespace

void CudaClassCenters::enqueueTargets(CudaStep& step) {
  const StepLayout& at = step.layout;
  const cudaStream_t stream = core_->forwardStream.get();
  core_->forwardStream.waitFor(core_->updated);
  step.upload(0, at.uploadBytes);
  // The small results too: the download takes the gaps between them along.
  check(
      cudaMemsetAsync(step.at<void>(at.nonFinite), 0, static_cast<size_t>(at.embeddingGradient - at.nonFinite), stream),
      "clearing device memory");
  launchFindNonFinite(step.embeddings, step.samples * step.dim, step.at<unsigned long long>(at.nonFinite), stream);
  TargetTermsArgs args = {};
  args.centers = view();
  args.samples = step.samples;
  args.embeddings = step.embeddings;
  args.localClass = step.at<int32_t>(at.localClass);
  args.rowParameters = step.at<float>(at.rowParameters);
  args.rule = step.rule;
  args.largestNegative = margins::largestNegative(step.rule.negatives);
  args.logTerms = logTerms(config_, step.rule);
  args.inverseNormsX = step.at<float>(at.inverseNormsX);
  args.unit = step.at<float>(at.unit);
  args.unitBf16 = step.isBf16 ? step.at<Bf16>(at.unitBf16) : nullptr;
  args.scale = step.at<float>(at.scale);
  args.shift = step.at<float>(at.shift);
  args.threshold = step.at<float>(at.threshold);
  args.targetLogits = step.at<float>(at.targetLogits);
  args.targetCosine = step.at<float>(at.targetCosine);
  args.slope = step.at<float>(at.slope);
  args.byM1 = step.at<float>(at.byM1);
  args.byM2 = step.at<float>(at.byM2);
  args.tangentX = step.at<float>(at.tangentX);
  args.tangentW = step.at<float>(at.tangentW);
  args.winner = step.at<int32_t>(at.winner);
  launchTargetTerms(args, stream);
}

void CudaClassCenters::enqueueNegatives(CudaStep& step) {
  const NegativeSums args = {view(),
                             step.classList(config_.classes),
                             step.samplesView(),
                             step.at<float>(step.layout.sumExp),
                             step.at<float>(step.layout.weightedSum),
                             step.rule.negatives};
  step.passes.negativeSums(args, core_->forwardScratch, core_->forwardStream.get());
}

void CudaClassCenters::enqueueFinish(CudaStep& step) {
  const StepLayout& at = step.layout;
  FinishForwardArgs args = {};
  args.samples = step.samples;
  args.dim = step.dim;
  args.dimPadded = paddedDim(step.dim);
  args.inverseNormsX = step.at<float>(at.inverseNormsX);
  args.unit = step.at<float>(at.unit);
  args.unitBf16 = step.isBf16 ? step.at<Bf16>(at.unitBf16) : nullptr;
  args.localClass = step.at<int32_t>(at.localClass);
  args.hasNegativeRule = step.hasNegativeRule();
  args.blend = step.rule.blend;
  args.scale = step.at<float>(at.scale);
  args.shift = step.at<float>(at.shift);
  args.targetLogits = step.at<float>(at.targetLogits);
  args.slope = step.at<float>(at.slope);
  args.byM1 = step.at<float>(at.byM1);
  args.byM2 = step.at<float>(at.byM2);
  args.tangentX = step.at<float>(at.tangentX);
  args.sumExp = step.at<float>(at.sumExp);
  args.weightedSum = step.at<float>(at.weightedSum);
  args.loss = step.at<float>(at.loss);
  args.targetError = step.at<float>(at.targetError);
  args.gradientShift = step.at<float>(at.gradientShift);
  args.gradientFactor = step.at<float>(at.gradientFactor);
  args.rowGradient = step.at<float>(at.rowGradient);
  args.embeddingGradient = step.at<float>(at.embeddingGradient);
  launchFinishForward(args, core_->forwardStream.get());
}

bool CudaClassCenters::expectsSum(const CudaStep& step, int64_t sample) const {
  const int64_t classes = step.classList(config_.classes).count;
  return classes > 1 || (classes == 1 && step.localClass[sample] < 0);
}

void CudaClassCenters::raiseSmallSums(CudaStep& step) {
  // All samples are swept again: those whose shift stays get the same bits.
  const StepLayout& at = step.layout;
  const cudaStream_t stream = core_->forwardStream.get();
  const size_t bytes = static_cast<size_t>(step.samples) * sizeof(float);
  std::vector<float> shift(step.samples);
  check(cudaMemcpyAsync(shift.data(), step.at<float>(at.shift), bytes, cudaMemcpyDeviceToHost, stream),
        "copy from the device");
  while (true) {
    step.download(at.sumExp, at.loss);
    core_->forwardStream.synchronize();
    bool isLow = false;
    for (int64_t i = 0; i < step.samples; ++i) {
      if (!expectsSum(step, i) || !(step.sumExpB()[i] < kSmallestSum)) continue;
      shift[i] -= kShiftLowering;
      isLow = true;
    }
    if (!isLow) return;
    check(cudaMemcpyAsync(step.at<float>(at.shift), shift.data(), bytes, cudaMemcpyHostToDevice, stream),
          "copy to the device");
    enqueueNegatives(step);
  }
}

Status CudaClassCenters::checkValues(const CudaStep& step) const {
  const auto found = static_cast<int64_t>(*step.hostAt<unsigned long long>(step.layout.nonFinite));
  if (found == 0) return Status::ok();
  float value = 0.0f;
  check(cudaMemcpy(&value, step.embeddings + (found - 1), sizeof value, cudaMemcpyDefault), "copy from the device");
  return nonFiniteEmbedding(value, found - 1, step.dim);
}

Status CudaClassCenters::checkShardSums(CudaStep& step) const {
  for (int64_t i = 0; i < step.samples; ++i) {
    if (expectsSum(step, i) && step.sumExpB()[i] < kSmallestSum)
      return lostNegatives(step.hostAt<float>(step.layout.rowParameters)[4 * i], i);
  }
  return Status::ok();
}

Status CudaClassCenters::checkAll(const Batch& batch, Passes** passes) const {
  if (Status status = checkBatch(batch, config_); !status) return status;
  const bool hasRule = batch.rule.negatives.threshold != NegativeThreshold::kNone;
  const int64_t classes = batch.sampledClasses == nullptr ? config_.classes : batch.sampledCount;
  const PassNeeds needs = {.negativeRules = hasRule ? 1 : 0, .samples = batch.batch, .classes = classes};
  if (Status status = passesFor(needs, passes); !status) return status;
  if (!batch.embeddingsOnDevice) return Status::ok();
  return checkDeviceMemory("embeddingsBD", batch.embeddingsBD, core_->device);
}

Status CudaClassCenters::targetTerms(const Batch& batch, std::unique_ptr<Step>* out) {
  return run("forward", batch.batch, rateOf(batch, config_), [&]() -> Status {
    Passes* passes = nullptr;
    if (Status status = checkAll(batch, &passes); !status) return status;
    auto step = std::make_unique<CudaStep>(core_, *passes, id_, version_, config_, batch);
    enqueueTargets(*step);
    step->download(step->layout.nonFinite, step->layout.sumExp);
    core_->forwardStream.synchronize();
    if (Status status = checkValues(*step); !status) return status;
    *out = std::move(step);
    return Status::ok();
  });
}

Status CudaClassCenters::negativeSums(Step* given) {
  return run("forward", samplesOf(given), 1.0, [&]() -> Status {
    if (Status status = checkStep(given, TrackedStep::Stage::kTargets, id_, version_); !status) return status;
    auto& step = static_cast<CudaStep&>(*given);
    // What the shards have summed on the host: pass 1 compares with it.
    if (step.rule.negatives.threshold == NegativeThreshold::kTarget) {
      step.upload(step.layout.threshold, step.layout.sumExp);
    }
    enqueueNegatives(step);
    // Shards must agree on the shift, so only an engine that sees every class may choose another.
    if (step.mayLoseNegatives && ownsAllClasses()) raiseSmallSums(step);
    step.download(step.layout.sumExp, step.layout.loss);
    core_->forwardStream.synchronize();
    step.stage = TrackedStep::Stage::kSums;
    return Status::ok();
  });
}

Status CudaClassCenters::finishForward(Step* given) {
  return run("forward", samplesOf(given), 1.0, [&]() -> Status {
    if (Status status = checkStep(given, TrackedStep::Stage::kSums, id_, version_); !status) return status;
    auto& step = static_cast<CudaStep&>(*given);
    if (!ownsAllClasses()) {
      if (Status status = checkShardSums(step); !status) return status;
    }
    // The seams: what the shards have summed on the host.
    step.upload(step.layout.targetLogits, step.layout.loss);
    enqueueFinish(step);
    step.download(step.layout.loss, step.resultsEnd());
    core_->forwardStream.synchronize();
    step.stage = TrackedStep::Stage::kFinished;
    return Status::ok();
  });
}

Status CudaClassCenters::forward(const Batch& batch, std::unique_ptr<Step>* out) {
  return run("forward", batch.batch, rateOf(batch, config_), [&]() -> Status {
    Passes* passes = nullptr;
    if (Status status = checkAll(batch, &passes); !status) return status;
    auto step = std::make_unique<CudaStep>(core_, *passes, id_, version_, config_, batch);
    // The update under way is not this pass's time.
    core_->forwardStream.waitFor(core_->updated);
    forwardEnd_.forget();
    forwardBegin_.record(core_->forwardStream.get());
    enqueueTargets(*step);
    enqueueNegatives(*step);
    if (step->mayLoseNegatives && ownsAllClasses()) raiseSmallSums(*step);
    enqueueFinish(*step);
    forwardEnd_.record(core_->forwardStream.get());
    step->download(step->layout.nonFinite, step->resultsEnd());
    core_->forwardStream.synchronize();
    if (Status status = checkValues(*step); !status) return status;
    if (!ownsAllClasses()) {
      if (Status status = checkShardSums(*step); !status) return status;
    }
    step->stage = TrackedStep::Stage::kFinished;
    *out = std::move(step);
    return Status::ok();
  });
}

}  // namespace hyperarc::cuda
