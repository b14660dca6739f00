// The engine against the double reference, on every instruction set and on shapes with every tail.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "engines.h"
#include "matches.h"
#include "reference.h"
#include "sanitized.h"

namespace hyperarc::test {
namespace {

using Shape = std::tuple<int64_t, int64_t, int64_t, int64_t>;  // B, C, K, D

class EngineShapes : public testing::TestWithParam<Shape> {};

TEST_P(EngineShapes, MatchesTheReferenceOnEveryEngine) {
  const auto [batch, classes, subCenters, dim] = GetParam();
  const Problem p = makeProblem(batch, classes, subCenters, dim, 11);
  for (const Variant& variant : variants()) {
    SCOPED_TRACE(variant.name);
    auto engine = makeEngine(variant.config);
    expectMatches(*engine, inPrecision(p, variant.precision));
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, EngineShapes,
                         testing::Combine(testing::Values(1, 2, 15, 16, 17, 33, 64), testing::Values(2, 13, 257),
                                          testing::Values(1, 3), testing::Values(7, 127)));
INSTANTIATE_TEST_SUITE_P(Dimensions, EngineShapes,
                         testing::Combine(testing::Values(5), testing::Values(1, 13, 300), testing::Values(1, 2),
                                          testing::Values(3, 15, 16, 17, 31, 32, 33, 128, 512)));
// Several tiles of samples, chunks of classes with one sub-centre and with three, most sub-centres, the largest D.
INSTANTIATE_TEST_SUITE_P(Large, EngineShapes,
                         kIsSanitized
                             ? testing::Values(Shape{300, 100, 1, 64}, Shape{40, 600, 1, 512}, Shape{24, 520, 3, 64},
                                               Shape{9, 12, 16, 1000}, Shape{5, 9, 1, 4096}, Shape{3, 5000, 1, 16})
                             : testing::Values(Shape{300, 1000, 1, 64}, Shape{40, 1500, 1, 512}, Shape{70, 700, 3, 256},
                                               Shape{9, 40, 16, 1000}, Shape{33, 50, 1, 4096}, Shape{3, 5000, 1, 16}));

TEST_P(EachEngine, MatchesInOneAndTwoDimensions) {
  // Here the tangent part is all cancellation (in one dimension exactly 0), so errors are measured against what it is
  // the rest of: s/‖v‖.
  for (int64_t dim : {1, 2}) {
    const Problem p = problem(5, 300, 2, dim, 11);
    const ReferenceStep expected = referenceStep(p);
    auto centers = makeCenters(*engine, p);
    auto step = forwardOf(*centers, p.asBatch());
    EXPECT_LE(relativeError(step->lossB(), expected.lossB), tolerance());
    const std::vector<float> gradient = gradientOf(*centers, {step.get()});
    for (int64_t r = 0; r < p.rows(); ++r) {
      for (int64_t d = 0; d < dim; ++d) {
        const double norm =
            dim == 1 ? std::abs(p.weightsRD[r]) : std::hypot(p.weightsRD[2 * r], p.weightsRD[2 * r + 1]);
        const double difference = gradient[r * dim + d] - expected.centerGradientRD[r * dim + d];
        ASSERT_LE(std::abs(difference) * norm, 0.1 * tolerance() * p.rule.scale) << "row " << r;
      }
    }
  }
}

TEST_P(EachEngine, MatchesForEveryMarginFallbackAndGradientMode) {
  Problem p = problem(24, 60, 1, 48, 3);
  const MarginRule rules[] = {{64, 1, 0.5, 0},   {64, 1, 0, 0.35}, {30, 1, 0, 0},
                              {64, 1, 0.3, 0.2}, {64, 1.35, 0, 0}, {16, 2, -0.4, -0.5}};
  for (MarginRule rule : rules) {
    for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
      for (GradientMode mode : {GradientMode::kExact, GradientMode::kStraightThrough}) {
        SCOPED_TRACE(testing::Message() << rule.m1 << ' ' << rule.m2 << ' ' << rule.m3 << " fallback "
                                        << int(fallback));
        p.rule = rule;
        p.rule.fallback = fallback;
        p.rule.gradient = mode;
        expectMatches(*engine, p);
      }
    }
  }
}

TEST_P(EachEngine, MatchesForEveryFamilyBlendAndGradientMode) {
  Problem p = problem(24, 60, 2, 48, 3);
  const auto ruleOf = [](MarginFamily family, float scale, float m1, float m2, float m3) {
    MarginRule rule = {.scale = scale, .m1 = m1, .m2 = m2, .m3 = m3, .family = family, .clipRadians = 0.05f};
    rule.fallback = family == MarginFamily::kCosine ? Fallback::kClip : Fallback::kNone;
    return rule;
  };
  for (const MarginRule& rule :
       {ruleOf(MarginFamily::kCosine, 64, 1, 0.5f, 0.1f), ruleOf(MarginFamily::kSphere, 30, 1.7f, 0, 0),
        ruleOf(MarginFamily::kSphere, 16, 4, 0, 0), ruleOf(MarginFamily::kQuadratic, 64, 0.9f, 0.1f, -0.65f),
        ruleOf(MarginFamily::kCircle, 64, 1, 0.25f, 0.1f)}) {
    for (float blend : {1.0f, 0.3f}) {
      for (GradientMode mode : {GradientMode::kExact, GradientMode::kStraightThrough}) {
        SCOPED_TRACE(testing::Message() << "family " << int(rule.family) << " m1 " << rule.m1 << " blend " << blend);
        p.rule = rule;
        p.rule.blend = blend;
        p.rule.gradient = mode;
        expectMatches(*engine, p);
      }
    }
  }
}

TEST_P(EachEngine, TakesMarginParametersPerSample) {
  Problem p = problem(20, 50, 2, 32, 5);
  for (int i = 0; i < 20; ++i) {
    for (float value : {10.0f + 3.0f * i, 1.0f + 0.05f * (i % 3), 0.02f * i, 0.3f - 0.02f * i})
      p.rowParametersB4.push_back(value);
  }
  expectMatches(*engine, p);
}

TEST_P(EachEngine, MatchesOnSampledClasses) {
  for (int64_t subCenters : {1, 3}) {
    Problem p = problem(40, 700, subCenters, 96, 7);
    p.isSampled = true;
    auto centers = makeCenters(*engine, p);
    const Status status = centers->sample(p.labelsB.data(), p.batch, {.rate = 0.3, .seed = 5, .step = 9}, &p.sampled);
    ASSERT_TRUE(status) << status.message();
    EXPECT_EQ(p.sampled.size(), 210u);
    expectMatches(*engine, p);
  }
}

TEST_P(EachEngine, OneSampledClassLeavesNothingToLearn) {
  Problem p = problem(1, 10, 1, 8, 7);
  p.isSampled = true;
  p.sampled = {p.labelsB[0]};
  expectMatches(*engine, p);
}

TEST_P(EachEngine, KeepsItsNegativesAtAnyScale) {
  // Above s = 69 every negative of a row can fall below fp32 under the first shift.
  for (float scale : {64.0f, 128.0f, 400.0f, 1024.0f}) {
    SCOPED_TRACE(scale);
    Problem p = problem(12, 30, 1, 64, 13);
    p.rule.scale = scale;
    // Row 3 points away from every centre: all its cosines are negative.
    Problem away = p;
    std::fill_n(&away.embeddingsBD[3 * 64], 64, 0.0f);
    for (int64_t n = 0; n < 30 * 64; ++n) {
      away.weightsRD[n] = std::abs(away.weightsRD[n]);
      away.embeddingsBD[3 * 64 + n % 64] -= away.weightsRD[n];
    }
    const ReferenceStep expected = referenceStep(away);
    auto centers = makeCenters(*engine, away);
    auto step = forwardOf(*centers, away.asBatch());
    // The error of a cosine counts s times in the exponent. And of the sum along row 3 the projection leaves little, so
    // that the rounding of its bf16 terms counts more than elsewhere.
    const double cancellation = p.precision == Precision::kFp32 ? 1.0 : 3.0;
    const double allowed = cancellation * tolerance() * std::max(1.0, scale / 64.0);
    EXPECT_LE(relativeError(step->lossB(), expected.lossB), allowed);
    EXPECT_LE(relativeError(step->embeddingGradientBD(), expected.embeddingGradientBD), allowed);
    EXPECT_LE(relativeError(gradientOf(*centers, {step.get()}), expected.centerGradientRD), allowed);
    EXPECT_GT(step->sumExpB()[3], 0.0f);
  }
}

TEST_P(EachEngine, StaysFiniteAtCosinesOfPlusAndMinusOne) {
  for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
    Problem p = problem(4, 6, 1, 32, 17);
    p.rule.fallback = fallback;
    p.labelsB = {0, 1, 0, 3};
    for (int64_t d = 0; d < 32; ++d) {
      p.embeddingsBD[d] = 4.0f * p.weightsRD[d];                // c = 1
      p.embeddingsBD[32 + d] = -8.0f * p.weightsRD[32 + d];     // c = −1
      p.embeddingsBD[64 + d] = 2.0f * p.weightsRD[4 * 32 + d];  // c = 1 with a wrong class
    }
    auto centers = makeCenters(*engine, p);
    auto step = forwardOf(*centers, p.asBatch());
    EXPECT_FLOAT_EQ(step->targetCosineB()[0], 1.0f);
    EXPECT_FLOAT_EQ(step->targetCosineB()[1], -1.0f);
    expectMatches(*engine, p);
  }
}

TEST_P(EachEngine, CosinesAreTheMaximumOverSubCenters) {
  const Problem p = problem(300, 77, 3, 40, 23);
  auto centers = makeCenters(*engine, p);
  std::vector<float> cosines(p.batch * p.classes);
  const Status status = centers->cosines(p.embeddingsBD.data(), p.batch, cosines.data());
  ASSERT_TRUE(status) << status.message();
  for (int64_t i = 0; i < p.batch; ++i) {
    for (int64_t j = 0; j < p.classes; ++j) {
      double best = -2.0;
      for (int64_t k = 0; k < 3; ++k) {
        double xw = 0.0, xx = 0.0, ww = 0.0;
        for (int64_t d = 0; d < p.dim; ++d) {
          const double x = p.embeddingsBD[i * p.dim + d], w = p.weightsRD[(3 * j + k) * p.dim + d];
          xw += x * w, xx += x * x, ww += w * w;
        }
        best = std::max(best, xx == 0.0 || ww == 0.0 ? 0.0 : xw / std::sqrt(xx * ww));
      }
      ASSERT_NEAR(cosines[i * p.classes + j], best, 5e-7) << i << ' ' << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, EachEngine, testing::ValuesIn(variants()), nameOf);

}  // namespace
}  // namespace hyperarc::test
