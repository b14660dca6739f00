// What the CUDA engine does once a sample, against the CPU engine: target terms, the end of forward, the check of
// embeddings.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include "cuda_target_terms.h"

namespace hyperarc::test {
namespace {

/// The part of a problem that a shard owns.
Problem shardOf(const Problem& p, int64_t firstClass, int64_t count) {
  Problem shard = p;
  shard.classes = count;
  const int64_t rowLength = p.subCenters * p.dim;
  for (std::vector<float>* rows : {&shard.weightsRD, &shard.momentumRD}) {
    *rows = {rows->begin() + firstClass * rowLength, rows->begin() + (firstClass + count) * rowLength};
  }
  return shard;
}

/// The same stage on the CPU engine is what it must equal.
void expectTargetTerms(const Problem& p, int64_t firstClass = 0, int64_t count = -1) {
  if (count < 0) count = p.classes;
  auto engine = makeEngine();
  auto centers = makeCenters(*engine, p, firstClass, count);
  std::unique_ptr<Step> step;
  const Status status = centers->targetTerms(p.asBatch(), &step);
  ASSERT_TRUE(status) << status.message();
  const auto& expected = dynamic_cast<cpu::CpuStep&>(*step);

  const Problem shard = shardOf(p, firstClass, count);
  const DeviceCenters deviceCenters(shard, Precision::kFp32);
  TargetTerms actual(p.batch, p.dim, true);
  runTargetTerms(p, deviceCenters, firstClass, actual);

  const auto first = [&](const cpu::FloatArray& array) { return std::span<const float>(array.data(), p.batch); };
  expectNear(actual.inverseNormsX.toHost(), first(expected.inverseNorms), "1/|x|");
  expectNear(actual.scale.toHost(), first(expected.scale), "scale", 0.0);
  expectNear(actual.shift.toHost(), first(expected.shift), "shift");
  expectPadding(actual.scale.toHost(), p.batch, "scale");
  expectPadding(actual.shift.toHost(), p.batch, "shift");
  expectNear(actual.targetLogits.toHost(), first(expected.targetLogits), "target logit");
  expectNear(actual.targetCosine.toHost(), first(expected.targetCosine), "target cosine");
  expectNear(actual.slope.toHost(), first(expected.slope), "h");
  // Until finishForward the CPU's row gradient holds dT/d(s, m1, m2, m3), 0 where the shard does not own the class.
  const std::vector<float> byM1 = actual.byM1.toHost(), byM2 = actual.byM2.toHost();
  for (int64_t i = 0; i < p.batch; ++i) {
    const float* byRow = expected.rowGradient.data() + 4 * i;
    ASSERT_NEAR(byM1[i], byRow[1], 3e-7 * std::max(1.0f, std::abs(byRow[1]))) << "dT/dm1 of sample " << i;
    ASSERT_NEAR(byM2[i], byRow[2], 3e-7 * std::max(1.0f, std::abs(byRow[2]))) << "dT/dm2 of sample " << i;
  }
  if (p.rule.negatives.threshold != NegativeThreshold::kNone) {
    expectNear(actual.threshold.toHost(), first(expected.threshold), "threshold");
    expectPadding(actual.threshold.toHost(), p.batch, "threshold");
  }
  expectNear(actual.tangentX.toHost(), {expected.tangentX.data(), size_t(p.batch * p.dim)}, "tangent at x");
  expectNear(actual.tangentW.toHost(), {expected.tangentW.data(), size_t(p.batch * p.dim)}, "tangent at w");

  std::vector<int32_t> winners(p.batch, 0);
  for (const cpu::TargetEntry& entry : expected.targets) winners[entry.sample] = entry.winner;
  EXPECT_EQ(actual.winner.toHost(), winners);
  const std::vector<float> unit = actual.unit.toHost();
  const std::vector<cuda::Bf16> unitBf16 = actual.unitBf16.toHost();
  const int64_t padded = deviceCenters.view.dimPadded;
  for (int64_t i = 0; i < cuda::paddedSamples(p.batch); ++i) {
    for (int64_t d = 0; d < padded; ++d) {
      const bool isInside = i < p.batch && d < p.dim;
      if (isInside) {
        const float expectedUnit =
            expected.unitXT[(i / expected.panel * p.dim + d) * expected.panel + i % expected.panel];
        ASSERT_NEAR(unit[i * p.dim + d], expectedUnit, 1e-7);
      }
      ASSERT_EQ(unitBf16[i * padded + d].bits, isInside ? cuda::toBf16(unit[i * p.dim + d]).bits : 0);
    }
  }
}

TEST(CudaTargetTerms, EqualTheCpuEnginesInEveryShape) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 2, 3, 31, 32, 33, 127, 130, 512, 513}) {
    for (int64_t subCenters : {1, 3}) {
      for (int64_t batch : {1, 5, 130}) {
        SCOPED_TRACE(testing::Message() << "B " << batch << " K " << subCenters << " D " << dim);
        expectTargetTerms(makeProblem(batch, 11, subCenters, dim, 5));
      }
    }
  }
  expectTargetTerms(makeProblem(4, 6, 16, 4096, 5));
}

