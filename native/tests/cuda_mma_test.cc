// The tensor-core passes of kernels/mma on a GPU or in the host harness, against double precision on the same rounded
// operands (docs/numerics.md, "Tolerances").
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "cuda_pass_checks.h"
#include "device/update_element.h"
#include "kernels/mma/plan.h"
#include "runtime/error.h"

namespace hyperarc::test {
namespace {

/// l is summed in fp32 from products that are exact: only exp and the sums round.
constexpr double kSumTolerance = 2e-5 + kTensorCoreCut;

constexpr int64_t kA100Shared = 166912, kAdaShared = 101376;

int64_t sharedBytesOfDevice() {
  int bytes = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
  return bytes;
}

std::unique_ptr<cuda::Passes> makePasses(int32_t dim, int multiprocessors = 3, int64_t shared = kA100Shared) {
  cuda::Device device;
  device.major = 8;
  device.multiprocessors = multiprocessors;
  device.sharedBytesPerBlock = std::min(shared, sharedBytesOfDevice());
  return cuda::makeMmaPasses(device, cuda::paddedDim(dim));
}

void skipWithoutDevice() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no CUDA device";
}

/// Tests that run kernels.
class MmaTest : public testing::Test {
 protected:
  void SetUp() override { skipWithoutDevice(); }
};
class MmaTails : public MmaTest {};
class MmaFlush : public MmaTest {};
class MmaNumbers : public MmaTest {};

/// Every multiple of 5 and every neighbour of a tile's edge, up to 130.
std::vector<int64_t> tailSizes() {
  std::set<int64_t> sizes;
  for (int64_t size = 1; size <= 130; size += 5) sizes.insert(size);
  for (int64_t edge = 8; edge <= 128; edge += 8) sizes.insert({edge - 1, edge, edge + 1});
  return {sizes.begin(), sizes.end()};
}

// ---- Whole passes: every shape of kernel, precisions, lists.

using Case = std::tuple<int32_t, int64_t, Precision, bool>;  // D, shared bytes, precision, list

class MmaPasses : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { skipWithoutDevice(); }
  PassShape shapeOf(int64_t samples, int64_t classes) const {
    PassShape shape;
    shape.samples = samples;
    shape.classes = classes;
    shape.dim = std::get<0>(GetParam());
    shape.precision = std::get<2>(GetParam());
    shape.isList = std::get<3>(GetParam());
    return shape;
  }
  std::unique_ptr<cuda::Passes> passes() const {
    return makePasses(std::get<0>(GetParam()), 3, std::get<1>(GetParam()));
  }
};

TEST_P(MmaPasses, SumsNegativesAsDoublesDo) {
  expectNegativeSums(PassOperands(shapeOf(70, 203)), *passes(), kSumTolerance);
}

TEST_P(MmaPasses, FormsCenterGradientsAsDoublesDo) { expectGradients(PassOperands(shapeOf(70, 203)), *passes()); }

// The update must be the dense gradient put through the shared arithmetic of one element, to the bit.
TEST_P(MmaPasses, UpdatesWithTheDenseGradient) {
  for (bool hasMomentum : {true, false}) {
    PassShape shape = shapeOf(33, 131);
    shape.hasMomentum = hasMomentum;
    shape.firstGlobalRow = (int64_t{1} << 33) + 5;
    const PassOperands o(shape);
    const cuda::UpdateView sgd = {0.1f, hasMomentum ? 0.9f : 0.0f, 5e-4f, 77};
    const std::vector<float> dense = runDenseGradients(o, *passes());
    const UpdatedCenters updated = runUpdate(o, *passes(), sgd);
    const bool isMaster = shape.precision == Precision::kBf16Master;
    std::set<int64_t> taking;
    for (int64_t p = 0; p < o.positions(); ++p) taking.insert(o.classAt(p));
    for (int64_t row = 0; row < shape.classes; ++row) {
      double squares = 0.0;
      for (int32_t d = 0; d < o.dimPadded; ++d) {
        const int64_t at = row * shape.dim + d, padded = row * o.dimPadded + d;
        if (d >= shape.dim) {
          ASSERT_EQ(updated.weightsBf16[padded].bits, 0) << "padding of row " << row;
          continue;
        }
        float weight = static_cast<float>(o.master(row, d));
        float momentum = 0.0f;
        if (hasMomentum) momentum = isMaster ? cuda::toFloat(o.momentumBf16[padded]) : o.momentum[at];
        if (taking.count(row) != 0) {
          cuda::sgdElement(dense[at], weight, momentum, sgd);
          if (isMaster) {
            const cuda::PhiloxWords random = cuda::roundingWords(shape.firstGlobalRow + row, d / 4, sgd.roundingStep);
            weight = cuda::toFloat(cuda::toBf16Stochastic(weight, random.word[d % 4] & 0xffffu));
            momentum = cuda::toFloat(cuda::toBf16Stochastic(momentum, random.word[d % 4] >> 16));
          }
        }
        squares += static_cast<double>(weight) * weight;
        ASSERT_EQ(updated.weightsBf16[padded].bits, cuda::toBf16(weight).bits) << "row " << row << " d " << d;
        if (!isMaster) {
          ASSERT_EQ(updated.weights[at], weight) << "row " << row << " d " << d;
        }
        if (hasMomentum && isMaster) {
          ASSERT_EQ(cuda::toFloat(updated.momentumBf16[padded]), momentum);
        }
        if (hasMomentum && !isMaster) {
          ASSERT_EQ(updated.momentum[at], momentum);
        }
      }
      const double inverse = squares < 1e-24 ? 0.0 : 1.0 / std::sqrt(squares);
      ASSERT_NEAR(updated.inverseNorms[row], inverse, 1e-6 * inverse) << "row " << row;
    }
  }
}

