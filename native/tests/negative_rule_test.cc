// N(c): the published heads as rules, and the bounds that keep the exponentials in range.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "margins/negative.h"

namespace hyperarc::margins {
namespace {

NegativeRule curricular(float t) { return {.threshold = NegativeThreshold::kTarget, .above = {{0, t, 1}, {t, 2}}}; }

TEST(NegativeRule, CarriesThePublishedHeads) {
  // CurricularFace: c·(t + c) for the hard negatives.
  EXPECT_FLOAT_EQ(negative(curricular(0.3f), 0.2f, 0.5f).value, 0.5f * 0.8f);
  EXPECT_FLOAT_EQ(negative(curricular(0.3f), 0.2f, 0.5f).slope, 1.3f);
  EXPECT_EQ(negative(curricular(0.3f), 0.2f, 0.1f).value, 0.1f);
  EXPECT_EQ(negative(curricular(0.3f), 0.2f, 0.1f).slope, 1.0f);
  // Adaptive MV-Softmax, t = 1.12: t·c + t − 1.
  const NegativeRule mv = {.threshold = NegativeThreshold::kTarget, .above = {{0.12f, 1.12f, 0}, {1.12f, 0}}};
  EXPECT_FLOAT_EQ(negative(mv, -0.1f, 0.4f).value, 1.12f * 0.4f + 0.12f);
  EXPECT_FLOAT_EQ(negative(mv, -0.1f, 0.4f).slope, 1.12f);
  // Circle loss, m = 0.25: α_n·(c − m), α_n = max(0, c + m) a constant to the gradient.
  const NegativeRule circle = {.threshold = NegativeThreshold::kFixed,
                               .fixed = -0.25f,
                               .above = {{-0.0625f, 0, 1}, {0.25f, 1}},
                               .below = {{0, 0, 0}, {0, 0}}};
  EXPECT_FLOAT_EQ(negative(circle, -0.25f, 0.5f).value, 0.75f * 0.25f);
  EXPECT_FLOAT_EQ(negative(circle, -0.25f, 0.5f).slope, 0.75f);
  EXPECT_EQ(negative(circle, -0.25f, -0.5f).value, 0.0f);
  EXPECT_EQ(negative(circle, -0.25f, -0.5f).slope, 0.0f);
}

TEST(NegativeRule, OnlyAboveTheThresholdIsAbove) {
  const NegativeRule filter = {.threshold = NegativeThreshold::kFixed, .fixed = 0.4f, .above = {{0, 0, 0}, {0, 0}}};
  EXPECT_EQ(negative(filter, 0.4f, 0.4f).value, 0.4f);
  EXPECT_EQ(negative(filter, 0.4f, std::nextafter(0.4f, 1.0f)).value, 0.0f);
  EXPECT_TRUE(std::isnan(negative(filter, 0.4f, std::numeric_limits<float>::quiet_NaN()).value));
}

/// Extremes of both branches over c in [−1, 1], wherever the threshold is.
struct Extremes {
  double largest = -1e9, smallest = 1e9, steepest = 1.0;
};

Extremes scan(const NegativeRule& rule) {
  Extremes found;
  for (int n = -20000; n <= 20000; ++n) {
    const double c = n / 20000.0;
    for (float threshold : {-2.0f, 2.0f}) {
      const Negative<double> at = negative(rule, threshold, c);
      found.largest = std::max(found.largest, at.value);
      found.smallest = std::min(found.smallest, at.value);
      found.steepest = std::max(found.steepest, std::abs(at.slope));
    }
  }
  return found;
}

TEST(NegativeRule, BoundsEqualADenseScan) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> number(-16.0f, 16.0f);
  for (int n = 0; n < 200; ++n) {
    NegativeRule rule = {.threshold = NegativeThreshold::kFixed};
    // Small numbers and zeros too, so that vertices lie inside and outside, and slopes below 1 are met.
    const float size = n % 3 == 0 ? 0.02f : 1.0f;
    for (NegativeBranch* branch : {&rule.above, &rule.below}) {
      for (float& value : branch->value) value = random() % 4 == 0 ? 0.0f : size * number(random);
      for (float& slope : branch->slope) slope = random() % 4 == 0 ? 0.0f : size * number(random);
    }
    const Extremes expected = scan(rule);
    EXPECT_NEAR(largestNegative(rule), expected.largest, 1e-5);
    EXPECT_NEAR(smallestNegative(rule), expected.smallest, 1e-5);
    EXPECT_NEAR(steepestNegative(rule), expected.steepest, 1e-5);
    // A bound must not be below what it bounds by more than fp32's rounding.
    EXPECT_GE(largestNegative(rule), expected.largest - 4e-6);
  }
}

TEST(NegativeRule, WithoutAThresholdNoBranchCounts) {
  NegativeRule none;
  none.above = {{16, 16, 16}, {16, 16}};
  EXPECT_EQ(largestNegative(none), 1.0f);
  EXPECT_EQ(smallestNegative(none), -1.0f);
  EXPECT_EQ(steepestNegative(none), 1.0f);
}

TEST(NegativeRule, FirstShiftKeepsSumsWithinFp32) {
  EXPECT_EQ(firstShift(64.0, 0.0, 1.0, std::log(1e6)), 0.0);
  EXPECT_NEAR(firstShift(128.0, 0.0, 1.0, std::log(1e6)), 128 + std::log(1e6) - 87, 1e-12);
  EXPECT_NEAR(firstShift(128.0, -0.5, 1.0, 0.0), 128 * 1.5 - 87, 1e-12);
  EXPECT_NEAR(firstShift(128.0, -0.5, 2.0, 0.0), 128 * 2.0 - 87, 1e-12);
  // A million terms of the largest logit, each times the steepest slope, are finite.
  for (double largest : {1.0, 3.0, 48.0}) {
    const double shift = firstShift(1024.0, 0.0, largest, std::log(1e6 * 32));
    EXPECT_LT(1e6 * 32 * std::exp(1024.0 * largest - shift), std::numeric_limits<float>::max());
  }
}

}  // namespace
}  // namespace hyperarc::margins
