// Each stage of a PlainRun against double precision on the operands that the device has, and whole steps against the
// reference.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "cuda_plain_run.h"
#include "negative_problems.h"

namespace hyperarc::test {

inline constexpr double kNormTolerance = 1e-5;
inline constexpr double kRowTolerance = 1e-4;

/// What the passes multiply, as the device has it, in double.
struct Operands {
  explicit Operands(const PlainRun& run)
      : dim(run.dim),
        subCenters(run.p.subCenters),
        unit(run.centers.view.precision == Precision::kFp32 ? run.unit.toHost()
                                                            : widenedRows(run.unitBf16.toHost(), run.dim)),
        rows(run.centers.operandRows()),
        master(run.centers.weightRows()),
        inverseNorms(run.centers.inverseNorms.toHost()) {}

  double cosine(int64_t sample, int64_t row) const {
    double dot = 0.0;
    for (int64_t d = 0; d < dim; ++d) dot += double(unit[sample * dim + d]) * rows[row * dim + d];
    return dot * inverseNorms[row];
  }
  /// Row of the class's largest cosine.
  int64_t winner(int64_t sample, int64_t localClass, double* largest) const {
    int64_t winner = localClass * subCenters;
    *largest = cosine(sample, winner);
    for (int64_t row = winner + 1; row < (localClass + 1) * subCenters; ++row) {
      const double candidate = cosine(sample, row);
      if (candidate > *largest) {
        *largest = candidate;
        winner = row;
      }
    }
    return winner;
  }

  int64_t dim, subCenters;
  std::vector<float> unit, rows, master, inverseNorms;
};

/// N(c) and N'(c) of a pair under `rule`; c itself without one.
struct ExactNegatives {
  explicit ExactNegatives(const PlainRun& run) : thresholds(run.threshold.toHost()) {}

  margins::Negative<double> operator()(const NegativeRule& rule, int64_t sample, double c) {
    if (rule.threshold == NegativeThreshold::kNone) return {c, 1.0};
    nearest = std::min(nearest, std::abs(c - thresholds[sample]));
    ++(c > thresholds[sample] ? above : below);
    return margins::negative(rule, thresholds[sample], c);
  }
  /// Both branches count, and rounding does not decide which.
  void expectBothBranches() const {
    EXPECT_GT(above, 0);
    EXPECT_GT(below, 0);
    EXPECT_GT(nearest, 1e-6) << "a cosine on its threshold: take another seed";
  }

