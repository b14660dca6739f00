// The plain CUDA passes: each stage element by element against double precision on the operands that the device has,
// and whole steps against the reference.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "cuda_plain_checks.h"
#include "sanitized.h"

namespace hyperarc::test {
namespace {

TEST(CudaPlain, MatchesDoublePrecisionInEveryShape) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 2, 3, 16, 17, 130, 513}) {
    for (int64_t subCenters : {1, 3}) {
      for (const auto& [batch, classes] :
           {std::pair<int64_t, int64_t>{1, 2}, {5, 63}, {17, 64}, {129, 65}, {33, 130}}) {
        SCOPED_TRACE(testing::Message() << "B " << batch << " C " << classes << " K " << subCenters << " D " << dim);
        Problem p = makeProblem(batch, classes, subCenters, dim, 11);
        expectStages(p, Precision::kFp32);
        if (classes < 64) continue;
        sampleHalf(p);
        expectStages(p, Precision::kFp32);
      }
    }
  }
}

TEST(CudaPlain, MatchesDoublePrecisionOnBf16Operands) {
  HYPERARC_NEEDS_DEVICE();
  for (Precision precision : {Precision::kBf16Compute, Precision::kBf16Master}) {
    for (int64_t dim : {3, 130, 513, 1100}) {
      for (int64_t subCenters : {1, 2}) {
        SCOPED_TRACE(testing::Message() << "K " << subCenters << " D " << dim << " precision " << int(precision));
        Problem p = makeProblem(19, 70, subCenters, dim, 12);
        expectStages(p, precision);
        sampleHalf(p);
        expectStages(p, precision);
      }
    }
  }
}

TEST(CudaPlain, MatchesDoublePrecisionUnderNegativeRules) {
  HYPERARC_NEEDS_DEVICE();
  for (const NamedRule& head : headsWithNegatives()) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16Compute}) {
      for (int64_t subCenters : {1, 3}) {
        SCOPED_TRACE(testing::Message() << head.name << " K " << subCenters << " precision " << int(precision));
        Problem p = crowdedProblem(33, 130, subCenters, 48, head.rule, 21, precision);
        expectStages(p, precision);
        sampleHalf(p);
        expectStages(p, precision);
      }
    }
  }
}

// Steps one after another with rules of their own, one of them without: pass 2 alone, as accumulation forms it.
TEST(CudaPlain, TakesARuleOfEachStep) {
  HYPERARC_NEEDS_DEVICE();
  const std::vector<NamedRule> heads = headsWithNegatives();
  for (bool isMasked : {false, true}) {
    Problem p = crowdedProblem(40, 150, 2, 20, heads[0].rule, 14);
    if (isMasked) sampleHalf(p);
    Samples samples = samplesOf(p);
    samples.stepCount = 4;
    std::mt19937 random(4);
    for (int64_t i = 0; i < p.batch; ++i) samples.stepOfSample.push_back(static_cast<int32_t>(i * 4 / p.batch));
    for (size_t n = 0; isMasked && n < 4 * p.sampled.size(); ++n) samples.hasClass.push_back(random() % 3 > 0);
    for (int n = 0; n < 3; ++n) samples.rules.push_back(heads[n].rule.negatives);
    samples.rules.push_back({.threshold = NegativeThreshold::kFixed});
    PlainRun run(p, Precision::kFp32, samples);
    run.sumNegatives();
    run.finish();
    expectGradients(run);
  }
}

TEST(CudaPlain, MatchesDoublePrecisionAcrossChunks) {
  HYPERARC_NEEDS_DEVICE();
  // More classes, rows of sub-centres, and samples than a chunk holds.
  expectStages(makeProblem(3, 8200, 1, 4, 3), Precision::kFp32);
  expectStages(makeProblem(3, 2800, 3, 4, 3), Precision::kFp32);
  expectStages(makeProblem(2051, 5, 1, 4, 3), Precision::kFp32);
  expectStages(makeProblem(2051, 5, 1, 4, 3), Precision::kBf16Compute);
}

TEST(CudaPlain, MatchesDoublePrecisionAcrossChunksThatALargeDMakesShorter) {
  HYPERARC_NEEDS_DEVICE();
  if (kIsSanitized)
    GTEST_SKIP() << "a chunk has 16 million numbers at least: a minute; guard bytes watch it without a sanitizer";
  expectStages(makeProblem(2, 4099, 1, 4096, 3), Precision::kFp32);
}

