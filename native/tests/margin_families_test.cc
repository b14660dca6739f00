// The families of the target logit: published values, and every derivative against finite differences.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "margins/margin.h"

namespace hyperarc::margins {
namespace {

constexpr double kPiD = kPi<double>;

MarginRule ruleOf(MarginFamily family, Fallback fallback = Fallback::kNone, float blend = 1.0f,
                  GradientMode gradient = GradientMode::kExact) {
  MarginRule rule;
  rule.family = family;
  rule.fallback = fallback;
  rule.blend = blend;
  rule.gradient = gradient;
  return rule;
}

Angle<double> angleAt(double theta) { return {std::cos(theta), std::sin(theta), theta}; }

double logitAt(const Row<double>& row, double theta, const MarginRule& rule) {
  return target(row, angleAt(theta), rule).logit;
}

TEST(MarginFamilies, SphereFaceEqualsThePublishedCurve) {
  const MarginRule rule = ruleOf(MarginFamily::kSphere);
  const Row<double> row = {1, 4, 0, 0};
  EXPECT_NEAR(logitAt(row, 0.0, rule), 1.0, 1e-12);
  EXPECT_NEAR(logitAt(row, kPiD / 4, rule), -1.0, 1e-12);
  EXPECT_NEAR(logitAt(row, kPiD / 2, rule), -3.0, 1e-12);
  EXPECT_NEAR(logitAt(row, kPiD, rule), -7.0, 1e-12);
  // Eq. 7's own form, (−1)^k·cos(mθ) − 2k on [kπ/m, (k+1)π/m], in the middle of each piece.
  for (int k = 0; k < 4; ++k) {
    const double theta = (k + 0.5 + 0.1) * kPiD / 4;
    EXPECT_NEAR(logitAt(row, theta, rule), (k % 2 == 0 ? 1 : -1) * std::cos(4 * theta) - 2 * k, 1e-12);
  }
}

TEST(MarginFamilies, SphereFaceFallsAllTheWayWithoutAJump) {
  const MarginRule rule = ruleOf(MarginFamily::kSphere);
  for (double m1 : {1.0, 1.35, 1.7, 2.0, 3.0, 4.0}) {
    double before = logitAt({1, m1, 0, 0}, 0.0, rule);
    for (int n = 1; n <= 20000; ++n) {
      const double value = logitAt({1, m1, 0, 0}, n * kPiD / 20000, rule);
      ASSERT_LE(value, before + 1e-12) << m1 << " at step " << n;
      ASSERT_GE(value, before - m1 * kPiD / 20000 - 1e-12) << m1 << " at step " << n;
      before = value;
    }
  }
}

TEST(MarginFamilies, SphereFaceIsTheCosineAtOneAndForItsFirstHalf) {
  for (double theta = 0.0; theta < kPiD; theta += 0.01) {
    EXPECT_NEAR(logitAt({1, 1, 0, 0}, theta, ruleOf(MarginFamily::kSphere)), std::cos(theta), 1e-12);
    if (2 * theta > kPiD) continue;
    EXPECT_NEAR(logitAt({1, 2, 0, 0}, theta, ruleOf(MarginFamily::kSphere)),
                logitAt({1, 2, 0, 0}, theta, ruleOf(MarginFamily::kCosine)), 1e-12);
  }
}

TEST(MarginFamilies, X2SoftmaxEqualsTheAuthorsCurve) {
  // a = −0.9, h = 0, k = 0.65: s·(a·(θ − h)² + k).
  const MarginRule rule = ruleOf(MarginFamily::kQuadratic);
  const Row<double> row = {64, 0.9, 0, -0.65};
  EXPECT_NEAR(logitAt(row, 0.0, rule), 64 * 0.65, 1e-12);
  EXPECT_NEAR(logitAt(row, 1.0, rule), 64 * -0.25, 1e-12);
  EXPECT_NEAR(logitAt(row, kPiD / 2, rule), 64 * (0.65 - 0.9 * kPiD * kPiD / 4), 1e-10);
  EXPECT_NEAR(target(row, angleAt(1.0), rule).h, 64 * 1.8, 1e-10);
}

TEST(MarginFamilies, CircleEqualsThePublishedTerms) {
  // γ·α_p·(c − Δ_p), α_p = 1 + m − c, Δ_p = 1 − m; m = 0.25, γ = 256.
  const MarginRule rule = ruleOf(MarginFamily::kCircle);
  const Row<double> row = {256, 1, 0.25, 0};
  EXPECT_NEAR(logitAt(row, 0.0, rule), 16.0, 1e-12);
  EXPECT_NEAR(logitAt(row, std::acos(0.75), rule), 0.0, 1e-10);  // c = Δ_p
  EXPECT_NEAR(logitAt(row, std::acos(0.5), rule), 256 * 0.75 * -0.25, 1e-10);
  // The published programs detach α_p: the derivative by c is γ·α_p, not γ·2(1 − c).
  const double sine = std::sqrt(0.75);
  EXPECT_NEAR(target(row, angleAt(std::acos(0.5)), rule).h, 256 * 1.0 * sine, 1e-10);
  const MarginRule detached = ruleOf(MarginFamily::kCircle, Fallback::kNone, 1.0f, GradientMode::kStraightThrough);
  EXPECT_NEAR(target(row, angleAt(std::acos(0.5)), detached).h, 256 * 0.75 * sine, 1e-10);
}

struct Case {
  MarginFamily family;
  Row<double> row;
  Fallback fallback;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
    for (const Row<double>& row : {Row<double>{64, 1, 0.5, 0},
                                   {64, 1, 0, 0.35},
                                   {64, 1, 0, 0},
                                   {64, 1, 0.3, 0.2},
                                   {64, 1, -0.3, 0},
                                   {8, 1.35, 0, 0},
                                   {8, 2, 0.4, 0.1},
                                   {8, 0.5, -0.5, 0.1},
                                   {8, 4, 0.1, 0}}) {
      all.push_back({MarginFamily::kCosine, row, fallback});
    }
  }
  for (const Row<double>& row : {Row<double>{30, 1.7, 0, 0}, {64, 4, 0, 0}, {1, 1, 0, -0.2}, {8, 2.5, 0, 0.1}})
    all.push_back({MarginFamily::kSphere, row, Fallback::kNone});
  for (const Row<double>& row : {Row<double>{64, 0.9, 0, -0.65}, {64, 0.01, -0.3, 0.5}, {8, 4, 1.5, 0}})
    all.push_back({MarginFamily::kQuadratic, row, Fallback::kNone});
  for (const Row<double>& row : {Row<double>{256, 1, 0.25, 0}, {64, 2, 0, 0.3}, {80, 1, 1.5, -0.4}})
    all.push_back({MarginFamily::kCircle, row, Fallback::kNone});
  return all;
}

/// d/dt of `value` at 0, NaN where t crosses a jump or a bend: where the two sides differ.
template <typename Value>
double derivative(Value value, double scale) {
  constexpr double kStep = 1e-5;
  const double low = value(-kStep), middle = value(0.0), high = value(kStep);
  const double left = (middle - low) / kStep, right = (high - middle) / kStep;
  return std::abs(right - left) > 1e-2 * scale ? std::nan("") : (high - low) / (2 * kStep);
}

TEST(MarginFamilies, EveryDerivativeEqualsFiniteDifferences) {
  for (const Case& one : cases()) {
    for (float blend : {1.0f, 0.25f, 0.0f}) {
      const MarginRule rule = ruleOf(one.family, one.fallback, blend);
      int compared = 0, all = 0;
      for (double theta = 0.013; theta < 3.13; theta += 0.017, ++all) {
        SCOPED_TRACE(testing::Message() << "family " << int(one.family) << " fallback " << int(one.fallback) << " m1 "
                                        << one.row.m1 << " m2 " << one.row.m2 << " blend " << blend << " theta "
                                        << theta);
        const auto along = [&](double dTheta, double dM1, double dM2, double dM3, double dScale) {
          return derivative(
              [&](double t) {
                const Row<double> row = {one.row.scale + t * dScale, one.row.m1 + t * dM1, one.row.m2 + t * dM2,
                                         one.row.m3 + t * dM3};
                return logitAt(row, theta + t * dTheta, rule);
              },
              one.row.scale);
        };
        // The special cases of the cosine choose by m1, m2 and m3, so that a step away goes another way; values agree.
        const double byTheta = along(1, 0, 0, 0, 0), byM1 = along(0, 1, 0, 0, 0), byM2 = along(0, 0, 1, 0, 0);
        if (std::isnan(byTheta) || std::isnan(byM1) || std::isnan(byM2)) continue;
        ++compared;
        const Target<double> actual = target(one.row, angleAt(theta), rule);
        const double tolerance = 1e-6 * one.row.scale;
        EXPECT_NEAR(actual.h, -byTheta, tolerance);  // dT/dθ = −(dT/dc)·sinθ
        EXPECT_NEAR(actual.byM1, byM1, tolerance);
        EXPECT_NEAR(actual.byM2, one.family == MarginFamily::kSphere ? 0.0 : byM2, tolerance);
        EXPECT_NEAR(-one.row.scale * blend, along(0, 0, 0, 1, 0), tolerance);
        EXPECT_NEAR(actual.logit / one.row.scale, along(0, 0, 0, 0, 1), 1e-6);
      }
      EXPECT_GE(compared, all - 4);  // a jump, or a bend, falls on few angles
    }
  }
}

TEST(MarginFamilies, StraightThroughChangesTheAnglesDerivativeAlone) {
  for (const Case& one : cases()) {
    for (float blend : {1.0f, 0.25f}) {
      for (double theta = 0.05; theta < 3.1; theta += 0.2) {
        const Target<double> exact =
            target(one.row, angleAt(theta), ruleOf(one.family, one.fallback, blend, GradientMode::kExact));
        const Target<double> through =
            target(one.row, angleAt(theta), ruleOf(one.family, one.fallback, blend, GradientMode::kStraightThrough));
        const double weight = one.family == MarginFamily::kCircle ? 1.0 + one.row.m2 - std::cos(theta) : 1.0;
        EXPECT_NEAR(through.h, one.row.scale * (blend * weight + 1 - blend) * std::sin(theta), 1e-9);
        EXPECT_EQ(through.logit, exact.logit);
        EXPECT_EQ(through.byM1, exact.byM1);
        EXPECT_EQ(through.byM2, exact.byM2);
      }
    }
  }
}

TEST(MarginFamilies, BlendOfZeroIsTheCosine) {
  for (const Case& one : cases()) {
    const Target<double> result = target(one.row, angleAt(1.0), ruleOf(one.family, one.fallback, 0.0f));
    EXPECT_DOUBLE_EQ(result.logit, one.row.scale * std::cos(1.0));
    EXPECT_DOUBLE_EQ(result.h, one.row.scale * std::sin(1.0));
    EXPECT_EQ(result.byM1, 0.0);
    EXPECT_EQ(result.byM2, 0.0);
  }
}

TEST(MarginFamilies, TargetThresholdIsTheUnscaledTargetWithoutFallbackAndBlend) {
  for (const Case& one : cases()) {
    for (double theta = 0.05; theta < 3.1; theta += 0.1) {
      const double expected = logitAt(one.row, theta, ruleOf(one.family)) / one.row.scale;
      EXPECT_NEAR(targetThreshold(one.row, angleAt(theta), ruleOf(one.family, one.fallback, 0.5f)), expected, 1e-12);
    }
  }
  // CurricularFace compares with cos(θ + m), also where the target falls back.
  EXPECT_NEAR(targetThreshold(Row<double>{64, 1, 0.5, 0}, angleAt(3.0), ruleOf(MarginFamily::kCosine, Fallback::kHard)),
              std::cos(3.5), 1e-12);
}

TEST(MarginFamilies, AreFiniteAtBothEndsInFp32) {
  for (MarginFamily family : {MarginFamily::kSphere, MarginFamily::kQuadratic, MarginFamily::kCircle}) {
    for (float cosine : {-1.0f, 1.0f}) {
      for (float blend : {1.0f, 0.5f}) {
        const auto result =
            target(Row<float>{64, 4, 0, 0}, angleOf(cosine, 0.0f), ruleOf(family, Fallback::kNone, blend));
        for (float value : {result.logit, result.h, result.byM1, result.byM2}) EXPECT_TRUE(std::isfinite(value));
      }
    }
  }
}

}  // namespace
}  // namespace hyperarc::margins