TEST(CudaTargetTerms, EqualTheCpuEnginesForEveryMarginFallbackAndGradientMode) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(24, 20, 1, 17, 3);
  // Exactly on its centre, exactly opposite, and of zero length before a zero centre.
  for (int64_t d = 0; d < p.dim; ++d) {
    p.embeddingsBD[7 * p.dim + d] = 2.0f * p.weightsRD[p.labelsB[7] * p.dim + d];
    p.embeddingsBD[8 * p.dim + d] = -4.0f * p.weightsRD[p.labelsB[8] * p.dim + d];
  }
  p.labelsB[4] = 2;
  p.labelsB[5] = 2;
  const MarginRule rules[] = {{64, 1, 0.5, 0},  {64, 1, 0, 0.35},    {30, 1, 0, 0},    {64, 1, 0.3, 0.2},
                              {64, 1.35, 0, 0}, {16, 2, -0.4, -0.5}, {1024, 4, 1.5, 1}};
  for (MarginRule rule : rules) {
    for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
      for (GradientMode mode : {GradientMode::kExact, GradientMode::kStraightThrough}) {
        p.rule = rule;
        p.rule.fallback = fallback;
        p.rule.gradient = mode;
        SCOPED_TRACE(testing::Message() << rule.m1 << ' ' << rule.m2 << ' ' << rule.m3 << ' ' << int(fallback));
        expectTargetTerms(p);
      }
    }
  }
  for (int i = 0; i < 24; ++i) {
    for (float value : {10.0f + 3.0f * i, 1.0f + 0.05f * (i % 3), 0.02f * i, 0.3f - 0.02f * i})
      p.rowParametersB4.push_back(value);
  }
  expectTargetTerms(p);
}

TEST(CudaTargetTerms, EqualTheCpuEnginesForEveryFamilyAndThreshold) {
  HYPERARC_NEEDS_DEVICE();
  const auto ruleOf = [](MarginFamily family, float m1, float m2, float m3) {
    MarginRule rule = {64.0f, m1, m2, m3, Fallback::kNone};
    rule.family = family;
    return rule;
  };
  MarginRule clipped = {64.0f, 1.0f, 0.5f, 0.0f, Fallback::kClip};
  clipped.clipRadians = 0.05f;
  const MarginRule rules[] = {
      ruleOf(MarginFamily::kSphere, 3.5f, 0.0f, 0.1f), ruleOf(MarginFamily::kQuadratic, 0.4f, -0.3f, -0.2f),
      ruleOf(MarginFamily::kCircle, 1.0f, 0.25f, 0.0f), ruleOf(MarginFamily::kCosine, 1.0f, 0.5f, 0.1f), clipped};
  Problem p = makeProblem(24, 20, 2, 17, 3);
  for (const MarginRule& rule : rules) {
    for (float blend : {1.0f, 0.25f}) {
      for (NegativeThreshold threshold :
           {NegativeThreshold::kNone, NegativeThreshold::kFixed, NegativeThreshold::kTarget}) {
        SCOPED_TRACE(testing::Message() << int(rule.family) << ' ' << blend << ' ' << int(threshold));
        p.rule = rule;
        p.rule.blend = blend;
        p.rule.negatives = {.threshold = threshold, .fixed = 0.3f, .above = {{0.5f, 2, 1}, {2, 2}}};
        expectTargetTerms(p);
        expectTargetTerms(p, 4, 9);
      }
    }
  }
}

