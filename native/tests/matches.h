// One step of an engine against the double reference: loss, both gradients, the update.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engines.h"
#include "reference.h"

namespace hyperarc::test {

/// docs/numerics.md, "Tolerances".
struct Tolerance {
  explicit Tolerance(const Problem& p)
      : norm(p.precision == Precision::kFp32 ? 1e-5 : 2e-3), row(p.precision == Precision::kFp32 ? 1e-4 : 1e-2) {
    // The error of a cosine counts s times in the exponent; Circle loss, at s = 256, has the steepest of all heads.
    if (p.rule.negatives.threshold != NegativeThreshold::kNone) row *= std::max(1.0, p.rule.scale / 64.0);
    // Stochastic rounding of a bf16 master moves each number by up to one unit in its last place.
    stored = p.precision == Precision::kBf16Master ? 6e-3 : norm;
  }
  double norm, row, stored;
};

/// Column by column: their sizes differ by far. A column of the reference that is NaN must be NaN.
inline void expectRowGradient(Step& step, const ReferenceStep& expected, double tolerance) {
  const std::span<const float> actual = step.rowGradientB4();
  ASSERT_EQ(actual.size(), expected.rowGradientB4.size());
  for (size_t n = 0; n < 4; ++n) {
    std::vector<float> column;
    Doubles expectedColumn;
    for (size_t i = n; i < actual.size(); i += 4) {
      EXPECT_EQ(std::isnan(actual[i]), std::isnan(expected.rowGradientB4[i])) << "row gradient " << i;
      if (std::isnan(actual[i])) continue;
      column.push_back(actual[i]);
      expectedColumn.push_back(expected.rowGradientB4[i]);
    }
    EXPECT_LE(relativeError(column, expectedColumn), tolerance) << "row gradient, column " << n;
  }
}

inline void expectMatches(Engine& engine, const Problem& p) {
  const Tolerance tolerance(p);
  const ReferenceStep expected = referenceStep(p);
  auto centers = makeCenters(engine, p);
  auto step = forwardOf(*centers, p.asBatch());
  ASSERT_NE(step, nullptr);
  EXPECT_LE(relativeError(step->lossB(), expected.lossB), tolerance.norm) << "loss";
  EXPECT_LE(relativeError(step->embeddingGradientBD(), expected.embeddingGradientBD), tolerance.norm) << "dX";
  EXPECT_LE(worstRowError(step->embeddingGradientBD(), expected.embeddingGradientBD, p.dim), tolerance.row) << "dX row";
  expectRowGradient(*step, expected, tolerance.norm);
  const std::vector<float> gradient = gradientOf(*centers, {step.get()});
  EXPECT_LE(relativeError(gradient, expected.centerGradientRD), tolerance.norm) << "dW";
  EXPECT_LE(worstRowError(gradient, expected.centerGradientRD, p.dim), tolerance.row) << "dW row";

  const UpdateOptions sgd = {.learningRate = 0.5f, .momentum = 0.9f, .weightDecay = 1e-3f};
  Step* steps[] = {step.get()};
  const Status status = centers->update(steps, sgd);
  ASSERT_TRUE(status) << status.message();
  Doubles momentum(p.momentumRD.begin(), p.momentumRD.end()), weights(p.weightsRD.begin(), p.weightsRD.end());
  for (size_t n = 0; n < weights.size(); ++n) {
    if (p.isSampled &&
        !std::binary_search(p.sampled.begin(), p.sampled.end(), static_cast<int32_t>(n / (p.subCenters * p.dim)))) {
      continue;
    }
    momentum[n] =
        double(sgd.momentum) * momentum[n] + expected.centerGradientRD[n] + double(sgd.weightDecay) * weights[n];
    weights[n] -= double(sgd.learningRate) * momentum[n];
  }
  EXPECT_LE(relativeError(rowsOf(*centers), weights), tolerance.stored) << "weights";
  EXPECT_LE(relativeError(rowsOf(*centers, Buffer::kMomentum), momentum), tolerance.stored) << "momentum";
}

}  // namespace hyperarc::test
