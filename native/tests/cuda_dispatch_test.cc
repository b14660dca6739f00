// The kernel table: every line can be reached, and what is passed over is said.
#if HYPERARC_WITH_CUDA
#include <gtest/gtest.h>

#include "cuda/dispatch/dispatch.h"
#include "cuda/few_terms.h"
#include "cuda/runtime/build.h"
#include "proven_table.h"

namespace hyperarc::cuda {
namespace {

// What lines do is the same in every build that has them.
const std::vector<KernelRow>& builtTable() {
  static const std::vector<KernelRow> table = test::changedTable([](KernelRow& row) { row.isBuilt = true; });
  return table;
}
const std::vector<KernelRow>& provenTable() {
  static const std::vector<KernelRow> table =
      test::changedTable([](KernelRow& row) { row.isBuilt = row.provenOnHardware = true; });
  return table;
}
/// Proven, in a build without sm_90a.
const std::vector<KernelRow>& tableWithoutWgmma() {
  static const std::vector<KernelRow> table = test::changedTable([](KernelRow& row) {
    row.provenOnHardware = true;
    row.isBuilt = row.family != Kernels::kWgmma;
  });
  return table;
}

constexpr int32_t kCapabilities[] = {80, 86, 89, 90, 100, 120};

std::string chosen(int32_t capability, const KernelRequest& request, KernelTable table = builtTable()) {
  KernelChoice choice;
  const Status status = chooseKernels(table, capability, request, &choice);
  EXPECT_TRUE(status) << status.message();
  return choice.name;
}

TEST(KernelTable, ServesEveryProblemOnEveryDevice) {
  for (int32_t capability : kCapabilities) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
      for (int32_t subCenters : {1, 2, 16}) {
        for (int32_t dim : {1, 127, 128, 129, 512, 513, 4096}) {
          for (bool needsMask : {false, true}) {
            for (int32_t rules : {0, 1, 9}) {
              for (Optimizer optimizer : {Optimizer::kSgd, Optimizer::kAdamW}) {
                KernelChoice choice;
                ASSERT_TRUE(chooseKernels(kernelTable(), capability,
                                          {.precision = precision,
                                           .subCenters = subCenters,
                                           .dim = dim,
                                           .needsMask = needsMask,
                                           .negativeRules = rules,
                                           .optimizer = optimizer},
                                          &choice));
                EXPECT_TRUE(choice.row->isAutomatic());
                EXPECT_TRUE(choice.row->dimPadded == 0 || choice.row->dimPadded == paddedDim(dim));
                EXPECT_GE(choice.row->maxRules, rules);
                EXPECT_TRUE(optimizer == Optimizer::kSgd || choice.row->takesAdamW);
              }
            }
          }
        }
      }
    }
  }
}

TEST(KernelTable, EveryLineCanBeReached) {
  for (const KernelRow& row : builtTable()) {
    const KernelRequest request = {.asked = row.family,
                                   .precision = row.takesFp32 ? Precision::kFp32 : Precision::kBf16Compute,
                                   .subCenters = row.maxSubCenters,
                                   .dim = row.dimPadded == 0 ? 4096 : row.dimPadded,
                                   .needsMask = row.takesMask,
                                   .negativeRules = row.maxRules,
                                   .optimizer = row.takesAdamW ? Optimizer::kAdamW : Optimizer::kSgd};
    KernelChoice choice;
    ASSERT_TRUE(chooseKernels(builtTable(), row.minCapability, request, &choice));
    EXPECT_EQ(choice.row, &row) << choice.name;
  }
}

