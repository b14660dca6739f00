#include "negative_problems.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace hyperarc::test {

namespace {

constexpr double kClearOfThreshold = 1e-6;
constexpr int64_t kMostGroups = 6;

/// row ← size·(share·direction + √(1 − share²)·noise), all of unit variance.
void mix(float* row, int64_t dim, const float* direction, float share, float size, std::mt19937& random) {
  std::normal_distribution<float> normal;
  const float rest = std::sqrt(1.0f - share * share);
  for (int64_t d = 0; d < dim; ++d) row[d] = size * (share * direction[d] + rest * normal(random));
}

}  // namespace

std::vector<NamedRule> headsWithNegatives() {
  const NegativeBranch nothing = {{0, 0, 0}, {0, 0}};
  const auto arcFace = [](NegativeRule negatives) {
    MarginRule rule;
    rule.negatives = negatives;
    return rule;
  };
  MarginRule mvAm = arcFace({.threshold = NegativeThreshold::kTarget, .above = {{0.12f, 1.12f, 0}, {1.12f, 0}}});
  mvAm.scale = 32.0f;
  mvAm.m2 = 0.0f;
  mvAm.m3 = 0.35f;
  MarginRule circle = arcFace({.threshold = NegativeThreshold::kFixed,
                               .fixed = -0.25f,
                               .above = {{-0.0625f, 0, 1}, {0.25f, 1}},
                               .below = nothing});
  circle.family = MarginFamily::kCircle;
  circle.scale = 256.0f;
  circle.m2 = 0.25f;
  circle.fallback = Fallback::kNone;
  circle.gradient = GradientMode::kStraightThrough;
  MarginRule exactCircle = withTrueSlopes(circle);
  exactCircle.gradient = GradientMode::kExact;
  return {
      {"curricular", arcFace({.threshold = NegativeThreshold::kTarget, .above = {{0, 0.3f, 1}, {0.3f, 2}}})},
      {"mv_softmax", mvAm},
      {"mv_softmax_fixed", arcFace({.threshold = NegativeThreshold::kTarget, .above = {{0.2f, 1, 0}, {1, 0}}})},
      {"filter", arcFace({.threshold = NegativeThreshold::kFixed, .fixed = 0.4f, .above = nothing})},
      {"circle", circle},
      {"circle_exact", exactCircle},
  };
}

MarginRule withTrueSlopes(MarginRule rule) {
  for (NegativeBranch* branch : {&rule.negatives.above, &rule.negatives.below}) {
    branch->slope[0] = branch->value[1];
    branch->slope[1] = 2.0f * branch->value[2];
  }
  return rule;
}

Problem crowdedProblem(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, const MarginRule& rule,
                       const std::vector<float>& rowsB4, uint32_t seed, Precision precision) {
  for (;; ++seed) {
    Problem p = makeProblem(batch, classes, subCenters, dim, seed);
    p.rule = rule;
    p.rowParametersB4 = rowsB4;
    std::mt19937 random(seed + 1000);
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<float> share(0.3f, 1.0f);
    const int64_t groupSize = std::max<int64_t>(6, (classes + kMostGroups - 1) / kMostGroups);
    const int64_t groups = (classes + groupSize - 1) / groupSize;
    std::vector<float> directions(groups * dim);
    for (float& value : directions) value = normal(random);
    for (int64_t r = 0; r < p.rows(); ++r) {
      if (classes > 4 && r / subCenters == 2) continue;  // the zero centre
      mix(&p.weightsRD[r * dim], dim, &directions[r / subCenters / groupSize * dim], share(random), 0.05f, random);
    }
    for (int64_t i = 0; i < batch; ++i) {
      if (batch > 4 && i == 4) continue;  // the zero embedding
      const int64_t group = (p.labelsB[i] / groupSize + (i % 4 == 1)) % groups;
      const float side = i % 4 == 2 ? -1.0f : 1.0f;
      mix(&p.embeddingsBD[i * dim], dim, &directions[group * dim], share(random), side * 2.0f, random);
    }
    p = inPrecision(p, precision);
    if (referenceStep(p).nearest > kClearOfThreshold) return p;
  }
}

Problem crowdedProblem(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, const MarginRule& rule,
                       uint32_t seed, Precision precision) {
  return crowdedProblem(batch, classes, subCenters, dim, rule, {}, seed, precision);
}

}  // namespace hyperarc::test
