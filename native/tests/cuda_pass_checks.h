// The big passes against double precision, as docs/numerics.md ("Tolerances") asks of bf16.
#pragma once

#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "cuda_pass_operands.h"

namespace hyperarc::test {

/// Tensor cores cut where the harness rounds: a cosine near 1 comes out too small, and s times that (s = 64, D = 512)
/// is 4e-5 … 1e-4 of a sum that it dominates [calculated]. To be added to what the harness needs.
#ifdef HYPERARC_EMULATED
inline constexpr double kTensorCoreCut = 0.0;
#else
inline constexpr double kTensorCoreCut = 1.6e-4;
#endif

/// The tolerances of docs/numerics.md for bf16.
inline void expectClose(std::span<const float> actual, const Doubles& expected, int64_t rowLength, const char* what) {
  EXPECT_LT(relativeError(actual, expected), 2e-3) << what;
  EXPECT_LT(worstRowError(actual, expected, rowLength), 1e-2) << what;
}

/// Where there is a rule, some negatives are above their threshold and most are not.
inline void expectBothBranches(const PassOperands& operands, const ExactSums& exact) {
  if (operands.shape.rule.threshold == NegativeThreshold::kNone || operands.shape.samples < 16) return;
  EXPECT_GT(exact.above, 0);
  EXPECT_LT(exact.above, operands.shape.samples * operands.positions());
}

/// `sumTolerance`: of l, whose terms multiply the error of a score by s.
inline void expectNegativeSums(const PassOperands& operands, cuda::Passes& passes, double sumTolerance) {
  const PassSums actual = runNegativeSums(operands, passes);
  const ExactSums exact = exactNegativeSums(operands);
  expectBothBranches(operands, exact);
  EXPECT_LT(relativeError(actual.sumExp, exact.sumExp), sumTolerance);
  EXPECT_LT(worstRowError(actual.sumExp, exact.sumExp, 1), 2.5 * sumTolerance);
  // As dX weighs them: a row's share is U/l, and l spans many powers of ten.
  std::vector<float> shares = actual.weightedSum;
  Doubles exactShares = exact.weightedSum;
  for (size_t at = 0; at < shares.size(); ++at) {
    const double total = exact.sumExp[at / operands.shape.dim];
    if (total == 0.0) {
      EXPECT_EQ(shares[at], 0.0f);
      continue;
    }
    shares[at] = static_cast<float>(shares[at] / total);
    exactShares[at] /= total;
  }
  expectClose(shares, exactShares, operands.shape.dim, "U/l");
}

inline void expectGradients(const PassOperands& operands, cuda::Passes& passes) {
  expectClose(runDenseGradients(operands, passes), exactDenseGradients(operands), operands.shape.dim, "dW");
}

template <typename T>
bool sameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

#ifdef HYPERARC_EMULATED
/// The harness runs blocks, warps and lanes, and lands copies, in another order for each schedule: results have the
/// same bits.
inline void expectSameBitsInAnyOrder(const PassOperands& operands, cuda::Passes& passes) {
  const cuda::UpdateView sgd = {0.1f, 0.9f, 5e-4f, 3};
  PassSums sums;
  UpdatedCenters updated;
  for (int schedule = 0; schedule < 4; ++schedule) {
    ASSERT_EQ(setenv("HYPERARC_EMULATED_SCHEDULE", std::to_string(schedule).c_str(), 1), 0);
    const PassSums otherSums = runNegativeSums(operands, passes);
    const UpdatedCenters other = runUpdate(operands, passes, sgd);
    unsetenv("HYPERARC_EMULATED_SCHEDULE");
    if (schedule == 0) sums = otherSums, updated = other;
    EXPECT_TRUE(sameBits(sums.sumExp, otherSums.sumExp));
    EXPECT_TRUE(sameBits(sums.weightedSum, otherSums.weightedSum));
    EXPECT_TRUE(sameBits(updated.weights, other.weights));
    EXPECT_TRUE(sameBits(updated.weightsBf16, other.weightsBf16));
    EXPECT_TRUE(sameBits(updated.inverseNorms, other.inverseNorms));
  }
}
#endif

}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
