// Engines under a negative rule against the double reference, and what must hold of any rule.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engines.h"
#include "matches.h"
#include "negative_problems.h"
#include "shards.h"

namespace hyperarc::test {
namespace {

class Negatives : public EachEngine {
 protected:
  Problem crowded(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, const MarginRule& rule,
                  uint32_t seed) const {
    return crowdedProblem(batch, classes, subCenters, dim, rule, seed, GetParam().precision);
  }
};

void expectBothBranches(const Problem& p) {
  const ReferenceStep step = referenceStep(p);
  EXPECT_GT(step.above, (step.above + step.below) / 200);
  EXPECT_GT(step.below, (step.above + step.below) / 200);
}

TEST_P(Negatives, MatchTheReferenceOnEveryTail) {
  const int64_t shapes[][4] = {{24, 60, 1, 48}, {33, 257, 3, 33},  {5, 13, 1, 7},   {17, 29, 2, 127},
                               {1, 40, 1, 16},  {64, 700, 1, 128}, {300, 90, 1, 64}};
  for (const NamedRule& head : headsWithNegatives()) {
    for (const auto& [batch, classes, subCenters, dim] : shapes) {
      SCOPED_TRACE(testing::Message() << head.name << ' ' << batch << ' ' << classes << ' ' << subCenters << ' '
                                      << dim);
      const Problem p = crowded(batch, classes, subCenters, dim, head.rule, 11);
      if (batch > 20) expectBothBranches(p);
      expectMatches(*engine, p);
    }
  }
}

TEST_P(Negatives, TakeTheThresholdOfEachSamplesOwnRow) {
  for (const NamedRule& head : headsWithNegatives()) {
    SCOPED_TRACE(head.name);
    std::vector<float> rows;
    for (int i = 0; i < 20; ++i) {
      for (float value : {16.0f + 2.0f * i, 1.0f, 0.02f * i, 0.3f - 0.03f * i}) rows.push_back(value);
    }
    const Problem p = crowdedProblem(20, 50, 2, 32, head.rule, rows, 5, GetParam().precision);
    expectBothBranches(p);
    expectMatches(*engine, p);
    auto centers = makeCenters(*engine, p);
    std::unique_ptr<Step> step;
    ASSERT_TRUE(centers->targetTerms(p.asBatch(), &step));
    if (head.rule.negatives.threshold == NegativeThreshold::kTarget) {
      const ReferenceStep expected = referenceStep(p);
      for (int i = 0; i < 20; ++i) EXPECT_NEAR(step->targetThresholdB()[i], expected.thresholdB[i], 1e-6) << i;
    } else {
      EXPECT_TRUE(step->targetThresholdB().empty());
    }
  }
}

TEST_P(Negatives, MatchOnSampledClasses) {
  for (const NamedRule& head : headsWithNegatives()) {
    for (int64_t subCenters : {1, 3}) {
      SCOPED_TRACE(testing::Message() << head.name << ' ' << subCenters);
      Problem p = crowded(40, 500, subCenters, 64, head.rule, 7);
      auto centers = makeCenters(*engine, p);
      ASSERT_TRUE(centers->sample(p.labelsB.data(), p.batch, {.rate = 0.3, .seed = 5, .step = 9}, &p.sampled));
      p.isSampled = true;
      expectBothBranches(p);
      expectMatches(*engine, p);
      // And where no negative is left.
      Problem one = p.slice(0, 1);
      one.sampled = {p.labelsB[0]};
      expectMatches(*engine, one);
    }
  }
}

TEST_P(Negatives, AccumulateUnderEachStepsOwnRule) {
  std::vector<NamedRule> heads = headsWithNegatives();
  heads.push_back({"none", {}});
  for (int64_t subCenters : {1, 2}) {
    Problem p = crowded(7 * static_cast<int64_t>(heads.size()), 90, subCenters, 33, heads[0].rule, 43);
    auto centers = makeCenters(*engine, p);
    std::vector<std::unique_ptr<Step>> steps;
    std::vector<Step*> given;
    Doubles expected(p.rows() * p.dim, 0.0);
    for (size_t n = 0; n < heads.size(); ++n) {
      Problem part = p.slice(7 * n, 7 * (n + 1));
      part.rule = heads[n].rule;
      const ReferenceStep reference = referenceStep(part);
      ASSERT_GT(reference.nearest, 1e-6) << heads[n].name;
      for (size_t k = 0; k < expected.size(); ++k) expected[k] += reference.centerGradientRD[k] * 7 / p.batch;
      steps.push_back(forwardOf(*centers, part.asBatch()));
      given.push_back(steps.back().get());
    }
    EXPECT_LE(relativeError(gradientOf(*centers, given), expected), tolerance());
  }
}

TEST_P(Negatives, OfShardsTogetherEqualTheWhole) {
  for (const NamedRule& head : headsWithNegatives()) {
    for (int64_t subCenters : {1, 2}) {
      SCOPED_TRACE(testing::Message() << head.name << ' ' << subCenters);
      MarginRule rule = head.rule;
      rule.scale = std::min(rule.scale, 64.0f);  // shards share the first shift: Circle's 256 would answer E_RANGE
      const Problem p = crowded(37, 310, subCenters, 60, rule, 41);
      const ReferenceStep expected = referenceStep(p);
      Shards shards = forwardInShards(*engine, p, {0, 100, 101, 310});
      // A shard that owns none of the labels has the thresholds of the others.
      const bool isOwn = head.rule.negatives.threshold == NegativeThreshold::kTarget;
      ASSERT_EQ(shards.steps[1]->targetThresholdB().size(), isOwn ? 37u : 0u);
      for (int i = 0; isOwn && i < 37; ++i)
        EXPECT_NEAR(shards.steps[1]->targetThresholdB()[i], expected.thresholdB[i], 1e-6);
      EXPECT_LE(relativeError(shards.steps[1]->lossB(), expected.lossB), tolerance());
      EXPECT_LE(relativeError(shards.steps[2]->embeddingGradientBD(), expected.embeddingGradientBD), tolerance());
      expectRowGradient(*shards.steps[0], expected, tolerance());
      EXPECT_LE(relativeError(gradientOf(shards), expected.centerGradientRD), tolerance());
    }
  }
}

TEST_P(Negatives, OfTheIdentityRuleEqualThoseOfNone) {
  for (int64_t subCenters : {1, 3}) {
    Problem p = problem(40, 300, subCenters, 48, 3);
    const ReferenceStep expected = referenceStep(p);
    p.rule.negatives.threshold = NegativeThreshold::kFixed;
    p.rule.negatives.fixed = 0.1f;
    auto centers = makeCenters(*engine, p);
    auto step = forwardOf(*centers, p.asBatch());
    EXPECT_LE(relativeError(step->lossB(), expected.lossB), tolerance());
    EXPECT_LE(relativeError(step->embeddingGradientBD(), expected.embeddingGradientBD), tolerance());
    EXPECT_LE(relativeError(gradientOf(*centers, {step.get()}), expected.centerGradientRD), tolerance());
  }
}

TEST_P(Negatives, ThatDoNotMoveLeaveTheTargetsShareAlone) {
  // Every negative's logit is the constant 0.25·s: U is 0, l is not.
  for (int64_t subCenters : {1, 2}) {
    Problem p = problem(12, 40, subCenters, 32, 19);
    const NegativeBranch constant = {{0.25f, 0, 0}, {0, 0}};
    p.rule.negatives = {.threshold = NegativeThreshold::kFixed, .fixed = 0.0f, .above = constant, .below = constant};
    expectMatches(*engine, p);
    auto centers = makeCenters(*engine, p);
    auto step = forwardOf(*centers, p.asBatch());
    for (int64_t i = 0; i < p.batch; ++i) EXPECT_FLOAT_EQ(step->sumExpB()[i], 39.0f * std::exp(0.25f * 64.0f));
    const std::vector<float> gradient = gradientOf(*centers, {step.get()});
    for (int64_t j = 0; j < p.classes; ++j) {
      if (std::ranges::find(p.labelsB, j) != p.labelsB.end()) continue;
      for (int64_t n = j * subCenters * p.dim; n < (j + 1) * subCenters * p.dim; ++n) ASSERT_EQ(gradient[n], 0.0f);
    }
  }
}

TEST_P(Negatives, AreKeptAtAnyScaleAndFarBelowTheirBound) {
  // What the first shift allows for is never met: c·(1 + c) is at most 2, the cosines here are small; and the last rule
  // puts every negative 3·s below the bound.
  const NegativeBranch lowered = {{-2, 1, 0}, {1, 0}};
  const NegativeRule rules[] = {
      {.threshold = NegativeThreshold::kTarget, .above = {{0, 1, 1}, {1, 2}}},
      {.threshold = NegativeThreshold::kFixed, .fixed = 0.4f, .above = {{0, 0, 0}, {0, 0}}},
      {.threshold = NegativeThreshold::kFixed, .fixed = 1.0f, .above = {{1, 0, 0}, {0, 0}}, .below = lowered}};
  for (float scale : {64.0f, 400.0f, 1024.0f}) {
    for (const NegativeRule& rule : rules) {
      SCOPED_TRACE(testing::Message() << scale << ' ' << rule.fixed);
      MarginRule margin;
      margin.scale = scale;
      margin.negatives = rule;
      const Problem p = crowded(12, 30, 1, 64, margin, 13);
      const ReferenceStep expected = referenceStep(p);
      auto centers = makeCenters(*engine, p);
      auto step = forwardOf(*centers, p.asBatch());
      // The error of a cosine counts s·N' times in the exponent.
      const double allowed = 4 * tolerance() * std::max(1.0, scale / 64.0);
      EXPECT_LE(relativeError(step->lossB(), expected.lossB), allowed);
      EXPECT_LE(relativeError(step->embeddingGradientBD(), expected.embeddingGradientBD), allowed);
      EXPECT_LE(relativeError(gradientOf(*centers, {step.get()}), expected.centerGradientRD), allowed);
      for (float sum : step->sumExpB()) EXPECT_GE(sum, 1e-30f);
    }
  }
}

TEST_P(Negatives, OfTheSteepestRuleStayFinite) {
  // Every class lies on the embedding, so that each term of U is 32 times the largest one that l allows.
  MarginRule rule;
  rule.negatives = {.threshold = NegativeThreshold::kFixed, .fixed = 0.5f, .above = {{16, 16, 16}, {16, 16}}};
  Problem p = problem(3, 600, 1, 16, 29);
  p.rule = rule;
  for (int64_t n = 0; n < p.rows() * p.dim; ++n) p.weightsRD[n] = n % 16 == 0 ? 0.5f : 0.0f;
  for (int64_t n = 0; n < p.batch * p.dim; ++n) p.embeddingsBD[n] = n % 16 == 0 ? 2.0f : 0.0f;
  auto centers = makeCenters(*engine, p);
  auto step = forwardOf(*centers, p.asBatch());
  for (float loss : step->lossB()) EXPECT_NEAR(loss, 64.0 * 48.0 + std::log(599.0) - 64.0 * std::cos(0.5), 0.01);
  for (float value : step->embeddingGradientBD()) EXPECT_TRUE(std::isfinite(value));
  for (float value : gradientOf(*centers, {step.get()})) EXPECT_TRUE(std::isfinite(value));
}

TEST_P(Negatives, OfDivergedCentersReachTheLoss) {
  for (const NamedRule& head : headsWithNegatives()) {
    for (int64_t subCenters : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << head.name << ' ' << subCenters);
      Problem p = problem(6, 12, subCenters, 8, 71);
      p.rule = head.rule;
      auto centers = makeCenters(*engine, p);
      auto before = forwardOf(*centers, p.asBatch());
      Step* steps[] = {before.get()};
      ASSERT_TRUE(centers->update(steps, {.learningRate = 3e38f, .momentum = 0.0f, .weightDecay = 1e30f}));
      auto after = forwardOf(*centers, p.asBatch());
      for (float loss : after->lossB()) EXPECT_TRUE(std::isnan(loss)) << loss;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, Negatives, testing::ValuesIn(variants()), nameOf);

}  // namespace
}  // namespace hyperarc::test
