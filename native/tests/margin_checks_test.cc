// The ranges of a margin rule: both ends of each are taken, what lies just beyond is refused by name.
#include "common/margin_checks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

namespace hyperarc {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kHalfPi = 1.57079637f;

MarginRule ruleOf(MarginFamily family) {
  MarginRule rule;
  rule.family = family;
  if (family != MarginFamily::kCosine) rule.fallback = Fallback::kNone;
  if (family == MarginFamily::kSphere) rule.m2 = 0.0f;
  return rule;
}

void expectRefused(const Status& status, const std::string& beginning) {
  EXPECT_EQ(status.code(), StatusCode::kRange) << beginning;
  EXPECT_TRUE(status.message().starts_with(beginning + ": expected ")) << status.message();
  EXPECT_NE(status.message().find("received "), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("; "), std::string::npos) << status.message();
}

using Set = std::function<void(MarginRule&, float)>;

/// `low` and `high` are taken, their neighbours outside and NaN are not.
void expectRange(const MarginRule& base, const std::string& name, float low, float high, const Set& set) {
  const auto check = [&](float value) {
    MarginRule rule = base;
    set(rule, value);
    return checkMarginRule(rule);
  };
  for (float value : {low, high}) {
    const Status status = check(value);
    EXPECT_TRUE(status) << status.message();
  }
  expectRefused(check(std::nextafter(low, -100.0f)), name);
  expectRefused(check(std::nextafter(high, 5000.0f)), name);
  expectRefused(check(kNaN), name);
}

TEST(MarginChecks, EachFamilyHasItsRanges) {
  struct Ranges {
    MarginFamily family;
    float lowestM1, lowestM2, highestM2;
  };
  for (const Ranges& ranges : {Ranges{MarginFamily::kCosine, 0.5f, -kHalfPi, kHalfPi},
                               {MarginFamily::kSphere, 1.0f, 0.0f, 0.0f},
                               {MarginFamily::kQuadratic, 0.01f, -kHalfPi, kHalfPi},
                               {MarginFamily::kCircle, 0.5f, 0.0f, kHalfPi}}) {
    SCOPED_TRACE(static_cast<int>(ranges.family));
    const MarginRule base = ruleOf(ranges.family);
    expectRange(base, "rule.scale", std::nextafter(0.0f, 1.0f), 1024.0f, [](auto& rule, float x) { rule.scale = x; });
    expectRange(base, "rule.m1", ranges.lowestM1, 4.0f, [](auto& rule, float x) { rule.m1 = x; });
    expectRange(base, "rule.m2", ranges.lowestM2, ranges.highestM2, [](auto& rule, float x) { rule.m2 = x; });
    expectRange(base, "rule.m3", -1.0f, 1.0f, [](auto& rule, float x) { rule.m3 = x; });
    expectRange(base, "rule.blend", 0.0f, 1.0f, [](auto& rule, float x) { rule.blend = x; });
    expectRange(base, "rule.clipRadians", std::nextafter(0.0f, 1.0f), 0.1f,
                [](auto& rule, float x) { rule.clipRadians = x; });
  }
}

TEST(MarginChecks, RowsAreHeldToTheRangesOfTheFamily) {
  const float rows[] = {64, 1, 0.5f, 0, 64, 0.9f, 0, 0};
  EXPECT_TRUE(checkRowParameters(ruleOf(MarginFamily::kCosine), rows, 2));
  EXPECT_TRUE(checkRowParameters(ruleOf(MarginFamily::kQuadratic), rows, 2));
  expectRefused(checkRowParameters(ruleOf(MarginFamily::kSphere), rows, 1), "rowParametersB4[0].m2");
  expectRefused(checkRowParameters(ruleOf(MarginFamily::kSphere), rows + 4, 1), "rowParametersB4[0].m1");
  const float negative[] = {64, 1, 0.5f, 0, 64, 1, -0.1f, 0};
  EXPECT_TRUE(checkRowParameters(ruleOf(MarginFamily::kCosine), negative, 2));
  expectRefused(checkRowParameters(ruleOf(MarginFamily::kCircle), negative, 2), "rowParametersB4[1].m2");
}

TEST(MarginChecks, FallbacksBelongToTheCosine) {
  for (MarginFamily family : {MarginFamily::kSphere, MarginFamily::kQuadratic, MarginFamily::kCircle}) {
    for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kClip}) {
      MarginRule rule = ruleOf(family);
      rule.fallback = fallback;
      expectRefused(checkMarginRule(rule), "rule.fallback");
    }
  }
}

TEST(MarginChecks, UnknownNumbersOfAnEnumAreRefused) {
  for (int32_t number : {-1, 9}) {
    MarginRule rule;
    rule.family = static_cast<MarginFamily>(number);
    expectRefused(checkMarginRule(rule), "rule.family");
    rule = {};
    rule.fallback = static_cast<Fallback>(number);
    expectRefused(checkMarginRule(rule), "rule.fallback");
    rule = {};
    rule.gradient = static_cast<GradientMode>(number);
    expectRefused(checkMarginRule(rule), "rule.gradient");
    rule = {};
    rule.negatives.threshold = static_cast<NegativeThreshold>(number);
    expectRefused(checkMarginRule(rule), "rule.negatives.threshold");
  }
}

TEST(MarginChecks, EveryNumberOfANegativeRuleHasItsRange) {
  MarginRule base;
  base.negatives.threshold = NegativeThreshold::kFixed;
  expectRange(base, "rule.negatives.fixed", -1.0f, 1.0f, [](auto& rule, float x) { rule.negatives.fixed = x; });
  for (int n = 0; n < 3; ++n) {
    const std::string number = ".value[" + std::to_string(n) + "]";
    expectRange(base, "rule.negatives.above" + number, -16.0f, 16.0f,
                [n](auto& rule, float x) { rule.negatives.above.value[n] = x; });
    expectRange(base, "rule.negatives.below" + number, -16.0f, 16.0f,
                [n](auto& rule, float x) { rule.negatives.below.value[n] = x; });
  }
  for (int n = 0; n < 2; ++n) {
    const std::string number = ".slope[" + std::to_string(n) + "]";
    expectRange(base, "rule.negatives.above" + number, -16.0f, 16.0f,
                [n](auto& rule, float x) { rule.negatives.above.slope[n] = x; });
    expectRange(base, "rule.negatives.below" + number, -16.0f, 16.0f,
                [n](auto& rule, float x) { rule.negatives.below.slope[n] = x; });
  }
}

TEST(MarginChecks, WhatIsNotReadIsNotChecked) {
  MarginRule rule;
  rule.negatives.above.value[0] = kNaN;
  EXPECT_TRUE(checkMarginRule(rule));  // kNone
  rule = {};
  rule.negatives = {.threshold = NegativeThreshold::kTarget, .fixed = 9.0f};
  EXPECT_TRUE(checkMarginRule(rule));
}

}  // namespace
}  // namespace hyperarc
