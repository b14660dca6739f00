// The Hopper passes of kernels/wgmma against double precision on the same rounded operands (docs/numerics.md,
// "Tolerances"): on a GPU of compute capability 9.0, and in the host harness, which runs their TMA, mbarriers and wgmma
// in software (docs/testing-cuda.md, "Hopper").
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>

#include "cuda_pass_checks.h"
#include "device/update_element.h"
#include "runtime/build.h"
#include "runtime/error.h"
#include "sanitized.h"

namespace hyperarc::test {
namespace {

/// A score is one fp32 sum over D, and its error is multiplied by s.
constexpr double kSumTolerance = 4e-5 + kTensorCoreCut;

class HopperTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef HYPERARC_EMULATED
    ASSERT_EQ(setenv("HYPERARC_EMULATED_SM", "90", 1), 0);
    ASSERT_EQ(setenv("HYPERARC_EMULATED_SHARED_BYTES", "232448", 1), 0);
#else
    int major = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess || major != 9)
      GTEST_SKIP() << "no CUDA device of compute capability 9.0";
    if (!cuda::kHasWgmma) GTEST_SKIP() << "the build has no wgmma kernels";
#endif
  }
  void TearDown() override {
    unsetenv("HYPERARC_EMULATED_SM");
    unsetenv("HYPERARC_EMULATED_SHARED_BYTES");
  }
};

std::unique_ptr<cuda::Passes> makePasses(int32_t dim, int multiprocessors = 4) {
  cuda::Device device;
  device.major = 9;
  device.multiprocessors = multiprocessors;
  device.sharedBytesPerBlock = 232448;
  return cuda::makeWgmmaPasses(device, cuda::paddedDim(dim));
}

using Case = std::tuple<int32_t, Precision, bool>;  // D, precision, list

class HopperPasses : public HopperTest, public testing::WithParamInterface<Case> {
 protected:
  PassShape shapeOf(int64_t samples, int64_t classes) const {
    PassShape shape;
    shape.samples = samples;
    shape.classes = classes;
    shape.dim = std::get<0>(GetParam());
    shape.precision = std::get<1>(GetParam());
    shape.isList = std::get<2>(GetParam());
    return shape;
  }
  std::unique_ptr<cuda::Passes> passes() const { return makePasses(std::get<0>(GetParam())); }
};

TEST_P(HopperPasses, SumsNegativesAsDoublesDo) {
  expectNegativeSums(PassOperands(shapeOf(150, 1003)), *passes(), kSumTolerance);
}

TEST_P(HopperPasses, FormsCenterGradientsAsDoublesDo) { expectGradients(PassOperands(shapeOf(150, 403)), *passes()); }

// The update must be the dense gradient put through the shared arithmetic of one element, to the bit. Of 275 classes
// the last 64 rows hold 19: of the warps that finish two rows at a time, three have three and the others two.
TEST_P(HopperPasses, UpdatesWithTheDenseGradient) {
  PassShape shape = shapeOf(40, 275);
  shape.firstGlobalRow = (int64_t{1} << 33) + 5;
  const PassOperands o(shape);
  const cuda::UpdateView sgd = {0.1f, 0.9f, 5e-4f, 77};
  const std::vector<float> dense = runDenseGradients(o, *passes());
  const UpdatedCenters updated = runUpdate(o, *passes(), sgd);
  const bool isMaster = shape.precision == Precision::kBf16Master;
  for (int64_t p = 0; p < o.positions(); ++p) {
    const int64_t row = o.classAt(p);
    double squares = 0.0;
    for (int32_t d = 0; d < shape.dim; ++d) {
      const int64_t at = row * shape.dim + d, padded = row * o.dimPadded + d;
      float weight = static_cast<float>(o.master(row, d));
      float momentum = isMaster ? cuda::toFloat(o.momentumBf16[padded]) : o.momentum[at];
      cuda::sgdElement(dense[at], weight, momentum, sgd);
      if (isMaster) {
        const cuda::PhiloxWords random = cuda::roundingWords(shape.firstGlobalRow + row, d / 4, sgd.roundingStep);
        weight = cuda::toFloat(cuda::toBf16Stochastic(weight, random.word[d % 4] & 0xffffu));
        momentum = cuda::toFloat(cuda::toBf16Stochastic(momentum, random.word[d % 4] >> 16));
        ASSERT_EQ(updated.momentumBf16[padded].bits, cuda::toBf16(momentum).bits) << "row " << row << " d " << d;
      }
      squares += static_cast<double>(weight) * static_cast<double>(weight);
      ASSERT_EQ(updated.weightsBf16[padded].bits, cuda::toBf16(weight).bits) << "row " << row << " d " << d;
      if (!isMaster) {
        ASSERT_EQ(updated.weights[at], weight) << "row " << row << " d " << d;
        ASSERT_EQ(updated.momentum[at], momentum) << "row " << row << " d " << d;
      }
    }
    ASSERT_FLOAT_EQ(updated.inverseNorms[row], static_cast<float>(1.0 / std::sqrt(squares))) << "row " << row;
  }
}