TEST(CudaPlain, WholeStepsMatchTheReference) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t subCenters : {1, 2, 16}) {
    for (int64_t dim : {3, 127, 512}) {
      SCOPED_TRACE(testing::Message() << "K " << subCenters << " D " << dim);
      expectStep(makeProblem(24, 60, subCenters, dim, 9));
    }
  }
  expectStep(makeProblem(300, 400, 1, 64, 9));
  expectStep(makeProblem(16, kIsSanitized ? 600 : 3000, 1, 512, 9));
  expectStep(makeProblem(12, 50, 1, 4096, 9));
  Problem sampled = makeProblem(20, 100, 2, 40, 9);
  std::set<int32_t> classes(sampled.labelsB.begin(), sampled.labelsB.end());
  for (int32_t j = 0; j < 100; j += 3) classes.insert(j);
  sampled.isSampled = true;
  sampled.sampled.assign(classes.begin(), classes.end());
  expectStep(sampled);
}

TEST(CudaPlain, TargetsOnTheirCenterAndOppositeStayFinite) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(8, 20, 1, 33, 3);
  for (int64_t d = 0; d < p.dim; ++d) {
    p.embeddingsBD[1 * p.dim + d] = 2.0f * p.weightsRD[p.labelsB[1] * p.dim + d];
    p.embeddingsBD[2 * p.dim + d] = -2.0f * p.weightsRD[p.labelsB[2] * p.dim + d];
  }
  for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
    p.rule.fallback = fallback;
    expectStep(p);
  }
}

TEST(CudaPlain, NoClassesGiveZeros) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(5, 20, 2, 7, 3);
  p.isSampled = true;
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  EXPECT_EQ(run.sumExp.toHost(), std::vector<float>(5, 0.0f));
  EXPECT_EQ(run.weightedSum.toHost(), std::vector<float>(5 * 7, 0.0f));
  run.finish();
  EXPECT_EQ(run.loss.toHost(), std::vector<float>(5, 0.0f));
  EXPECT_EQ(run.denseGradients(), std::vector<float>(p.rows() * 7, 7.0f));
}

TEST(CudaPlain, OneClassOfOwnSamplesMovesByNothing) {
  HYPERARC_NEEDS_DEVICE();
  const Problem p = makeProblem(3, 1, 1, 9, 3);
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  EXPECT_EQ(run.sumExp.toHost(), std::vector<float>(3, 0.0f));
  run.finish();
  for (float value : run.denseGradients()) EXPECT_EQ(value, 0.0f);
}

TEST(CudaPlain, MasksClassesThatAStepDidNotDraw) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t subCenters : {1, 3}) {
    Problem p = makeProblem(37, 150, subCenters, 20, 14);
    sampleHalf(p);
    Samples samples = samplesOf(p);
    samples.stepCount = 3;
    std::mt19937 random(4);
    for (int64_t i = 0; i < p.batch; ++i) samples.stepOfSample.push_back(static_cast<int32_t>(i * 3 / p.batch));
    for (int64_t n = 0; n < 3 * static_cast<int64_t>(p.sampled.size()); ++n)
      samples.hasClass.push_back(random() % 3 > 0);
    PlainRun run(p, Precision::kFp32, samples);
    run.sumNegatives();
    run.finish();
    // A sample whose step had no negative for it: its exponent has no bound, and it must not count.
    std::vector<float> shift = run.gradientShift.toHost(), factor = run.gradientFactor.toHost();
    shift[5] = -1000.0f;
    factor[5] = 0.0f;
    run.gradientShift.set(shift);
    run.gradientFactor.set(factor);
    expectGradients(run);
  }
}

TEST(CudaPlain, EqualSubCentersGiveTheGradientToTheLowest) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(6, 8, 3, 12, 5);
  for (int64_t j = 0; j < p.classes; ++j) {
    for (int64_t d = 0; d < p.dim; ++d) {
      float* w = &p.weightsRD[j * 3 * p.dim + d];
      w[2 * p.dim] = w[p.dim];
    }
  }
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  run.finish();
  const std::vector<float> gradient = run.denseGradients();
  for (int64_t j = 0; j < p.classes; ++j) {
    for (int64_t d = 0; d < p.dim; ++d) EXPECT_EQ(gradient[(j * 3 + 2) * p.dim + d], 0.0f);
  }
}

TEST(CudaPlain, ANanReachesLossAndGradients) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(4, 10, 2, 6, 5);
  p.weightsRD[(7 * 2 + 1) * 6 + 3] = std::nanf("");
  p.labelsB = {0, 1, 7, 3};
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  run.finish();
  const std::vector<float> loss = run.loss.toHost();
  for (int i : {0, 1, 3}) EXPECT_TRUE(std::isnan(loss[i])) << i;
}

}  // namespace
}  // namespace hyperarc::test

#endif