  std::vector<float> thresholds;
  int64_t above = 0, below = 0;  // pairs on either branch
  double nearest = 9.0;          // of any cosine to its threshold
};

/// An error of a cosine counts s·N' times in an exponent, N' the true derivative. The bars without a rule stay as they
/// are: docs/kernels/plain.md, "Accuracy".
inline double sensitivity(const PlainRun& run) {
  const MarginRule rule = withTrueSlopes(run.p.rule);
  if (rule.negatives.threshold == NegativeThreshold::kNone) return 1.0;
  return std::max(1.0, rule.scale / 64.0) * margins::steepestNegative(rule.negatives);
}

inline void expectSums(const PlainRun& run) {
  const Operands o(run);
  ExactNegatives negatives(run);
  const std::vector<float> scale = run.scale.toHost(), shift = run.shift.toHost();
  Doubles sums(run.p.batch), weighted(run.p.batch * run.dim);
  for (int64_t i = 0; i < run.p.batch; ++i) {
    for (int64_t position = 0; position < run.positions(); ++position) {
      if (position == run.samples.targetPosition[i]) continue;
      double c = 0.0;
      const int64_t row = o.winner(i, run.classAt(position), &c);
      const margins::Negative<double> negative = negatives(run.p.rule.negatives, i, c);
      const double e = std::exp(scale[i] * negative.value - shift[i]);
      sums[i] += e;
      for (int64_t d = 0; d < run.dim; ++d) {
        weighted[i * run.dim + d] += e * negative.slope * o.inverseNorms[row] * o.rows[row * run.dim + d];
      }
    }
  }
  if (run.hasRule()) negatives.expectBothBranches();
  const double norm = kNormTolerance * sensitivity(run), row = kRowTolerance * sensitivity(run);
  EXPECT_LE(relativeError(run.sumExp.toHost(), sums), norm) << "l";
  EXPECT_LE(worstRowError(run.sumExp.toHost(), sums, 1), row) << "l of a sample";
  EXPECT_LE(relativeError(run.weightedSum.toHost(), weighted), norm) << "U";
  EXPECT_LE(worstRowError(run.weightedSum.toHost(), weighted, run.dim), row) << "U of a sample";
}

/// In one or two dimensions the tangent part is all cancellation: errors are then measured against what it is the rest
/// of.
inline void expectGradients(PlainRun& run) {
  const std::vector<float> actual = run.denseGradients();
  const Operands o(run);
  ExactNegatives negatives(run);
  const std::vector<float> scale = run.scale.toHost(), shift = run.gradientShift.toHost();
  const std::vector<float> factor = run.gradientFactor.toHost(), tangent = run.tangentW.toHost();
  const std::vector<float> coefficient = run.coefficient.toHost();
  const std::vector<int32_t> winners = run.winner.toHost();
  const int64_t dim = run.dim, subCenters = run.p.subCenters;
  Doubles sums(run.p.rows() * dim), expected(run.p.rows() * dim, 7.0);
  std::vector<bool> takesPart(run.p.rows());
  for (int64_t position = 0; position < run.positions(); ++position) {
    const int64_t localClass = run.classAt(position);
    for (int64_t k = 0; k < subCenters; ++k) takesPart[localClass * subCenters + k] = true;
    for (int64_t i = 0; i < run.p.batch; ++i) {
      if (position == run.samples.targetPosition[i]) {
        const int64_t row = localClass * subCenters + winners[i];
        for (int64_t d = 0; d < dim; ++d) sums[row * dim + d] += double(coefficient[i]) * tangent[i * dim + d];
        continue;
      }
      if (!run.samples.hasClass.empty() &&
          run.samples.hasClass[run.samples.stepOfSample[i] * run.positions() + position] == 0) {
        continue;
      }
      double c = 0.0;
      const int64_t row = o.winner(i, localClass, &c);
      const margins::Negative<double> negative = negatives(run.ruleOf(i), i, c);
      const double e = factor[i] == 0.0f ? 0.0 : std::exp(scale[i] * negative.value - shift[i]);
      const double q = e * negative.slope * factor[i] / run.p.batch;
      for (int64_t d = 0; d < dim; ++d) sums[row * dim + d] += q * o.unit[i * dim + d];
    }
  }
  double worstAgainstScale = 0.0;
  for (int64_t row = 0; row < run.p.rows(); ++row) {
    if (!takesPart[row]) continue;
    double along = 0.0;
    for (int64_t d = 0; d < dim; ++d) along += sums[row * dim + d] * o.master[row * dim + d] * o.inverseNorms[row];
    for (int64_t d = 0; d < dim; ++d) {
      const double unit = double(o.master[row * dim + d]) * o.inverseNorms[row];
      expected[row * dim + d] = (sums[row * dim + d] - along * unit) * o.inverseNorms[row];
      const double difference = std::abs(actual[row * dim + d] - expected[row * dim + d]);
      if (o.inverseNorms[row] > 0.0f) {
        worstAgainstScale = std::max(worstAgainstScale, difference / o.inverseNorms[row]);
      } else {
        ASSERT_EQ(actual[row * dim + d], 0.0f) << "zero row " << row;
      }
    }
  }
  if (dim <= 2) {
    EXPECT_LE(worstAgainstScale, 1e-6 * run.p.rule.scale) << "dW against s/|w|";
    return;
  }
  EXPECT_LE(relativeError(actual, expected), kNormTolerance * sensitivity(run)) << "dW";
  EXPECT_LE(worstRowError(actual, expected, dim), kRowTolerance * sensitivity(run)) << "dW of a row";
}

inline void expectStages(const Problem& p, Precision precision) {
  PlainRun run(p, precision, samplesOf(p));
  run.sumNegatives();
  expectSums(run);
  run.finish();
  expectGradients(run);
}

/// Every second class and the classes of some labels.
inline void sampleHalf(Problem& p) {
  std::set<int32_t> chosen;
  for (int64_t j = 0; j < p.classes; j += 2) chosen.insert(static_cast<int32_t>(j));
  for (int64_t i = 0; i < p.batch; i += 3) chosen.insert(p.labelsB[i]);
  p.isSampled = true;
  p.sampled.assign(chosen.begin(), chosen.end());
}

/// Whole steps against the reference, which shares nothing with the kernels but the margin functions.
inline void expectStep(const Problem& p) {
  const ReferenceStep expected = referenceStep(p);
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  run.finish();
  const std::vector<float> loss = run.loss.toHost(), gradientX = run.embeddingGradient.toHost();
  EXPECT_LE(relativeError(loss, expected.lossB), kNormTolerance) << "loss";
  EXPECT_LE(relativeError(gradientX, expected.embeddingGradientBD), kNormTolerance) << "dX";
  EXPECT_LE(worstRowError(gradientX, expected.embeddingGradientBD, p.dim), kRowTolerance) << "dX row";
  std::vector<float> gradientW = run.denseGradients();
  if (p.isSampled) {
    for (int64_t n = 0; n < static_cast<int64_t>(gradientW.size()); ++n) {
      const auto localClass = static_cast<int32_t>(n / (p.subCenters * p.dim));
      if (!std::binary_search(p.sampled.begin(), p.sampled.end(), localClass)) {
        ASSERT_EQ(gradientW[n], 7.0f);
        gradientW[n] = 0.0f;
      }
    }
  }
  EXPECT_LE(relativeError(gradientW, expected.centerGradientRD), kNormTolerance) << "dW";
  EXPECT_LE(worstRowError(gradientW, expected.centerGradientRD, p.dim), kRowTolerance) << "dW row";
}

}  // namespace hyperarc::test