TEST_P(MmaPasses, GivesTheSameBitsTwice) {
  const PassOperands o(shapeOf(70, 203));
  const PassSums one = runNegativeSums(o, *passes()), two = runNegativeSums(o, *passes());
  EXPECT_TRUE(sameBits(one.sumExp, two.sumExp));
  EXPECT_TRUE(sameBits(one.weightedSum, two.weightedSum));
  EXPECT_TRUE(sameBits(runDenseGradients(o, *passes()), runDenseGradients(o, *passes())));
}

#ifdef HYPERARC_EMULATED
TEST_P(MmaPasses, GivesTheSameBitsInAnyOrderOfWork) {
  expectSameBitsInAnyOrder(PassOperands(shapeOf(70, 203)), *passes());
}
#endif

std::string caseName(const testing::TestParamInfo<Case>& info) {
  const auto [dim, shared, precision, isList] = info.param;
  return "D" + std::to_string(dim) + (shared == kAdaShared ? "SmallShared" : "") +
         (precision == Precision::kBf16Master ? "Bf16Master" : "Bf16Compute") + (isList ? "List" : "");
}

INSTANTIATE_TEST_SUITE_P(Shapes, MmaPasses,
                         testing::Values(Case{512, kA100Shared, Precision::kBf16Compute, false},
                                         Case{512, kA100Shared, Precision::kBf16Master, true},
                                         Case{512, kAdaShared, Precision::kBf16Master, false},
                                         Case{512, kAdaShared, Precision::kBf16Compute, true},
                                         Case{301, kA100Shared, Precision::kBf16Compute, true},
                                         Case{301, kA100Shared, Precision::kBf16Master, false},
                                         Case{256, kA100Shared, Precision::kBf16Compute, false},
                                         Case{250, kAdaShared, Precision::kBf16Master, true},
                                         Case{128, kA100Shared, Precision::kBf16Master, false},
                                         Case{3, kA100Shared, Precision::kBf16Compute, true},
                                         Case{5, kA100Shared, Precision::kBf16Compute, false}),
                         caseName);

// ---- Tails.

TEST_F(MmaTails, OfSamples) {
  const auto passes = makePasses(20);
  for (int64_t samples : tailSizes()) {
    SCOPED_TRACE(samples);
    const PassOperands operands({.samples = samples, .classes = 37, .dim = 20, .seed = static_cast<uint32_t>(samples)});
    expectNegativeSums(operands, *passes, kSumTolerance);
    expectGradients(operands, *passes);
  }
}

TEST_F(MmaTails, OfClasses) {
  const auto passes = makePasses(20);
  for (int64_t classes : tailSizes()) {
    SCOPED_TRACE(classes);
    const PassOperands operands({.samples = 21, .classes = classes, .dim = 20, .seed = static_cast<uint32_t>(classes)});
    expectNegativeSums(operands, *passes, kSumTolerance);
    expectGradients(operands, *passes);
  }
}