TEST(KernelTable, WhatIsNotProvenRunsOnlyWhenAskedFor) {
  const KernelRequest request = {.precision = Precision::kBf16Compute, .dim = 512};
  KernelRequest asking = request;
  asking.asked = Kernels::kWgmma;
  EXPECT_EQ(chosen(90, asking), "wgmma-bf16-d512");
  const KernelRow* wgmma = nullptr;
  for (const KernelRow& row : builtTable()) {
    if (row.family == Kernels::kWgmma && row.dimPadded == 512) wgmma = &row;
  }
  ASSERT_NE(wgmma, nullptr);
  EXPECT_EQ(chosen(90, request), wgmma->provenOnHardware ? "wgmma-bf16-d512" : "mma-bf16-d512");
  EXPECT_FALSE(wgmma->harnessSuffices) << "the harness has no asynchronous proxy, which is where such kernels go wrong";
}

TEST(KernelTable, NamesSayWhatRunsAndWhy) {
  EXPECT_EQ(chosen(80, {.precision = Precision::kFp32, .subCenters = 3, .dim = 512}), "plain-fp32");
  EXPECT_EQ(chosen(80, {.precision = Precision::kBf16Compute, .dim = 100}), "mma-bf16-d128");
  EXPECT_EQ(chosen(120, {.precision = Precision::kBf16Master, .dim = 129}), "mma-bf16-d256");
  EXPECT_EQ(chosen(80, {.precision = Precision::kBf16Compute, .dim = 513}), "plain-bf16 (D = 513)");
  EXPECT_EQ(chosen(80, {.precision = Precision::kBf16Compute, .subCenters = 2, .dim = 513}), "plain-bf16 (K = 2)");
  EXPECT_EQ(chosen(80, {.precision = Precision::kBf16Compute, .dim = 512, .needsMask = true}),
            "plain-bf16 (steps of different samples)");
  EXPECT_EQ(chosen(80, {.asked = Kernels::kPlain, .precision = Precision::kBf16Compute, .dim = 512}), "plain-bf16");
  const KernelRequest rule = {.precision = Precision::kBf16Compute, .dim = 512, .negativeRules = 1};
  EXPECT_EQ(chosen(80, rule), "mma-bf16-d512");
  KernelRequest rules = rule;
  rules.negativeRules = 2;
  EXPECT_EQ(chosen(80, rules), "plain-bf16 (steps of different negative rules)");
  // Where wgmma would run by itself, a rule or AdamW is the reason that it does not.
  const KernelRequest adamw = {.precision = Precision::kBf16Compute, .dim = 512, .optimizer = Optimizer::kAdamW};
  EXPECT_EQ(chosen(80, adamw, provenTable()), "mma-bf16-d512");
  EXPECT_EQ(chosen(90, adamw, provenTable()), "mma-bf16-d512 (AdamW)");
  EXPECT_EQ(chosen(90, rule, provenTable()), "mma-bf16-d512 (negative rule)");
}

TEST(KernelTable, FewTermsAreForALineThatHoldsItsTolerances) {
  const auto proven = [](int64_t samples, int64_t classes, int32_t dim) {
    const KernelRequest request = {
        .precision = Precision::kBf16Compute, .dim = dim, .samples = samples, .classes = classes};
    return chosen(90, request, provenTable());
  };
  for (const auto& [dim, row] : {std::pair{500, "d512"}, {200, "d256"}, {100, "d128"}}) {
    const std::string mma = std::string("mma-bf16-") + row, wgmma = std::string("wgmma-bf16-") + row;
    EXPECT_EQ(proven(kFewSamples + 1, kFewClasses + 1, dim), wgmma);
    EXPECT_EQ(proven(kFewSamples, kFewClasses + 1, dim), mma + " (few samples)");
    EXPECT_EQ(proven(1, 1'000'000, dim), mma + " (few samples)");
    EXPECT_EQ(proven(kFewSamples + 1, kFewClasses, dim), mma + " (few classes)");
    EXPECT_EQ(proven(1024, 0, dim), mma + " (few classes)");
  }
  EXPECT_EQ(proven(kFewSamples + 1, kFewClasses + 1, kFewDimensions), "wgmma-bf16-d128");
  EXPECT_EQ(proven(1024, 1'000'000, kFewDimensions - 1), "mma-bf16-d128 (few dimensions)");

  // What a line cannot serve at all says more than that it is small.
  KernelRequest few = {.precision = Precision::kBf16Compute, .dim = 512, .samples = 3, .classes = 5};
  few.negativeRules = 1;
  EXPECT_EQ(chosen(90, few, provenTable()), "mma-bf16-d512 (negative rule)");
  few.needsMask = true;
  EXPECT_EQ(chosen(90, few, provenTable()), "plain-bf16 (steps of different samples)");
  // Nothing faster is passed over on other devices, nor where a request does not say how much there is of it.
  few = {.precision = Precision::kBf16Compute, .dim = 3, .samples = 3, .classes = 5};
  EXPECT_EQ(chosen(80, few, provenTable()), "mma-bf16-d128");
  EXPECT_EQ(chosen(90, {.precision = Precision::kBf16Compute, .dim = 512}, provenTable()), "wgmma-bf16-d512");
  // Asked for by name a family takes few terms too.
  few.asked = Kernels::kWgmma;
  EXPECT_EQ(chosen(90, few), "wgmma-bf16-d128");
}