TEST(CudaTargetTerms, LeaveTheSamplesOfOtherShardsAlone) {
  HYPERARC_NEEDS_DEVICE();
  const Problem p = makeProblem(20, 15, 2, 9, 4);
  expectTargetTerms(p, 0, 4);
  expectTargetTerms(p, 4, 7);
  expectTargetTerms(p, 11, 4);
}

TEST(CudaTargetTerms, ReadTheMasterOfEachPrecision) {
  HYPERARC_NEEDS_DEVICE();
  Problem rounded = makeProblem(9, 6, 2, 21, 4);
  for (float& w : rounded.weightsRD) w = widened(cuda::toBf16(w));
  // A bf16 master equals fp32 centres of the same values; bf16 compute reads its fp32 master, not the copy.
  const Problem exact = makeProblem(9, 6, 2, 21, 4);
  for (Precision precision : {Precision::kBf16Master, Precision::kBf16Compute}) {
    const Problem& p = precision == Precision::kBf16Master ? rounded : exact;
    TargetTerms expected(p.batch, p.dim, false), actual(p.batch, p.dim, true);
    runTargetTerms(p, DeviceCenters(p, Precision::kFp32), 0, expected);
    runTargetTerms(p, DeviceCenters(p, precision), 0, actual);
    EXPECT_EQ(actual.targetLogits.toHost(), expected.targetLogits.toHost());
    EXPECT_EQ(actual.tangentW.toHost(), expected.tangentW.toHost());
    EXPECT_EQ(actual.winner.toHost(), expected.winner.toHost());
  }
}

