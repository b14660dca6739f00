#include "common/margin_checks.h"

#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "common/failure.h"

namespace hyperarc {

namespace {

constexpr float kHalfPi = 1.57079637f;
/// Bound of a negative branch's numbers: squares and sums of them stay far within fp32.
constexpr float kLargestCoefficient = 16.0f;

/// Where a family's m1 and m2 may lie, inclusive, and what is usual there.
struct FamilyRange {
  const char* name;
  float lowestM1, highestM1;
  const char* usualM1;
  float lowestM2, highestM2;
  const char* m2;  // the range in words
  const char* usualM2;
};

/// In the order of MarginFamily.
constexpr FamilyRange kFamilies[] = {
    {"cosine", 0.5f, 4.0f, "ArcFace and CosFace use 1", -kHalfPi, kHalfPi, "radians in [-pi/2, pi/2]",
     "ArcFace uses 0.5"},
    // The curve starts at θ = 0, and falls from there on only from m1 = 1.
    {"sphere", 1.0f, 4.0f, "SphereFace uses 4", 0.0f, 0.0f, "0", "SphereFace's margin is m1 alone"},
    {"quadratic", 0.01f, 4.0f, "X2-Softmax uses 0.9", -kHalfPi, kHalfPi, "radians in [-pi/2, pi/2]",
     "X2-Softmax uses 0"},
    {"circle", 0.5f, 4.0f, "it is not used, pass 1", 0.0f, kHalfPi, "a number in [0, pi/2]", "Circle loss uses 0.25"},
};

const FamilyRange& rangeOf(MarginFamily family) { return kFamilies[static_cast<int32_t>(family)]; }

bool isWithin(float value, float low, float high) { return value >= low && value <= high; }

/// One set of margin numbers; `where` names the argument ("rule" or "rowParametersB4[7]").
Status checkNumbers(const std::string& where, MarginFamily family, float scale, float m1, float m2, float m3) {
  const FamilyRange& range = rangeOf(family);
  if (!(scale > 0.0f && scale <= 1024.0f))
    return rangeError(where, ".scale: expected a number in (0, 1024], received ", scale,
                      "; the field's usual value is 64");
  if (!isWithin(m1, range.lowestM1, range.highestM1))
    return rangeError(where, ".m1: expected a number in [", range.lowestM1, ", ", range.highestM1,
                      "] with the family '", range.name, "', received ", m1, "; ", range.usualM1);
  if (!isWithin(m2, range.lowestM2, range.highestM2))
    return rangeError(where, ".m2: expected ", range.m2, " with the family '", range.name, "', received ", m2, "; ",
                      range.usualM2);
  if (!isWithin(m3, -1.0f, 1.0f))
    return rangeError(where, ".m3: expected a number in [-1, 1], received ", m3, "; CosFace uses 0.35");
  return Status::ok();
}

Status checkCoefficients(const std::string& where, std::span<const float> numbers) {
  for (size_t n = 0; n < numbers.size(); ++n) {
    if (!isWithin(numbers[n], -kLargestCoefficient, kLargestCoefficient))
      return rangeError(where, "[", n, "]: expected a number in [-16, 16], received ", numbers[n],
                        "; N(c) is value[0] + value[1]*c + value[2]*c^2");
  }
  return Status::ok();
}

Status checkNegatives(const NegativeRule& rule) {
  if (static_cast<int32_t>(rule.threshold) < 0 || rule.threshold > NegativeThreshold::kTarget)
    return rangeError("rule.negatives.threshold: expected 0 to 2, received ", static_cast<int32_t>(rule.threshold),
                      "; see NegativeThreshold");
  if (rule.threshold == NegativeThreshold::kNone) return Status::ok();
  if (rule.threshold == NegativeThreshold::kFixed && !isWithin(rule.fixed, -1.0f, 1.0f))
    return rangeError("rule.negatives.fixed: expected a cosine in [-1, 1], received ", rule.fixed,
                      "; inter-class filtering uses 0.4");
  for (const auto& [name, branch] : {std::pair{"above", &rule.above}, std::pair{"below", &rule.below}}) {
    const std::string where = std::string("rule.negatives.") + name;
    if (Status status = checkCoefficients(where + ".value", branch->value); !status) return status;
    if (Status status = checkCoefficients(where + ".slope", branch->slope); !status) return status;
  }
  return Status::ok();
}

}  // namespace

Status checkMarginRule(const MarginRule& rule) {
  if (static_cast<int32_t>(rule.family) < 0 || rule.family > MarginFamily::kCircle)
    return rangeError("rule.family: expected 0 to 3, received ", static_cast<int32_t>(rule.family),
                      "; see MarginFamily");
  if (Status status = checkNumbers("rule", rule.family, rule.scale, rule.m1, rule.m2, rule.m3); !status) return status;
  if (static_cast<int32_t>(rule.fallback) < 0 || rule.fallback > Fallback::kClip)
    return rangeError("rule.fallback: expected 0 to 3, received ", static_cast<int32_t>(rule.fallback),
                      "; see Fallback");
  if (rule.family != MarginFamily::kCosine && rule.fallback != Fallback::kNone)
    return rangeError("rule.fallback: expected 2 (none) with the family '", rangeOf(rule.family).name, "', received ",
                      static_cast<int32_t>(rule.fallback), "; fallbacks belong to the family 'cosine'");
  if (static_cast<int32_t>(rule.gradient) < 0 || rule.gradient > GradientMode::kStraightThrough)
    return rangeError("rule.gradient: expected 0 or 1, received ", static_cast<int32_t>(rule.gradient),
                      "; see GradientMode");
  if (!isWithin(rule.blend, 0.0f, 1.0f))
    return rangeError("rule.blend: expected a number in [0, 1], received ", rule.blend,
                      "; 1 is the margin alone, 1/(1 + lambda) anneals SphereFace");
  if (!(rule.clipRadians > 0.0f && rule.clipRadians <= 0.1f))
    return rangeError("rule.clipRadians: expected radians in (0, 0.1], received ", rule.clipRadians,
                      "; AdaFace uses 1e-3");
  return checkNegatives(rule.negatives);
}

Status checkRowParameters(const MarginRule& rule, const float* rowParametersB4, int64_t batch) {
  for (int64_t i = 0; i < batch; ++i) {
    const float* row = rowParametersB4 + 4 * i;
    const std::string where = "rowParametersB4[" + std::to_string(i) + "]";
    if (Status status = checkNumbers(where, rule.family, row[0], row[1], row[2], row[3]); !status) return status;
  }
  return Status::ok();
}

}  // namespace hyperarc
