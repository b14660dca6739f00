// The tensor-core passes of kernels/mma under negative rules, against double precision on the same rounded operands.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>

#include "cuda_pass_checks.h"
#include "margins/negative.h"
#include "negative_problems.h"
#include "runtime/error.h"

namespace hyperarc::test {
namespace {

/// As without a rule, for each unit of the steepest N' (cuda_mma_test.cc).
constexpr double kSumTolerance = 2e-5 + kTensorCoreCut;

constexpr int64_t kA100Shared = 166912, kAdaShared = 101376;

using Case = std::tuple<int32_t, int64_t, Precision, bool>;  // D, shared bytes, precision, list

class MmaRules : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no CUDA device";
    int bytes = 0;
    ASSERT_EQ(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
    const auto [dim, shared, precision, isList] = GetParam();
    cuda::Device device;
    device.major = 8;
    device.multiprocessors = 3;
    device.sharedBytesPerBlock = std::min<int64_t>(shared, bytes);
    passes = cuda::makeMmaPasses(device, cuda::paddedDim(dim));
  }
  PassShape shapeOf(int64_t samples, int64_t classes, const NegativeRule& rule) const {
    const auto [dim, shared, precision, isList] = GetParam();
    return {.samples = samples, .classes = classes, .dim = dim, .precision = precision, .isList = isList, .rule = rule};
  }
  void expectPasses(const PassShape& shape) {
    const PassOperands operands(shape);
    expectNegativeSums(operands, *passes, kSumTolerance * margins::steepestNegative(shape.rule));
    expectGradients(operands, *passes);
  }

  std::unique_ptr<cuda::Passes> passes;
};

TEST_P(MmaRules, AreAsInDoublePrecision) {
  for (const NamedRule& head : headsWithNegatives()) {
    SCOPED_TRACE(head.name);
    expectPasses(shapeOf(70, 203, head.rule.negatives));
  }
}

TEST_P(MmaRules, HoldOnTails) {
  const NegativeRule rule = headsWithNegatives()[0].rule.negatives;
  for (int64_t samples : {1, 2, 16, 17, 33}) {
    for (int64_t classes : {1, 2, 31, 33, 65}) {
      SCOPED_TRACE(testing::Message() << "B " << samples << " C " << classes);
      expectPasses(shapeOf(samples, classes, rule));
    }
  }
}

// Pass 1 and pass 2 of a rule that leaves the cosine as it is: the same numbers as without one, to the bit.
TEST_P(MmaRules, OfTheIdentityChangeNoBit) {
  const NegativeRule identity = {.threshold = NegativeThreshold::kFixed, .fixed = 0.1f};
  PassOperands with(shapeOf(70, 203, identity)), without(shapeOf(70, 203, {}));
  const PassSums one = runNegativeSums(with, *passes), other = runNegativeSums(without, *passes);
  EXPECT_TRUE(sameBits(one.sumExp, other.sumExp));
  EXPECT_TRUE(sameBits(one.weightedSum, other.weightedSum));
  EXPECT_TRUE(sameBits(runDenseGradients(with, *passes), runDenseGradients(without, *passes)));
}

TEST_P(MmaRules, OfEachStepAreForThePlainKernels) {
  const NegativeRule rule = headsWithNegatives()[0].rule.negatives;
  cuda::CenterGradients args = {};
  args.classes.count = 1;
  args.rule = rule;
  args.ruleOfStep = &rule;
  class NoWorkspace final : public cuda::Workspace {
   public:
    void* take(int64_t) override { return nullptr; }
  } none;
  EXPECT_THROW(passes->centerGradients(args, none, nullptr), cuda::CudaError);
}

#ifdef HYPERARC_EMULATED
TEST_P(MmaRules, GiveTheSameBitsInAnyOrderOfWork) {
  expectSameBitsInAnyOrder(PassOperands(shapeOf(70, 203, headsWithNegatives()[0].rule.negatives)), *passes);
}
#endif

std::string caseName(const testing::TestParamInfo<Case>& info) {
  const auto [dim, shared, precision, isList] = info.param;
  return std::string("D").append(std::to_string(dim)) + (shared == kAdaShared ? "SmallShared" : "") +
         (precision == Precision::kBf16Master ? "Bf16Master" : "Bf16Compute") + (isList ? "List" : "");
}

INSTANTIATE_TEST_SUITE_P(Shapes, MmaRules,
                         testing::Values(Case{512, kA100Shared, Precision::kBf16Compute, false},
                                         Case{301, kAdaShared, Precision::kBf16Master, true},
                                         Case{256, kA100Shared, Precision::kBf16Master, false},
                                         Case{5, kA100Shared, Precision::kBf16Compute, true}),
                         caseName);

}  // namespace
}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
