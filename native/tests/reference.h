// The engine's step in plain double precision, written from docs/numerics.md and sharing nothing with the engine but
// the margin functions, which have their own tests against published values and finite differences.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "hyperarc/engine.h"

namespace hyperarc::test {

using Doubles = std::vector<double>;

/// A problem's operands in fp32, as both implementations get them.
struct Problem {
  int64_t batch = 0;
  int64_t classes = 0;
  int64_t subCenters = 1;
  int64_t dim = 0;
  std::vector<float> embeddingsBD;
  std::vector<int32_t> labelsB;
  std::vector<float> weightsRD;
  std::vector<float> momentumRD;
  MarginRule rule;
  std::vector<float> rowParametersB4;
  bool isSampled = false;
  std::vector<int32_t> sampled;
  /// In bf16 the products of the negatives are of rounded operands: docs/numerics.md, "bf16".
  Precision precision = Precision::kFp32;

  Batch asBatch() const;
  int64_t rows() const { return classes * subCenters; }
  /// The samples [first, last) with their row parameters.
  Problem slice(int64_t first, int64_t last) const;
};

struct ReferenceStep {
  Doubles lossB;
  Doubles embeddingGradientBD;
  Doubles targetCosineB;
  Doubles sumExpLogB;        // a_i
  Doubles centerGradientRD;  // dW of the mean loss over this step alone
  Doubles rowGradientB4;     // NaN in the first column under a negative rule
  // Under a negative rule: τ_i, how many negatives took which branch, and how near the nearest of them is to its τ.
  Doubles thresholdB;
  int64_t above = 0;
  int64_t below = 0;
  double nearest = std::numeric_limits<double>::infinity();
};

/// `rowsB4`, if given, replaces the problem's row parameters: doubles, for finite differences.
ReferenceStep referenceStep(const Problem& problem, const Doubles* rowsB4 = nullptr);

/// Random operands: N(0, 1) embeddings, N(0, 0.05²) centres, planted near matches (a quarter of the samples lie close
/// to their class or to a wrong one), one zero embedding and one zero centre when there is room.
Problem makeProblem(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, uint32_t seed);

/// The problem in another precision. A bf16 master's weights and momentum are what bf16 can hold.
Problem inPrecision(Problem problem, Precision precision);
/// The nearest bf16 number, ties to even.
float roundedToBf16(double value);

/// ‖actual − expected‖/‖expected‖ over everything.
double relativeError(std::span<const float> actual, const Doubles& expected);
/// The largest relative error of a row; rows below 1e-6 of the largest compare with that.
double worstRowError(std::span<const float> actual, const Doubles& expected, int64_t rowLength);

}  // namespace hyperarc::test
