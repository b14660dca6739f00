// The plain CUDA passes: the fused update, and what must hold to the bit or to the byte.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include "cuda_plain_checks.h"
#include "device/update_element.h"

namespace hyperarc::test {
namespace {

TEST(CudaPlain, UpdatesWithTheDenseGradient) {
  HYPERARC_NEEDS_DEVICE();
  for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
    for (int64_t dim : {3, 130, 513, 1030, 2100}) {
      for (bool hasMomentum : {true, false}) {
        SCOPED_TRACE(testing::Message() << "D " << dim << " precision " << int(precision) << ' ' << hasMomentum);
        const cuda::UpdateView sgd = {
            .learningRate = 0.5f, .momentum = hasMomentum ? 0.9f : 0.0f, .weightDecay = 1e-3f, .roundingStep = 77};
        const int64_t firstGlobalRow = (int64_t{1} << 33) + 5;
        Problem p = makeProblem(7, 30, 2, dim, 6);
        sampleHalf(p);
        PlainRun run(p, precision, samplesOf(p), hasMomentum, firstGlobalRow);
        run.sumNegatives();
        run.finish();
        const std::vector<float> dense = run.denseGradients();
        std::vector<float> weights = run.centers.weightRows();
        std::vector<float> momentum = hasMomentum ? run.centers.momentumRows() : std::vector<float>(weights.size());
        run.formGradients({.isUpdate = true, .update = sgd, .dense = nullptr});
        for (int64_t n = 0; n < static_cast<int64_t>(weights.size()); ++n) {
          const int64_t row = n / dim, d = n % dim;
          if (!std::binary_search(p.sampled.begin(), p.sampled.end(), static_cast<int32_t>(row / 2))) continue;
          cuda::sgdElement(dense[n], weights[n], momentum[n], sgd);
          if (precision != Precision::kBf16Master) continue;
          const uint32_t random =
              cuda::roundingWords(firstGlobalRow + row, static_cast<int32_t>(d / 4), sgd.roundingStep).word[d % 4];
          weights[n] = widened(cuda::toBf16Stochastic(weights[n], random & 0xffffu));
          momentum[n] = widened(cuda::toBf16Stochastic(momentum[n], random >> 16));
        }
        EXPECT_EQ(run.centers.weightRows(), weights);
        if (hasMomentum) {
          EXPECT_EQ(run.centers.momentumRows(), momentum);
        }
        if (precision == Precision::kBf16Compute) {
          EXPECT_EQ(run.centers.operandRows(), widenedRows(narrowed(weights, dim), dim));
        }
        const std::vector<float> norms = run.centers.inverseNorms.toHost();
        for (int64_t row = 0; row < p.rows(); ++row) {
          const double inverse = exactInverseNorm(&weights[row * dim], dim);
          ASSERT_NEAR(norms[row], inverse, 3e-7 * inverse) << "row " << row;
        }
      }
    }
  }
}

TEST(CudaPlain, GivesTheSameBitsTwice) {
  HYPERARC_NEEDS_DEVICE();
  const Problem p = makeProblem(40, 700, 1, 50, 6);
  const auto bitsOf = [&] {
    PlainRun run(p, Precision::kFp32, samplesOf(p));
    run.sumNegatives();
    run.finish();
    std::vector<float> all = run.weightedSum.toHost();
    for (const std::vector<float>& more : {run.sumExp.toHost(), run.denseGradients()}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  };
  const std::vector<float> first = bitsOf(), second = bitsOf();
  EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0);
}

TEST(CudaPlain, TakesBoundedMemory) {
  HYPERARC_NEEDS_DEVICE();
  const auto passes = plainPasses();
  for (int32_t dim : {1, 512, 2048, 4096}) {
    for (int32_t subCenters : {1, 16}) {
      cuda::CentersView centers = {};
      centers.precision = Precision::kBf16Master;
      centers.subCenters = subCenters;
      centers.dim = dim;
      centers.dimPadded = cuda::paddedDim(dim);
      const int64_t most = passes->workspaceBytes(centers, 100'000'000 / subCenters, false, 1'000'000);
      EXPECT_LE(most, int64_t{320} << 20) << "D " << dim;
      EXPECT_LE(passes->workspaceBytes(centers, 1000, false, 1), most);
    }
  }
  cuda::CentersView centers = {};
  centers.subCenters = 1;
  centers.dim = 512;
  EXPECT_LE(passes->workspaceBytes(centers, 10'000'000, false, 1024), int64_t{80} << 20);
}

TEST(CudaPlain, SaysWhatItIs) {
  HYPERARC_NEEDS_DEVICE();
  EXPECT_EQ(plainPasses()->name(), "plain-fp32");
  EXPECT_TRUE(plainPasses()->supportsMask());
}

}  // namespace
}  // namespace hyperarc::test

#endif