TEST_F(MmaTails, OfTheSmallSharedShape) {
  const auto passes = makePasses(300, 5, kAdaShared);
  for (int64_t count : {1, 15, 16, 17, 31, 32, 33, 65}) {
    SCOPED_TRACE(count);
    const PassOperands operands({.samples = count, .classes = 66 - count, .dim = 300});
    expectNegativeSums(operands, *passes, kSumTolerance);
    expectGradients(operands, *passes);
  }
}

TEST_F(MmaTails, NoClassesGiveZeros) {
  PassOperands operands({.samples = 5, .classes = 40, .dim = 100, .isList = true});
  operands.list.clear();
  operands.targetPosition.assign(operands.targetPosition.size(), -1);
  operands.targetSamples.clear();
  operands.targetPositions.clear();
  const auto passes = makePasses(100);
  const PassSums sums = runNegativeSums(operands, *passes);
  for (float value : sums.sumExp) EXPECT_EQ(value, 0.0f);
  for (float value : sums.weightedSum) EXPECT_EQ(value, 0.0f);
  for (float value : runDenseGradients(operands, *passes)) EXPECT_EQ(value, 7.0f);
}

// One class and its own sample: no negative, a gradient of the target term alone.
TEST_F(MmaTails, OneClass) {
  const PassOperands operands({.samples = 1, .classes = 1, .dim = 128});
  ASSERT_EQ(operands.targetPosition[0], 0);
  const auto passes = makePasses(128);
  EXPECT_EQ(runNegativeSums(operands, *passes).sumExp[0], 0.0f);
  expectGradients(operands, *passes);
}

// A range longer than kFlushClasses adds to its partial sums. Zero centres have c = 0, so l counts them.
TEST_F(MmaFlush, LongRangesAddUp) {
  PassOperands operands({.samples = 2, .classes = 40, .dim = 8});
  const int64_t classes = cuda::mma::kFlushClasses + 70;
  operands.shape.isList = true;
  operands.list.assign(classes, 3);
  for (int64_t p = 0; p < classes; p += 1000) operands.list[p] = static_cast<int32_t>(p / 1000 % 40);
  operands.targetPosition.assign(operands.targetPosition.size(), -1);
  operands.targetPosition[1] = static_cast<int32_t>(classes - 1);
  const auto passes = makePasses(8, 1);
  expectNegativeSums(operands, *passes, kSumTolerance);
}

// ---- Numbers.

TEST_F(MmaNumbers, SplitsChangeOnlyRounding) {
  const PassOperands operands({.samples = 65, .classes = 1500, .dim = 40});
  const PassSums one = runNegativeSums(operands, *makePasses(40, 1));
  const PassSums many = runNegativeSums(operands, *makePasses(40, 60));
  EXPECT_FALSE(sameBits(one.weightedSum, many.weightedSum)) << "expected another split of the classes";
  EXPECT_LT(relativeError(many.weightedSum, Doubles(one.weightedSum.begin(), one.weightedSum.end())),
            1e-5 + kTensorCoreCut);
}

void leaveOutTargets(PassOperands* operands) {
  operands->targetPosition.assign(operands->targetPosition.size(), -1);
  operands->coefficient.assign(operands->coefficient.size(), 0.0f);
  operands->targetSamples.clear();
  operands->targetPositions.clear();
}

// A negative that is nearly all of its sums: bf16 alone would be off by up to 2⁻⁹.
TEST_F(MmaNumbers, DominantTermsKeepTheirBits) {
  for (uint32_t seed = 1; seed < 9; ++seed) {
    PassOperands operands({.samples = 20, .classes = 140, .dim = 500, .seed = seed});
    leaveOutTargets(&operands);
    // Of every four samples two are near a class; the others have nothing that dominates.
    for (int64_t i = 0; i < 20; ++i) {
      if (i % 4 >= 2) operands.gradientFactor[i] = 0.0f;
    }
    const auto passes = makePasses(500);
    const ExactSums exact = exactNegativeSums(operands);
    EXPECT_LT(relativeError(runNegativeSums(operands, *passes).weightedSum, exact.weightedSum), 3e-5 + kTensorCoreCut);
    EXPECT_LT(relativeError(runDenseGradients(operands, *passes), exactDenseGradients(operands)),
              3e-5 + kTensorCoreCut);
  }
}

struct PassErrors {
  double sums, gradients;
};

