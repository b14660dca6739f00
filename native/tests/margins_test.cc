// Margin functions against published values (what each system's code computes at m = 0.5) and finite differences.
#include <gtest/gtest.h>

#include <cmath>

#include "margins/margin.h"

namespace hyperarc::margins {
namespace {

MarginRule ruleOf(Fallback fallback, GradientMode gradient = GradientMode::kExact) {
  MarginRule rule;
  rule.fallback = fallback;
  rule.gradient = gradient;
  return rule;
}

double valueAt(const Row<double>& row, double theta, Fallback fallback) {
  return target(row, Angle<double>{std::cos(theta), std::sin(theta), theta}, ruleOf(fallback)).logit;
}

double valueAtCosine(const Row<double>& row, double cosine, Fallback fallback) {
  return target(row, angleOf(cosine, std::sqrt(1.0 - cosine * cosine)), ruleOf(fallback)).logit;
}

TEST(Margins, ArcFaceFallbacksEqualThePublishedValues) {
  const Row<double> arcFace = {1.0, 1.0, 0.5, 0.0};
  EXPECT_NEAR(valueAtCosine(arcFace, -0.9, Fallback::kHard), -1.139713, 5e-7);
  EXPECT_NEAR(valueAtCosine(arcFace, -0.99, Fallback::kHard), -1.229713, 5e-7);
  EXPECT_NEAR(valueAtCosine(arcFace, -0.9, Fallback::kEasy), -0.9, 1e-12);
  EXPECT_NEAR(valueAtCosine(arcFace, -0.99, Fallback::kEasy), -0.99, 1e-12);
  EXPECT_NEAR(valueAtCosine(arcFace, -0.9, Fallback::kNone), -0.998801, 5e-7);
  EXPECT_NEAR(valueAtCosine(arcFace, -0.99, Fallback::kNone), -0.936438, 5e-7);
  EXPECT_NEAR(valueAtCosine(arcFace, -0.9, Fallback::kClip), -1.0, 1e-8);
  EXPECT_NEAR(valueAtCosine(arcFace, -0.99, Fallback::kClip), -1.0, 1e-8);
}

TEST(Margins, EasyMarginTestsTheCosineAlone) {
  const Row<double> arcFace = {1.0, 1.0, 0.5, 0.0};
  // θ = 1.6 is beyond π/2 but θ + m is far from π.
  EXPECT_DOUBLE_EQ(valueAt(arcFace, 1.6, Fallback::kEasy), std::cos(1.6));
  EXPECT_DOUBLE_EQ(valueAt(arcFace, 1.5, Fallback::kEasy), std::cos(2.0));
}

TEST(Margins, HardFallbackOfTheCombinedMarginStartsWherePhiReachesPi) {
  const Row<double> row = {1.0, 1.35, 0.2, 0.1};
  const double theta0 = (kPi<double> - 0.2) / 1.35;
  EXPECT_NEAR(valueAt(row, theta0 - 1e-9, Fallback::kHard), -1.0 - 0.1, 1e-12);
  EXPECT_NEAR(valueAt(row, theta0 + 1e-9, Fallback::kHard),
              std::cos(theta0) - (kPi<double> - theta0) * std::sin(theta0) - 0.1, 1e-8);
}

TEST(Margins, FamiliesAreSpecialCasesOfTheCombinedMargin) {
  for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone}) {
    for (double theta = 0.0; theta <= 3.14; theta += 0.01) {
      const Angle<double> angle = {std::cos(theta), std::sin(theta), theta};
      const auto expectSame = [&](const Row<double>& row, const Target<double>& actual) {
        const Target<double> expected = combined(row, angle, fallback, 1e-4);
        EXPECT_NEAR(actual.logit, expected.logit, 1e-12) << theta;
        EXPECT_NEAR(actual.h, expected.h, 1e-12) << theta;
        EXPECT_NEAR(actual.byM2, expected.byM2, 1e-11) << theta;
        EXPECT_NEAR(actual.byM1, expected.byM1, 1e-11) << theta;
      };
      expectSame({64, 1, 0, 0}, target(Row<double>{64, 1, 0, 0}, angle, ruleOf(fallback)));
      expectSame({64, 1, 0, 0.35}, target(Row<double>{64, 1, 0, 0.35}, angle, ruleOf(fallback)));
      expectSame({64, 1, 0.5, 0}, arcFace(Row<double>{64, 1, 0.5, 0}, angle, fallback));
      expectSame({64, 1, -0.3, 0}, arcFace(Row<double>{64, 1, -0.3, 0}, angle, fallback));
    }
  }
}

TEST(Margins, ClampedValuesDoNotMove) {
  const Row<double> row = {64, 1, 0.5, 0};
  EXPECT_EQ(target(row, angleOf(-1.0, 0.0), ruleOf(Fallback::kClip)).h, 0.0);
  const Row<double> negative = {64, 1, -0.5, 0};
  EXPECT_EQ(target(negative, angleOf(1.0, 0.0), ruleOf(Fallback::kClip)).h, 0.0);
}

TEST(Margins, StraightThroughTakesThePlainScale) {
  const Row<double> row = {64, 1, 0.5, 0};
  for (double theta : {0.1, 1.0, 2.5, 3.0}) {
    const auto result =
        target(row, angleOf(std::cos(theta), std::sin(theta)), ruleOf(Fallback::kHard, GradientMode::kStraightThrough));
    EXPECT_DOUBLE_EQ(result.h, 64.0 * std::sin(theta));
  }
}

TEST(Margins, AreFiniteAtCosinesOfPlusAndMinusOneInFp32) {
  for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
    for (float cosine : {-1.0f, 1.0f}) {
      const auto result = target(Row<float>{64, 1, 0.5f, 0}, angleOf(cosine, 0.0f), ruleOf(fallback));
      EXPECT_TRUE(std::isfinite(result.logit));
      EXPECT_TRUE(std::isfinite(result.h));
    }
  }
}

}  // namespace
}  // namespace hyperarc::margins
