// The CUDA kernels that read and write rows of class centres, and cosines, one by one: against the CPU engine, against
// double precision, bit by bit where docs/numerics.md promises bits.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <set>

#include "cpu/philox.h"
#include "cuda_target_terms.h"
#include "device/update_element.h"

namespace hyperarc::test {
namespace {

TEST(CudaRows, AreSeededAsOnTheCpu) {
  HYPERARC_NEEDS_DEVICE();
  constexpr uint64_t kSeed = uint64_t{5} << 40 | 17;
  for (int64_t dim : {1, 3, 4, 130, 513, 700, 1500, 4096}) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
      SCOPED_TRACE(testing::Message() << "D " << dim << " precision " << int(precision));
      const Problem p = makeProblem(1, 10, 2, dim, 1);
      const int64_t firstGlobalRow = (int64_t{1} << 33) + 6;
      const DeviceCenters centers(p, precision, true, firstGlobalRow);
      cuda::launchSeedRows(centers.view, kSeed, 0.01f, 3, 17, nullptr);
      std::vector<float> weights = centers.weightRows(), momentum = centers.momentumRows();
      const std::vector<float> norms = centers.inverseNorms.toHost();
      for (int64_t row = 0; row < 20; ++row) {
        std::vector<float> expected(dim);
        cpu::seedRow(kSeed, firstGlobalRow + row, 0.01f, dim, expected.data());
        for (int64_t d = 0; d < dim; ++d) {
          const bool isBf16 = precision == Precision::kBf16Master;
          const float old = p.weightsRD[row * dim + d], oldMomentum = p.momentumRD[row * dim + d];
          const float value = row < 3 ? old : expected[d];
          ASSERT_EQ(weights[row * dim + d], isBf16 ? widened(cuda::toBf16(value)) : value) << row << ' ' << d;
          const float expectedMomentum = row < 3 ? oldMomentum : 0.0f;
          ASSERT_EQ(momentum[row * dim + d], isBf16 ? widened(cuda::toBf16(expectedMomentum)) : expectedMomentum);
        }
        const double inverse = exactInverseNorm(&weights[row * dim], dim);
        ASSERT_NEAR(norms[row], inverse, 3e-7 * inverse);
      }
      if (precision == Precision::kBf16Compute) {
        EXPECT_EQ(centers.operandRows(), widenedRows(narrowed(weights, dim), dim));
      }
    }
  }
}

TEST(CudaRows, KeepNormsOfTinyAndHugeRows) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(1, 6, 1, 40, 1);
  const float sizes[] = {1e-30f, 0.9e-12f, 1.2e-12f, 1e-9f, 1e18f, 1e37f};
  for (int64_t row = 0; row < 6; ++row) {
    std::fill_n(&p.weightsRD[row * 40], 40, 0.0f);
    p.weightsRD[row * 40 + 7] = sizes[row];
  }
  const DeviceCenters centers(p, Precision::kFp32);
  const std::vector<float> norms = centers.inverseNorms.toHost();
  EXPECT_EQ(norms[0], 0.0f);
  EXPECT_EQ(norms[1], 0.0f);
  for (int row = 2; row < 6; ++row) EXPECT_NEAR(norms[row] * double(sizes[row]), 1.0, 3e-7);
}

TEST(CudaRows, WidenNarrowAndGather) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 7, 128, 300, 512, 515}) {
    const Problem p = makeProblem(1, 13, 1, dim, 2);
    const int32_t padded = cuda::paddedDim(static_cast<int32_t>(dim));
    const DeviceArray<float> rows(p.weightsRD);
    DeviceArray<cuda::Bf16> narrow(13 * padded);
    DeviceArray<float> wide(13 * dim);
    cuda::launchNarrowRows(rows.get(), static_cast<int32_t>(dim), padded, 13, narrow.get(), nullptr);
    EXPECT_EQ(widenedRows(narrow.toHost(), dim), widenedRows(narrowed(p.weightsRD, dim), dim));
    cuda::launchWidenRows(narrow.get(), padded, static_cast<int32_t>(dim), 13, wide.get(), nullptr);
    EXPECT_EQ(wide.toHost(), widenedRows(narrow.toHost(), dim));

    const DeviceCenters centers(p, Precision::kBf16Compute);
    const std::vector<int32_t> chosen = {0, 2, 3, 9, 12};
    const DeviceArray<int32_t> list(chosen);
    DeviceArray<cuda::Bf16> gathered(5 * padded);
    DeviceArray<float> norms(5);
    cuda::launchGatherRows(centers.view, {5, list.get()}, gathered.get(), norms.get(), nullptr);
    const std::vector<float> all = centers.operandRows(), some = widenedRows(gathered.toHost(), dim);
    const std::vector<float> allNorms = centers.inverseNorms.toHost(), someNorms = norms.toHost();
    for (int n = 0; n < 5; ++n) {
      EXPECT_EQ(someNorms[n], allNorms[chosen[n]]);
      for (int64_t d = 0; d < dim; ++d) ASSERT_EQ(some[n * dim + d], all[chosen[n] * dim + d]);
    }
  }
}