TEST(KernelTable, AutoRunsWhatTheBuildHas) {
  KernelRequest request = {.precision = Precision::kBf16Compute, .dim = 512, .samples = 1024, .classes = 1'000'000};
  EXPECT_EQ(chosen(90, request, provenTable()), "wgmma-bf16-d512");
  EXPECT_EQ(chosen(90, request, tableWithoutWgmma()), "mma-bf16-d512 (build without sm_90a)");
  // Nothing was passed over.
  EXPECT_EQ(chosen(80, request, tableWithoutWgmma()), "mma-bf16-d512");
  EXPECT_EQ(chosen(100, request, tableWithoutWgmma()), "mma-bf16-d512");
  request.dim = 100;
  EXPECT_EQ(chosen(90, request, tableWithoutWgmma()), "mma-bf16-d128 (build without sm_90a)");
  // These no build would give to wgmma.
  request.samples = 3;
  EXPECT_EQ(chosen(90, request, tableWithoutWgmma()), "mma-bf16-d128 (few samples)");
  request.optimizer = Optimizer::kAdamW;
  EXPECT_EQ(chosen(90, request, tableWithoutWgmma()), "mma-bf16-d128 (AdamW)");
  EXPECT_EQ(chosen(90, {.precision = Precision::kFp32, .dim = 512}, tableWithoutWgmma()), "plain-fp32");

  // As long as a line is not proven, it is not the build that keeps `auto` from it.
  std::vector<KernelRow> unproven = tableWithoutWgmma();
  for (KernelRow& row : unproven) row.provenOnHardware = false;
  EXPECT_EQ(chosen(90, {.precision = Precision::kBf16Compute, .dim = 512}, unproven), "mma-bf16-d512");

  KernelChoice choice;
  const KernelRequest asking = {.asked = Kernels::kWgmma, .precision = Precision::kBf16Compute, .dim = 512};
  const Status status = chooseKernels(tableWithoutWgmma(), 90, asking, &choice);
  EXPECT_STREQ(codeName(status.code()), "E_DEVICE");
  EXPECT_EQ(status.message(),
            "kernels: expected a build with the wgmma kernels, received one without sm_90a; use kernels 'auto', or "
            "build with 90a-real among HYPERARC_CUDA_ARCHITECTURES");
  EXPECT_EQ(choice.row, nullptr);
}

TEST(KernelTable, EveryLineOfThisBuildHasKernels) {
  for (const KernelRow& row : kernelTable()) {
    EXPECT_EQ(row.isBuilt, row.family != Kernels::kWgmma || kHasWgmma);
    const Device device = {.major = 9, .multiprocessors = 4, .sharedBytesPerBlock = 232448};
    if (row.isBuilt) EXPECT_NE(makePasses(row, device), nullptr);
  }
}