TEST(CudaFinishForward, EqualsTheCpuEngine) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 33, 130, 512}) {
    const Problem p = makeProblem(11, 30, 1, dim, 8);
    auto engine = makeEngine();
    auto centers = makeCenters(*engine, p);
    std::unique_ptr<Step> step;
    ASSERT_TRUE(centers->targetTerms(p.asBatch(), &step));
    ASSERT_TRUE(centers->negativeSums(step.get()));
    // No negatives, a NaN, a sum that leaves nothing of the target.
    step->sumExpB()[0] = 0.0f;
    step->sumExpB()[1] = kNan;
    step->sumExpB()[2] = 1e35f;
    ASSERT_TRUE(centers->finishForward(step.get()));
    const auto& expected = dynamic_cast<cpu::CpuStep&>(*step);

    TargetTerms terms(p.batch, dim, false);
    runTargetTerms(p, DeviceCenters(p, Precision::kFp32), 0, terms);
    const auto first = [&](const cpu::FloatArray& array) { return std::span<const float>(array.data(), p.batch); };
    const auto matrix = [&](const cpu::FloatArray& array) {
      return std::vector<float>(array.data(), array.data() + p.batch * dim);
    };
    const DeviceArray<float> sumExp(copyOf(step->sumExpB())), weightedSum(matrix(expected.weightedSum));
    const int64_t padded = cuda::paddedSamples(p.batch);
    DeviceArray<float> loss(p.batch), targetError(p.batch), gradientShift(padded), gradientFactor(padded);
    DeviceArray<float> embeddingGradient(p.batch * dim), coefficient(p.batch);
    const DeviceArray<int32_t> localClass(p.labelsB);
    DeviceArray<float> rowGradient(4 * p.batch);
    cuda::launchFinishForward({.samples = p.batch,
                               .dim = static_cast<int32_t>(dim),
                               .dimPadded = cuda::paddedDim(static_cast<int32_t>(dim)),
                               .inverseNormsX = terms.inverseNormsX.get(),
                               .unit = terms.unit.get(),
                               .unitBf16 = nullptr,
                               .localClass = localClass.get(),
                               .hasNegativeRule = false,
                               .blend = p.rule.blend,
                               .scale = terms.scale.get(),
                               .shift = terms.shift.get(),
                               .targetLogits = terms.targetLogits.get(),
                               .slope = terms.slope.get(),
                               .byM1 = terms.byM1.get(),
                               .byM2 = terms.byM2.get(),
                               .tangentX = terms.tangentX.get(),
                               .sumExp = sumExp.get(),
                               .weightedSum = weightedSum.get(),
                               .loss = loss.get(),
                               .targetError = targetError.get(),
                               .gradientShift = gradientShift.get(),
                               .gradientFactor = gradientFactor.get(),
                               .rowGradient = rowGradient.get(),
                               .embeddingGradient = embeddingGradient.get()},
                              nullptr);
    expectNear(loss.toHost(), first(expected.loss), "loss", 1e-6);
    expectNear(targetError.toHost(), first(expected.targetError), "1 - p");
    expectNear(gradientShift.toHost(), first(expected.gradientShift), "gradient shift");
    expectPadding(gradientShift.toHost(), p.batch, "gradient shift");
    expectPadding(gradientFactor.toHost(), p.batch, "gradient factor");
    // Shift and factor belong together: the factor undoes the rounding of the shift.
    const std::vector<float> shifts = gradientShift.toHost(), factors = gradientFactor.toHost();
    for (int64_t i = 0; i < p.batch; ++i) {
      if (i == 1) continue;
      const double whole = double(expected.gradientShift[i]) - std::log(double(expected.gradientFactor[i]));
      if (i == 0) {
        EXPECT_EQ(factors[i], 0.0f);
      } else {
        EXPECT_NEAR(double(shifts[i]) - std::log(double(factors[i])), whole, 1e-6);
      }
    }
    expectNear(rowGradient.toHost(), copyOf(step->rowGradientB4()), "row gradient", 1e-6);
    expectNear(embeddingGradient.toHost(), matrix(expected.embeddingGradient), "dX", 1e-6);

    cuda::launchTargetCoefficients(targetError.get(), terms.slope.get(), p.batch, 3.0 * p.batch, coefficient.get(),
                                   nullptr);
    const std::vector<float> errors = targetError.toHost(), slopes = terms.slope.toHost(),
                             coefficients = coefficient.toHost();
    for (int64_t i = 0; i < p.batch; ++i) {
      if (i == 1) continue;
      EXPECT_EQ(coefficients[i], static_cast<float>(-double(errors[i]) * slopes[i] / (3.0 * p.batch)));
    }
  }
}

TEST(CudaFindNonFinite, NamesTheLowestIndex) {
  HYPERARC_NEEDS_DEVICE();
  const int64_t count = 5000;
  DeviceArray<float> values(count);
  DeviceArray<unsigned long long> flag(1);
  const auto find = [&](const std::vector<float>& host) {
    values.set(host);
    flag.set({0});
    cuda::launchFindNonFinite(values.get(), count, flag.get(), nullptr);
    return flag.toHost()[0];
  };
  std::vector<float> host(count, std::numeric_limits<float>::max());
  EXPECT_EQ(find(host), 0u);
  host[4999] = kNan;
  EXPECT_EQ(find(host), 5000u);
  host[700] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(find(host), 701u);
  host[699] = kNan;
  EXPECT_EQ(find(host), 700u);
  host[0] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(find(host), 1u);
}

}  // namespace
}  // namespace hyperarc::test

#endif
