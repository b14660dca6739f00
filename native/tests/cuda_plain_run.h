// One problem on the device, taken through all stages with the plain CUDA passes.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "cuda_arrays.h"
#include "margins/negative.h"

namespace hyperarc::test {

inline std::unique_ptr<cuda::Passes> plainPasses() { return cuda::makePlainPasses(cuda::Device{}); }

/// Steps one after another, as gradient accumulation concatenates them: what decides a pass, in host memory.
struct Samples {
  int64_t count = 0;
  int64_t stepCount = 1;
  std::vector<int32_t> list;  // classes that take part, sorted; all where isList is false
  bool isList = false;
  std::vector<uint8_t> hasClass;        // [steps, positions], empty for no mask
  std::vector<int32_t> stepOfSample;    // [B]
  std::vector<NegativeRule> rules;      // of pass 2 by step; the problem's where empty
  std::vector<int32_t> targetPosition;  // [Bp]
};

/// One problem on the device, taken through all stages with the plain passes.
struct PlainRun {
  PlainRun(const Problem& problem, Precision precision, Samples given, bool hasMomentum = true,
           int64_t firstGlobalRow = 0)
      : p(problem),
        samples(std::move(given)),
        dim(problem.dim),
        centers(problem, precision, hasMomentum, firstGlobalRow),
        embeddings(p.embeddingsBD),
        rowParameters(parameters()),
        localClass(p.labelsB),
        inverseNormsX(p.batch),
        unit(p.batch * dim),
        unitBf16(precision == Precision::kFp32 ? 0 : padded() * centers.view.dimPadded),
        scale(padded()),
        shift(padded()),
        threshold(padded()),
        targetLogits(p.batch),
        targetCosine(p.batch),
        slope(p.batch),
        byM1(p.batch),
        byM2(p.batch),
        tangentX(p.batch * dim),
        tangentW(p.batch * dim),
        winner(p.batch),
        list(samples.list),
        targetPosition(samples.targetPosition),
        hasClass(samples.hasClass),
        stepOfSample(samples.stepOfSample),
        ruleOfStep(samples.rules),
        sumExp(p.batch),
        weightedSum(p.batch * dim),
        loss(p.batch),
        targetError(p.batch),
        gradientShift(padded()),
        gradientFactor(padded()),
        rowGradient(4 * p.batch),
        embeddingGradient(p.batch * dim),
        coefficient(p.batch),
        sortedPosition(sortedTargets(true)),
        sortedSample(sortedTargets(false)) {
    cuda::TargetTermsArgs args = {};
    args.centers = centers.view;
    args.samples = p.batch;
    args.embeddings = embeddings.get();
    args.localClass = localClass.get();
    args.rowParameters = rowParameters.get();
    args.rule = p.rule;
    args.largestNegative = margins::largestNegative(p.rule.negatives);
    args.logTerms = std::log(double(p.classes) * margins::steepestNegative(p.rule.negatives));
    args.inverseNormsX = inverseNormsX.get();
    args.unit = unit.get();
    args.unitBf16 = unitBf16.get();
    args.scale = scale.get();
    args.shift = shift.get();
    args.threshold = threshold.get();
    args.targetLogits = targetLogits.get();
    args.targetCosine = targetCosine.get();
    args.slope = slope.get();
    args.byM1 = byM1.get();
    args.byM2 = byM2.get();
    args.tangentX = tangentX.get();
    args.tangentW = tangentW.get();
    args.winner = winner.get();
    cuda::launchTargetTerms(args, nullptr);
  }

  void sumNegatives() {
    passes->negativeSums({centers.view, classes(), view(), sumExp.get(), weightedSum.get(), p.rule.negatives},
                         workspace, nullptr);
    expectHonestWorkspace();
  }
  void finish() {
    cuda::FinishForwardArgs args = {};
    args.samples = p.batch;
    args.dim = static_cast<int32_t>(dim);
    args.dimPadded = centers.view.dimPadded;
    args.inverseNormsX = inverseNormsX.get();
    args.unit = unit.get();
    args.unitBf16 = unitBf16.get();
    args.localClass = localClass.get();
    args.hasNegativeRule = hasRule();
    args.blend = p.rule.blend;
    args.scale = scale.get();
    args.shift = shift.get();
    args.targetLogits = targetLogits.get();
    args.slope = slope.get();
    args.byM1 = byM1.get();
    args.byM2 = byM2.get();
    args.tangentX = tangentX.get();
    args.sumExp = sumExp.get();
    args.weightedSum = weightedSum.get();
    args.loss = loss.get();
    args.targetError = targetError.get();
    args.gradientShift = gradientShift.get();
    args.gradientFactor = gradientFactor.get();
    args.rowGradient = rowGradient.get();
    args.embeddingGradient = embeddingGradient.get();
    cuda::launchFinishForward(args, nullptr);
    cuda::launchTargetCoefficients(targetError.get(), slope.get(), p.batch, double(p.batch), coefficient.get(),
                                   nullptr);
  }
  void formGradients(const cuda::GradientSink& sink) {
    passes->centerGradients({centers.view,
                             classes(),
                             view(),
                             1.0f / p.batch,
                             hasClass.get(),
                             stepOfSample.get(),
                             {static_cast<int32_t>(sortedSample.size()), sortedPosition.get(), sortedSample.get(),
                              winner.get(), coefficient.get(), tangentW.get()},
                             sink,
                             p.rule.negatives,
                             ruleOfStep.get()},
                            workspace, nullptr);
    expectHonestWorkspace();
  }
  /// dW [R, D]; rows that take no part stay 7.
  std::vector<float> denseGradients() {
    DeviceArray<float> dense(std::vector<float>(p.rows() * dim, 7.0f));
    formGradients({.isUpdate = false, .update = {}, .dense = dense.get()});
    return dense.toHost();
  }