TEST(CudaBuild, KnowsTheDevicesThatItsCodeRunsOn) {
  const auto runs = [](const char* architectures, int capability) {
    return hasCodeFor(architectures, capability / 10, capability % 10);
  };
  // Machine code: its major version, from its minor one on.
  EXPECT_TRUE(runs("80-real", 80) && runs("80-real", 86) && runs("80-real", 89));
  EXPECT_FALSE(runs("86-real", 80) || runs("80-real", 90) || runs("80-real", 120) || runs("90-real", 89));
  EXPECT_TRUE(runs("100-real", 103) && runs("120-real", 121));
  EXPECT_FALSE(runs("100-real", 110) || runs("120-real", 80));
  // Architecture's own: that one alone. Family's own: its major version.
  EXPECT_TRUE(runs("90a-real", 90));
  EXPECT_FALSE(runs("90a-real", 100) || runs("100a-real", 103) || runs("90a-virtual", 100) || runs("90a", 120));
  EXPECT_TRUE(runs("100f-real", 103) && runs("100f-virtual", 103));
  EXPECT_FALSE(runs("103f-real", 100) || runs("100f-virtual", 110));
  // PTX, and both.
  EXPECT_TRUE(runs("80-virtual", 80) && runs("80-virtual", 90) && runs("80-virtual", 121) && runs("86", 120));
  EXPECT_FALSE(runs("120-virtual", 110) || runs("86", 80));

  EXPECT_TRUE(runs("80-real 90a-real", 90) && runs("80-real 90a-real", 86));
  EXPECT_FALSE(runs("80-real 90a-real", 100) || runs("", 80));
  for (int capability : {80, 86, 87, 89, 90, 100, 103, 120, 121, 130})
    EXPECT_TRUE(runs("80-real 86-real 89-real 90a-real 100-real 120-real 120-virtual", capability)) << capability;
}

TEST(KernelTable, RefusesWhatCannotBeWithTheReason) {
  const auto refuses = [](int32_t capability, const KernelRequest& request, StatusCode code, const std::string& part) {
    KernelChoice choice;
    const Status status = chooseKernels(builtTable(), capability, request, &choice);
    EXPECT_STREQ(codeName(status.code()), codeName(code));
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    EXPECT_EQ(choice.row, nullptr);
  };
  const KernelRequest wgmma = {.asked = Kernels::kWgmma, .precision = Precision::kBf16Compute, .dim = 512};
  refuses(80, wgmma, StatusCode::kDevice, "runs on sm_80, received wgmma");
  refuses(100, wgmma, StatusCode::kDevice, "sm_100");
  KernelRequest mma = {.asked = Kernels::kMma, .precision = Precision::kFp32, .dim = 512};
  refuses(80, mma, StatusCode::kRange, "received fp32");
  mma.precision = Precision::kBf16Compute;
  mma.dim = 600;
  refuses(80, mma, StatusCode::kRange, "D = 600");
  mma.dim = 512;
  mma.subCenters = 2;
  refuses(80, mma, StatusCode::kRange, "K = 2");
  mma.subCenters = 1;
  mma.needsMask = true;
  refuses(80, mma, StatusCode::kRange, "different samples");
  mma.needsMask = false;
  mma.negativeRules = 2;
  refuses(80, mma, StatusCode::kRange, "received steps of different negative rules");
  KernelRequest rule = wgmma;
  rule.negativeRules = 1;
  refuses(90, rule, StatusCode::kRange, "received negative rule");
  KernelRequest adamw = wgmma;
  adamw.optimizer = Optimizer::kAdamW;
  refuses(90, adamw, StatusCode::kRange, "for wgmma no rule, and SGD), received AdamW; use kernels 'auto'");
}

}  // namespace
}  // namespace hyperarc::cuda
#endif