/// Of problems in which no term dominates.
PassErrors errorsOfOrdinaryTerms(int64_t samples, int64_t classes) {
  PassOperands operands({.samples = samples, .classes = classes, .dim = 500, .largestScale = 4.0f});
  leaveOutTargets(&operands);
  const auto passes = makePasses(500);
  const ExactSums exact = exactNegativeSums(operands);
  return {relativeError(runNegativeSums(operands, *passes).weightedSum, exact.weightedSum),
          relativeError(runDenseGradients(operands, *passes), exactDenseGradients(operands))};
}

// Where none dominates, weights are rounded to bf16 and that is that: the second product must not always run.
TEST_F(MmaNumbers, OrdinaryTermsAreRoundedOnce) {
  for (const auto& [samples, classes] : {std::pair{70, 300}, {17, 129}}) {
    const PassErrors errors = errorsOfOrdinaryTerms(samples, classes);
    EXPECT_GT(errors.sums, 1e-4);
    EXPECT_LT(errors.sums, 2e-3);
    EXPECT_GT(errors.gradients, 1e-4);
    EXPECT_LT(errors.gradients, 2e-3);
  }
}

// Few terms may nearly cancel, and few samples be all of a gradient: there rounding once could pass the tolerances.
TEST_F(MmaNumbers, FewTermsKeepEveryBit) {
  const PassErrors fewSamples = errorsOfOrdinaryTerms(16, 300);
  EXPECT_LT(fewSamples.sums, 3e-5);
  EXPECT_LT(fewSamples.gradients, 3e-5);
  EXPECT_LT(errorsOfOrdinaryTerms(70, 128).sums, 3e-5);
}

TEST_F(MmaNumbers, StochasticRoundingFollowsItsCounterAndIsUnbiased) {
  PassOperands operands({.samples = 1, .classes = 256, .dim = 128, .precision = Precision::kBf16Master});
  operands.gradientFactor.assign(operands.gradientFactor.size(), 0.0f);
  operands.coefficient.assign(1, 0.0f);
  // w ← w·(1 − 2⁻¹⁰): half a bf16 step or less, which rounding to nearest would mostly lose.
  const auto passes = makePasses(128);
  double moved = 0.0, expected = 0.0;
  std::vector<cuda::Bf16> first;
  for (uint64_t step = 0; step < 4; ++step) {
    const cuda::UpdateView sgd = {0x1p-10f, 0.0f, 1.0f, step};
    const UpdatedCenters one = runUpdate(operands, *passes, sgd), two = runUpdate(operands, *passes, sgd);
    EXPECT_TRUE(sameBits(one.weightsBf16, two.weightsBf16));
    if (step == 0) first = one.weightsBf16;
    if (step != 0) {
      EXPECT_FALSE(sameBits(one.weightsBf16, first)) << "step " << step;
    }
    for (size_t at = 0; at < one.weightsBf16.size(); ++at) {
      const double before = cuda::toFloat(operands.weightsBf16[at]);
      moved += std::abs(before) - std::abs(cuda::toFloat(one.weightsBf16[at]));
      expected += std::abs(before) * 0x1p-10;
    }
  }
  // 131072 draws whose standard deviation is about two of their means.
  EXPECT_NEAR(moved / expected, 1.0, 0.03);
}

TEST_F(MmaNumbers, ScaledCentersKeepTheirDirection) {
  for (float factor : {1e-6f, 1e6f}) {
    PassOperands operands({.samples = 20, .classes = 50, .dim = 64});
    for (float& value : operands.weights) value *= factor;
    for (size_t at = 0; at < operands.weightsBf16.size(); ++at) {
      operands.weightsBf16[at] = cuda::toBf16(cuda::toFloat(operands.weightsBf16[at]) * factor);
    }
    for (float& value : operands.inverseNorms) value /= factor;
    const auto passes = makePasses(64);
    expectNegativeSums(operands, *passes, kSumTolerance);
    expectGradients(operands, *passes);
  }
}

TEST_F(MmaTest, PassesSayWhatTheyAre) {
  EXPECT_EQ(makePasses(128)->name(), "mma-bf16-d128");
  EXPECT_EQ(makePasses(512, 3, kAdaShared)->name(), "mma-bf16-d512-r32");
  EXPECT_EQ(makePasses(256, 3, kAdaShared)->name(), "mma-bf16-d256");
  EXPECT_FALSE(makePasses(128)->supportsMask());
  EXPECT_THROW(makePasses(513), cuda::CudaError);
}

}  // namespace
}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