  bool hasRule() const { return p.rule.negatives.threshold != NegativeThreshold::kNone; }
  /// The rule of a sample in pass 2.
  const NegativeRule& ruleOf(int64_t sample) const {
    return samples.rules.empty() ? p.rule.negatives : samples.rules[samples.stepOfSample[sample]];
  }
  cuda::ClassList classes() const { return {positions(), samples.isList ? list.get() : nullptr}; }
  cuda::SamplesView view() const {
    return {p.batch,        unit.get(),          unitBf16.get(),       scale.get(),
            shift.get(),    gradientShift.get(), gradientFactor.get(), targetPosition.get(),
            threshold.get()};
  }
  int64_t positions() const { return samples.isList ? static_cast<int64_t>(samples.list.size()) : p.classes; }
  int64_t classAt(int64_t position) const { return samples.isList ? samples.list[position] : position; }

  Problem p;
  Samples samples;
  int64_t dim;
  DeviceCenters centers;
  DeviceArray<float> embeddings, rowParameters;
  DeviceArray<int32_t> localClass;
  DeviceArray<float> inverseNormsX, unit;
  DeviceArray<cuda::Bf16> unitBf16;
  DeviceArray<float> scale, shift, threshold, targetLogits, targetCosine, slope, byM1, byM2, tangentX, tangentW;
  DeviceArray<int32_t> winner, list, targetPosition;
  DeviceArray<uint8_t> hasClass;
  DeviceArray<int32_t> stepOfSample;
  DeviceArray<NegativeRule> ruleOfStep;
  DeviceArray<float> sumExp, weightedSum, loss, targetError, gradientShift, gradientFactor, rowGradient;
  DeviceArray<float> embeddingGradient;
  DeviceArray<float> coefficient;
  DeviceArray<int32_t> sortedPosition, sortedSample;
  TestWorkspace workspace;
  std::unique_ptr<cuda::Passes> passes = plainPasses();

 private:
  int64_t padded() const { return cuda::paddedSamples(p.batch); }
  std::vector<float> parameters() const {
    if (!p.rowParametersB4.empty()) return p.rowParametersB4;
    std::vector<float> rows;
    for (int64_t i = 0; i < p.batch; ++i) rows.insert(rows.end(), {p.rule.scale, p.rule.m1, p.rule.m2, p.rule.m3});
    return rows;
  }
  std::vector<int32_t> sortedTargets(bool ofPositions) const {
    std::vector<std::pair<int32_t, int32_t>> entries;
    for (int64_t i = 0; i < p.batch; ++i) {
      if (samples.targetPosition[i] >= 0) entries.emplace_back(samples.targetPosition[i], static_cast<int32_t>(i));
    }
    std::sort(entries.begin(), entries.end());
    std::vector<int32_t> result;
    for (const auto& [position, sample] : entries) result.push_back(ofPositions ? position : sample);
    return result;
  }
  void expectHonestWorkspace() const {
    EXPECT_LE(workspace.largest, passes->workspaceBytes(centers.view, positions(), samples.isList, p.batch));
  }
};

/// All classes, or those of `list`.
inline Samples samplesOf(const Problem& p) {
  Samples samples;
  samples.count = p.batch;
  samples.isList = p.isSampled;
  samples.list = p.sampled;
  samples.targetPosition.assign(cuda::paddedSamples(p.batch), -1);
  for (int64_t i = 0; i < p.batch; ++i) {
    if (!p.isSampled) {
      samples.targetPosition[i] = p.labelsB[i];
      continue;
    }
    const auto place = std::lower_bound(p.sampled.begin(), p.sampled.end(), p.labelsB[i]);
    if (place != p.sampled.end() && *place == p.labelsB[i]) {
      samples.targetPosition[i] = static_cast<int32_t>(place - p.sampled.begin());
    }
  }
  return samples;
}

}  // namespace hyperarc::test