#ifdef HYPERARC_EMULATED
/// The rows at the pass's positions, a request each: `rowBytes` in whole 16 bytes, where the buffer has them.
void expectRows(const PrefetchedCenters::Buffer& buffer, const PassOperands& o, size_t rowBytes, const char* what) {
  const size_t total = static_cast<size_t>(o.shape.classes) * rowBytes;
  std::vector<bool> expected(total);
  for (int64_t p = 0; p < o.positions(); ++p) {
    const size_t begin = static_cast<size_t>(o.classAt(p)) * rowBytes / 16 * 16;
    const size_t end = std::min((static_cast<size_t>(o.classAt(p) + 1) * rowBytes + 15) / 16 * 16, total / 16 * 16);
    for (size_t byte = begin; byte < end; ++byte) expected[byte] = true;
  }
  EXPECT_EQ(buffer.requests, o.positions()) << what;
  EXPECT_TRUE(buffer.bytes == expected) << what;
}

void expectInverseNorms(const PrefetchedCenters::Buffer& buffer, const PassOperands& o) {
  std::vector<bool> expected(static_cast<size_t>(o.shape.classes) * sizeof(float));
  for (int64_t p = 0; p < o.positions(); ++p) expected[static_cast<size_t>(o.classAt(p)) * sizeof(float)] = true;
  EXPECT_EQ(buffer.requests, o.positions());
  EXPECT_TRUE(buffer.bytes == expected);
}

// What the end of a segment reads of a row, for every row that is finished and for no other. 403 classes: some CTAs
// have fewer rows than they could, or none.
TEST_P(HopperPasses, PrefetchTheRowsThatTheyFinish) {
  PassShape shape = shapeOf(40, 403);
  for (const bool hasMomentum : {true, false}) {
    SCOPED_TRACE(hasMomentum);
    shape.hasMomentum = hasMomentum;
    const PassOperands o(shape);
    const size_t rowBytes = shape.precision == Precision::kBf16Master ? static_cast<size_t>(o.dimPadded) * 2
                                                                      : static_cast<size_t>(shape.dim) * 4;
    const PrefetchedCenters update = prefetchedByUpdate(o, *passes());
    expectRows(update.weights, o, rowBytes, "weights of an update");
    expectInverseNorms(update.inverseNorms, o);
    const PrefetchedCenters dense = prefetchedByDenseGradients(o, *passes());
    expectRows(dense.weights, o, rowBytes, "weights of dense gradients");
    expectInverseNorms(dense.inverseNorms, o);
    EXPECT_EQ(dense.momentum.requests, 0);
    if (hasMomentum) {
      expectRows(update.momentum, o, rowBytes, "momentum");
    } else {
      EXPECT_EQ(update.momentum.requests, 0);
    }
  }
}

TEST_P(HopperPasses, GiveTheSameBitsInAnyOrderOfWork) {
  expectSameBitsInAnyOrder(PassOperands(shapeOf(70, 403)), *passes());
}
#endif

std::string caseName(const testing::TestParamInfo<Case>& info) {
  const auto [dim, precision, isList] = info.param;
  return "D" + std::to_string(dim) + (precision == Precision::kBf16Master ? "Bf16Master" : "Bf16Compute") +
         (isList ? "List" : "");
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, HopperPasses,
    testing::Values(Case{512, Precision::kBf16Compute, false}, Case{512, Precision::kBf16Master, true},
                    Case{301, Precision::kBf16Compute, true}, Case{256, Precision::kBf16Master, false},
                    Case{250, Precision::kBf16Compute, true}, Case{128, Precision::kBf16Compute, false},
                    Case{5, Precision::kBf16Master, true}),
    caseName);

// ---- Tails: tiles of 64, rows of 64 (D = 512) and 128, two blocks a cluster.

class HopperTails : public HopperTest, public testing::WithParamInterface<int32_t> {};

