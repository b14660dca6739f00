// The big passes against double precision, as docs/numerics.md ("Tolerances") asks of bf16.
#pragma once

#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <vector>

#include "cuda_pass_operands.h"

namespace hyperarc::test {

/// The tolerances of docs/numerics.md for bf16.
inline void expectClose(std::span<const float> actual, const Doubles& expected, int64_t rowLength, const char* what) {
  EXPECT_LT(relativeError(actual, expected), 2e-3) << what;
  EXPECT_LT(worstRowError(actual, expected, rowLength), 1e-2) << what;
}

/// `sumTolerance`: of l, whose terms multiply the error of a score by s.
inline void expectNegativeSums(const PassOperands& operands, cuda::Passes& passes, double sumTolerance) {
  const PassSums actual = runNegativeSums(operands, passes);
  const ExactSums exact = exactNegativeSums(operands);
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

}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