TEST(CudaRows, OfOtherClassesDecay) {
  HYPERARC_NEEDS_DEVICE();
  const cuda::UpdateView sgd = {.learningRate = 0.3f, .momentum = 0.8f, .weightDecay = 0.01f, .roundingStep = 12};
  for (int64_t dim : {3, 130, 513, 4096}) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
      for (bool hasMomentum : {true, false}) {
        SCOPED_TRACE(testing::Message() << "D " << dim << " precision " << int(precision) << ' ' << hasMomentum);
        cuda::UpdateView own = sgd;
        if (!hasMomentum) own.momentum = 0.0f;
        const Problem p = makeProblem(1, 9, 2, dim, 2);
        const DeviceCenters centers(p, precision, hasMomentum, 40);
        std::vector<float> weights = centers.weightRows();
        std::vector<float> momentum = hasMomentum ? centers.momentumRows() : std::vector<float>(weights.size());
        const DeviceArray<int32_t> updated(std::vector<int32_t>{0, 4, 5, 8});
        const std::set<int64_t> updatedClasses = {0, 4, 5, 8};
        cuda::launchDecayOthers(centers.view, {4, updated.get()}, own, nullptr);
        for (int64_t n = 0; n < static_cast<int64_t>(weights.size()); ++n) {
          const int64_t row = n / dim, d = n % dim;
          if (updatedClasses.count(row / 2) > 0) continue;
          cuda::sgdElement(0.0f, weights[n], momentum[n], own);
          if (precision == Precision::kBf16Master) {
            const uint32_t random = cuda::roundingWords(40 + row, static_cast<int32_t>(d / 4), 12).word[d % 4];
            weights[n] = widened(cuda::toBf16Stochastic(weights[n], random & 0xffff));
            momentum[n] = widened(cuda::toBf16Stochastic(momentum[n], random >> 16));
          }
        }
        EXPECT_EQ(centers.weightRows(), weights);
        if (hasMomentum) {
          EXPECT_EQ(centers.momentumRows(), momentum);
        }
        if (precision == Precision::kBf16Compute) {
          EXPECT_EQ(centers.operandRows(), widenedRows(narrowed(weights, dim), dim));
        }
        const std::vector<float> norms = centers.inverseNorms.toHost();
        for (int64_t row = 0; row < 18; ++row) {
          const double inverse = exactInverseNorm(&weights[row * dim], dim);
          ASSERT_NEAR(norms[row], inverse, 3e-7 * inverse);
        }
      }
    }
  }
}

TEST(CudaRows, OfAnEmptyListAllDecayAndOfNoListNone) {
  HYPERARC_NEEDS_DEVICE();
  const cuda::UpdateView sgd = {.learningRate = 0.5f, .momentum = 0.0f, .weightDecay = 0.5f, .roundingStep = 0};
  const Problem p = makeProblem(1, 3, 1, 8, 2);
  const DeviceCenters centers(p, Precision::kFp32, false);
  cuda::launchDecayOthers(centers.view, {3, nullptr}, sgd, nullptr);
  EXPECT_EQ(centers.weightRows(), p.weightsRD);
  const DeviceArray<int32_t> none(1);
  cuda::launchDecayOthers(centers.view, {0, none.get()}, sgd, nullptr);
  const std::vector<float> weights = centers.weightRows();
  for (size_t n = 0; n < weights.size(); ++n) EXPECT_FLOAT_EQ(weights[n], 0.75f * p.weightsRD[n]);
}

TEST(CudaCosines, EqualDoublePrecision) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 3, 130, 513}) {
    for (int64_t subCenters : {1, 3, 16}) {
      for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
        SCOPED_TRACE(testing::Message() << "K " << subCenters << " D " << dim << " precision " << int(precision));
        const Problem p = makeProblem(133, 90, subCenters, dim, 6);
        const DeviceCenters centers(p, precision);
        TargetTerms terms(p.batch, dim, false);
        runTargetTerms(p, centers, 0, terms);
        const int64_t first = 17, count = 70;
        DeviceArray<float> out(p.batch * count);
        cuda::launchCosines(centers.view, terms.unit.get(), p.batch, first, count, out.get(), nullptr);
        const std::vector<float> cosines = out.toHost(), unit = terms.unit.toHost(), weights = centers.weightRows();
        for (int64_t i = 0; i < p.batch; ++i) {
          for (int64_t j = 0; j < count; ++j) {
            double best = -2.0;
            for (int64_t k = 0; k < subCenters; ++k) {
              const float* row = &weights[((first + j) * subCenters + k) * dim];
              double dot = 0.0;
              for (int64_t d = 0; d < dim; ++d) dot += double(unit[i * dim + d]) * row[d];
              best = std::max(best, dot * exactInverseNorm(row, dim));
            }
            ASSERT_NEAR(cosines[i * count + j], best, 5e-7) << i << ' ' << j;
          }
        }
      }
    }
  }
}

TEST(CudaCosines, LetNanWin) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(2, 3, 3, 5, 6);
  p.weightsRD[4 * 5] = kNan;
  const DeviceCenters centers(p, Precision::kFp32);
  TargetTerms terms(2, 5, false);
  runTargetTerms(p, centers, 0, terms);
  DeviceArray<float> out(6);
  cuda::launchCosines(centers.view, terms.unit.get(), 2, 0, 3, out.get(), nullptr);
  const std::vector<float> cosines = out.toHost();
  for (int n = 0; n < 6; ++n) EXPECT_EQ(std::isnan(cosines[n]), n % 3 == 1) << n;
}

}  // namespace
}  // namespace hyperarc::test

#endif