TEST_P(HopperTails, OfSamples) {
  const auto passes = makePasses(GetParam());
  for (int64_t samples : {1, 2, 63, 64, 65, 127, 128, 129, 257}) {
    SCOPED_TRACE(samples);
    const PassOperands operands({.samples = samples, .classes = 70, .dim = GetParam()});
    expectNegativeSums(operands, *passes, kSumTolerance);
    expectGradients(operands, *passes);
  }
}

TEST_P(HopperTails, OfClasses) {
  const auto passes = makePasses(GetParam());
  for (int64_t classes : {1, 2, 63, 64, 65, 127, 128, 129, 193, 257, 321}) {
    SCOPED_TRACE(classes);
    const PassOperands operands({.samples = 21, .classes = classes, .dim = GetParam()});
    expectNegativeSums(operands, *passes, kSumTolerance);
    expectGradients(operands, *passes);
  }
}

TEST_P(HopperTails, NoClassesGiveZeros) {
  PassOperands operands({.samples = 5, .classes = 40, .dim = GetParam(), .isList = true});
  operands.list.clear();
  operands.targetPosition.assign(operands.targetPosition.size(), -1);
  operands.targetSamples.clear();
  operands.targetPositions.clear();
  const auto passes = makePasses(GetParam());
  const PassSums sums = runNegativeSums(operands, *passes);
  for (float value : sums.sumExp) EXPECT_EQ(value, 0.0f);
  for (float value : sums.weightedSum) EXPECT_EQ(value, 0.0f);
  for (float value : runDenseGradients(operands, *passes)) EXPECT_EQ(value, 7.0f);
}

INSTANTIATE_TEST_SUITE_P(Dims, HopperTails, testing::Values(500, 256, 100));

TEST_F(HopperTest, SplitsChangeOnlyRounding) {
  const PassOperands operands({.samples = 65, .classes = 1500, .dim = 500});
  const PassSums one = runNegativeSums(operands, *makePasses(500, 2));
  const PassSums many = runNegativeSums(operands, *makePasses(500, 12));
  EXPECT_FALSE(sameBits(one.weightedSum, many.weightedSum)) << "expected another split of the classes";
  EXPECT_LT(relativeError(many.weightedSum, Doubles(one.weightedSum.begin(), one.weightedSum.end())),
            1e-5 + kTensorCoreCut);
}

// More than 64k classes for one cluster: its accumulators go to memory, and a second segment adds to them.
TEST_F(HopperTest, LongRangesGoOnInASecondSegment) {
  if (kIsSanitized) GTEST_SKIP() << "65,671 classes at least: a minute; guard bytes watch them without a sanitizer";
  const PassOperands operands({.samples = 3, .classes = 64 * 1026 + 7, .dim = 100});
  expectNegativeSums(operands, *makePasses(100, 2), kSumTolerance);
}

// More than 64k samples: a row's gradient is still finished once.
TEST_F(HopperTest, ManySamplesFinishARowOnce) {
  if (kIsSanitized) GTEST_SKIP() << "65,671 samples at least: as above";
  const PassOperands operands({.samples = 64 * 1026 + 7, .classes = 3, .dim = 100});
  expectGradients(operands, *makePasses(100, 2));
}

// A negative that is nearly all of its sums: bf16 alone would be off by up to 2⁻⁹.
TEST_F(HopperTest, DominantTermsKeepTheirBits) {
  for (uint32_t seed = 1; seed < 4; ++seed) {
    PassOperands operands({.samples = 1, .classes = 40, .dim = 500, .seed = seed});
    operands.targetPosition[0] = -1;
    operands.coefficient[0] = 0.0f;
    operands.targetSamples.clear();
    operands.targetPositions.clear();
    const auto passes = makePasses(500);
    EXPECT_LT(relativeError(runNegativeSums(operands, *passes).weightedSum, exactNegativeSums(operands).weightedSum),
              3e-5 + kTensorCoreCut);
    EXPECT_LT(relativeError(runDenseGradients(operands, *passes), exactDenseGradients(operands)),
              3e-5 + kTensorCoreCut);
  }
}

TEST_F(HopperTest, PassesSayWhatTheyAre) {
  EXPECT_EQ(makePasses(128)->name(), "wgmma-bf16-d128");
  EXPECT_EQ(makePasses(512)->name(), "wgmma-bf16-d512");
  EXPECT_FALSE(makePasses(256)->supportsMask());
  EXPECT_THROW(makePasses(513), cuda::CudaError);
}

}  // namespace
}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
