// The whole engine on the Hopper kernels, asked for by name: a device of compute capability 9.0, or the host harness
// made one.
#if HYPERARC_WITH_CUDA
#include <gtest/gtest.h>

#include "hopper_device.h"
#include "matches.h"

namespace hyperarc::test {
namespace {

class HopperEngine : public OnHopper {
  std::unique_ptr<Engine> open() const override {
    return makeEngine({.kind = DeviceKind::kCuda, .kernels = Kernels::kWgmma});
  }
};

TEST_P(HopperEngine, MatchesTheReference) {
  const int64_t shapes[][3] = {{1, 2, 7}, {17, 130, 128}, {70, 65, 200}, {130, 300, 256}, {65, 513, 512}};
  for (const auto& [batch, classes, dim] : shapes) {
    SCOPED_TRACE(testing::Message() << "B " << batch << " C " << classes << " D " << dim);
    const Problem p = problem(batch, classes, dim);
    auto centers = makeCenters(*engine, p);
    EXPECT_TRUE(centers->kernels(batch).starts_with("wgmma-bf16-d")) << centers->kernels(batch);
    expectMatches(*engine, p);
  }
}

TEST_P(HopperEngine, MatchesOnSampledClasses) {
  Problem p = problem(40, 700, 96);
  p.isSampled = true;
  auto centers = makeCenters(*engine, p);
  ASSERT_TRUE(centers->sample(p.labelsB.data(), p.batch, {.rate = 0.3, .seed = 5, .step = 9}, &p.sampled));
  expectMatches(*engine, p);
}

TEST_P(HopperEngine, TrainsTheSameBitsTwiceAndAccumulates) {
  const Problem p = problem(33, 150, 128);
  const auto train = [&] {
    auto centers = makeCenters(*engine, p);
    for (int n = 0; n < 2; ++n) {
      auto one = forwardOf(*centers, p.asBatch());
      auto two = forwardOf(*centers, p.asBatch());
      Step* steps[] = {one.get(), two.get()};
      EXPECT_TRUE(centers->update(steps, {.roundingStep = uint64_t(n)}));
    }
    return rowsOf(*centers);
  };
  EXPECT_EQ(train(), train());
  // Twice the same micro-batch is one mean over twice the samples: the gradient of one.
  auto centers = makeCenters(*engine, p);
  auto one = forwardOf(*centers, p.asBatch());
  auto two = forwardOf(*centers, p.asBatch());
  const ReferenceStep expected = referenceStep(p);
  EXPECT_LE(relativeError(gradientOf(*centers, {one.get(), two.get()}), expected.centerGradientRD), 2e-3);
}

TEST_P(HopperEngine, RefusesNegativeRulesBeforeAnythingChanges) {
  Problem p = problem(17, 130, 128);
  auto centers = makeCenters(*engine, p);
  p.rule.negatives = {.threshold = NegativeThreshold::kFixed, .fixed = 0.4f, .above = {{0, 0, 0}, {0, 0}}};
  std::unique_ptr<Step> step;
  const Status status = centers->forward(p.asBatch(), &step);
  EXPECT_STREQ(codeName(status.code()), "E_RANGE");
  EXPECT_NE(status.message().find("received negative rule; use kernels 'auto'"), std::string::npos) << status.message();
  EXPECT_EQ(step, nullptr);
  p.rule.negatives = {};
  EXPECT_NE(forwardOf(*centers, p.asBatch()), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Precisions, HopperEngine, kBf16Precisions);

}  // namespace
}  // namespace hyperarc::test
#endif
