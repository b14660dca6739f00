// The double reference itself: its three gradients against finite differences of its loss.
#include "reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "negative_problems.h"

namespace hyperarc::test {
namespace {

double meanLoss(const Problem& p, const Doubles* rowsB4 = nullptr) {
  const ReferenceStep step = referenceStep(p, rowsB4);
  return std::accumulate(step.lossB.begin(), step.lossB.end(), 0.0) / static_cast<double>(p.batch);
}

/// Every family and every negative head, with true derivatives, and a scale at which differences are exact enough.
std::vector<NamedRule> rules() {
  std::vector<NamedRule> all = headsWithNegatives();
  for (NamedRule& named : all) {
    named.rule = withTrueSlopes(named.rule);
    named.rule.gradient = GradientMode::kExact;
  }
  const auto add = [&](const char* name, MarginFamily family, float m1, float m2, float m3, float blend) {
    MarginRule rule = {.m1 = m1, .m2 = m2, .m3 = m3, .family = family, .blend = blend};
    if (family != MarginFamily::kCosine) rule.fallback = Fallback::kNone;
    all.push_back({name, rule});
  };
  add("arcface", MarginFamily::kCosine, 1, 0.5f, 0, 1);
  add("combined", MarginFamily::kCosine, 1.2f, 0.3f, 0.1f, 0.7f);
  add("sphereface", MarginFamily::kSphere, 1.7f, 0, 0, 0.4f);
  add("x2softmax", MarginFamily::kQuadratic, 0.9f, 0.1f, -0.65f, 1);
  for (NamedRule& named : all) named.rule.scale = 16.0f;
  return all;
}

/// No negative so near its threshold that a difference would step over it.
Problem smallProblem(const MarginRule& rule, int64_t subCenters) {
  for (uint32_t seed = 3;; ++seed) {
    const Problem p = crowdedProblem(6, 12, subCenters, 16, rule, seed);
    if (referenceStep(p).nearest > 2e-3) return p;
  }
}

/// ‖actual − expected‖ ≤ share·‖expected‖.
void expectNear(const Doubles& actual, const Doubles& expected, double share, const char* name) {
  double difference = 0.0, size = 0.0;
  for (size_t n = 0; n < expected.size(); ++n) {
    difference += (actual[n] - expected[n]) * (actual[n] - expected[n]);
    size += expected[n] * expected[n];
  }
  EXPECT_GT(size, 0.0) << name;
  EXPECT_LE(std::sqrt(difference / size), share) << name;
}

/// d(mean loss)/d(values[n]) for every n.
Doubles differencesOf(Problem p, std::vector<float> Problem::*values) {
  Doubles result;
  for (size_t n = 0; n < (p.*values).size(); ++n) {
    float& value = (p.*values)[n];
    const float middle = value;
    // The step that fp32 makes of it counts.
    const float step = std::max(std::abs(middle), 0.05f) * 0x1p-9f;
    value = middle + step;
    const double high = value, above = meanLoss(p);
    value = middle - step;
    const double low = value, below = meanLoss(p);
    value = middle;
    result.push_back((above - below) / (high - low));
  }
  return result;
}

TEST(Reference, GradientsOfEveryRuleEqualFiniteDifferences) {
  for (const NamedRule& named : rules()) {
    for (int64_t subCenters : {1, 2}) {
      SCOPED_TRACE(testing::Message() << named.name << " K " << subCenters);
      Problem p = smallProblem(named.rule, subCenters);
      // Zero vectors have no derivative, nor have sub-centres of one cosine.
      p.embeddingsBD[4 * p.dim] = 1.0f;
      for (int64_t n = 0; n < subCenters * p.dim; ++n)
        p.weightsRD[2 * subCenters * p.dim + n] = n % 7 == 0 ? 0.03f : 0.01f;
      ASSERT_GT(referenceStep(p).nearest, 2e-3);
      const ReferenceStep step = referenceStep(p);
      expectNear(step.embeddingGradientBD, differencesOf(p, &Problem::embeddingsBD), 2e-4, "dX");
      expectNear(step.centerGradientRD, differencesOf(p, &Problem::weightsRD), 2e-4, "dW");
    }
  }
}

TEST(Reference, RowGradientEqualsFiniteDifferences) {
  constexpr double kStep = 1e-6;
  for (const NamedRule& named : rules()) {
    SCOPED_TRACE(named.name);
    const Problem p = smallProblem(named.rule, 1);
    const MarginRule& rule = p.rule;
    Doubles rows;
    for (int64_t i = 0; i < p.batch; ++i) {
      for (float value : {rule.scale, rule.m1, rule.m2, rule.m3}) rows.push_back(value);
    }
    const ReferenceStep step = referenceStep(p);
    const bool hasRule = rule.negatives.threshold != NegativeThreshold::kNone;
    for (size_t column = 0; column < 4; ++column) {
      Doubles actual, expected;
      for (size_t n = column; n < rows.size(); n += 4) {
        Doubles high = rows, low = rows;
        high[n] += kStep;
        low[n] -= kStep;
        expected.push_back((meanLoss(p, &high) - meanLoss(p, &low)) / (2 * kStep));
        actual.push_back(step.rowGradientB4[n]);
      }
      SCOPED_TRACE(column);
      if (column == 0 && hasRule) {
        for (double value : actual) EXPECT_TRUE(std::isnan(value));
      } else if (column == 2 && rule.family == MarginFamily::kSphere) {
        for (double value : actual) EXPECT_EQ(value, 0.0);
      } else if (column == 1 && rule.family == MarginFamily::kCircle) {
        for (double value : actual) EXPECT_EQ(value, 0.0);
      } else {
        expectNear(actual, expected, 1e-6, "row gradient");
      }
    }
  }
}

}  // namespace
}  // namespace hyperarc::test
