// What `auto` runs on a device of compute capability 9.0 once wgmma is proven there: few terms on mma, all else on
// wgmma, from one step to the next and over the steps of one update (docs/decisions/0009-kernel-table.md).
#if HYPERARC_WITH_CUDA
#include <gtest/gtest.h>

#include "cuda/engine.h"
#include "hopper_device.h"
#include "matches.h"
#include "proven_table.h"

namespace hyperarc::test {
namespace {

std::unique_ptr<Engine> openByName(Kernels kernels) {
  return makeEngine({.kind = DeviceKind::kCuda, .kernels = kernels});
}

class HopperEngineUnasked : public OnHopper {
 protected:
  std::unique_ptr<Engine> open() const override {
    std::unique_ptr<Engine> engine;
    const Status status = cuda::createCudaEngine({.kind = DeviceKind::kCuda}, provenTable(), &engine);
    EXPECT_TRUE(status) << status.message();
    return engine;
  }
};

/// Every bit of a forward pass and of the update by it.
std::vector<std::vector<float>> stepOf(Engine& engine, const Problem& p) {
  auto centers = makeCenters(engine, p);
  auto step = forwardOf(*centers, p.asBatch());
  Step* steps[] = {step.get()};
  EXPECT_TRUE(centers->update(steps, {.learningRate = 0.5f, .momentum = 0.9f, .roundingStep = 7}));
  return {copyOf(step->lossB()), copyOf(step->embeddingGradientBD()), rowsOf(*centers),
          rowsOf(*centers, Buffer::kMomentum)};
}

TEST_P(HopperEngineUnasked, RunsFewTermsOnMmaAndManyOnWgmma) {
  auto mma = openByName(Kernels::kMma), wgmma = openByName(Kernels::kWgmma);
  const int64_t few[][3] = {{16, 200, 64}, {1, 2, 3}, {40, 128, 200}, {40, 200, 15}, {5, 300, 300}};
  for (const auto& [batch, classes, dim] : few) {
    SCOPED_TRACE(testing::Message() << "B " << batch << " C " << classes << " D " << dim);
    EXPECT_EQ(stepOf(*engine, problem(batch, classes, dim)), stepOf(*mma, problem(batch, classes, dim)));
  }
  const int64_t many[][3] = {{17, 129, 16}, {40, 200, 300}};
  for (const auto& [batch, classes, dim] : many) {
    SCOPED_TRACE(testing::Message() << "B " << batch << " C " << classes << " D " << dim);
    const auto actual = stepOf(*engine, problem(batch, classes, dim));
    EXPECT_EQ(actual, stepOf(*wgmma, problem(batch, classes, dim)));
    EXPECT_NE(actual, stepOf(*mma, problem(batch, classes, dim))) << "the families cannot be told apart";
  }
}

TEST_P(HopperEngineUnasked, CountsTheClassesThatWereDrawn) {
  auto mma = openByName(Kernels::kMma), wgmma = openByName(Kernels::kWgmma);
  Problem p = problem(40, 700, 96);
  p.isSampled = true;
  auto centers = makeCenters(*engine, p);
  for (const auto& [rate, same] : {std::pair{0.18, mma.get()}, {0.19, wgmma.get()}}) {
    ASSERT_TRUE(centers->sample(p.labelsB.data(), p.batch, {.rate = rate, .seed = 5, .step = 9}, &p.sampled));
    EXPECT_EQ(p.sampled.size() > 128, same == wgmma.get()) << p.sampled.size();
    EXPECT_EQ(stepOf(*engine, p), stepOf(*same, p));
  }
}

TEST_P(HopperEngineUnasked, NamesWhatAStepRuns) {
  const auto kernelsOf = [&](int64_t classes, int64_t dim, int64_t batch) {
    return makeCenters(*engine, problem(17, classes, dim))->kernels(batch);
  };
  EXPECT_EQ(kernelsOf(129, 200, 17), "wgmma-bf16-d256");
  EXPECT_EQ(kernelsOf(129, 200, 16), "mma-bf16-d256 (few samples)");
  EXPECT_EQ(kernelsOf(128, 200, 17), "mma-bf16-d256 (few classes)");
  EXPECT_EQ(kernelsOf(129, 15, 17), "mma-bf16-d128 (few dimensions)");
  auto grown = makeCenters(*engine, problem(17, 128, 200));
  ASSERT_TRUE(grown->resize(129, 1, 0.01f));
  EXPECT_EQ(grown->kernels(17), "wgmma-bf16-d256");
  auto byName = openByName(Kernels::kWgmma);
  EXPECT_EQ(makeCenters(*byName, problem(3, 4, 5))->kernels(3), "wgmma-bf16-d128");
}

TEST_P(HopperEngineUnasked, PlansWhatAStepRuns) {
  auto mma = openByName(Kernels::kMma), wgmma = openByName(Kernels::kWgmma);
  const CentersConfig config = {.classes = 5000, .dim = 256, .precision = GetParam()};
  const auto peak = [&](const Engine& on, int64_t batch, double rate) {
    Plan plan;
    EXPECT_TRUE(on.plan(config, batch, rate, &plan));
    return plan.peakBytes;
  };
  for (const auto& [batch, rate] : {std::pair{16, 1.0}, {300, 0.02}}) {
    EXPECT_EQ(peak(*engine, batch, rate), peak(*mma, batch, rate));
    EXPECT_NE(peak(*engine, batch, rate), peak(*wgmma, batch, rate));
  }
  EXPECT_EQ(peak(*engine, 300, 1.0), peak(*wgmma, 300, 1.0));
  EXPECT_NE(peak(*engine, 300, 1.0), peak(*mma, 300, 1.0));
}

TEST_P(HopperEngineUnasked, AccumulatesStepsOfBothFamilies) {
  const Problem whole = problem(43, 150, 128);
  auto mma = openByName(Kernels::kMma);
  const auto train = [&](Engine& on, const std::vector<int64_t>& ends) {
    auto centers = makeCenters(on, whole);
    std::vector<std::unique_ptr<Step>> made;
    std::vector<Step*> steps;
    int64_t first = 0;
    for (int64_t end : ends) {
      made.push_back(forwardOf(*centers, whole.slice(first, end).asBatch()));
      steps.push_back(made.back().get());
      first = end;
    }
    const std::vector<float> gradient = gradientOf(*centers, steps);
    const ReferenceStep expected = referenceStep(whole.slice(0, first));
    EXPECT_LE(relativeError(gradient, expected.centerGradientRD), 2e-3);
    EXPECT_LE(worstRowError(gradient, expected.centerGradientRD, whole.dim), 1e-2);
    EXPECT_TRUE(centers->update(steps, {.roundingStep = 3}));
    return std::pair{gradient, rowsOf(*centers)};
  };
  // Few samples each, many together: the forward passes are mma's, and so their bits; the update is not.
  const auto together = train(*engine, {10, 20, 30});
  EXPECT_EQ(together, train(*engine, {10, 20, 30}));
  EXPECT_NE(together.first, train(*mma, {10, 20, 30}).first);
  // Few and many in one update.
  EXPECT_EQ(train(*engine, {3, 43}), train(*engine, {3, 43}));
  // Few together: all of it is mma's.
  EXPECT_EQ(train(*engine, {5, 9, 16}), train(*mma, {5, 9, 16}));
}

// Whichever family moved the rows last, their bf16 copy and lengths serve the other.
TEST_P(HopperEngineUnasked, TakesTurnsOnTheSameRows) {
  Problem p = problem(40, 150, 200);
  auto centers = makeCenters(*engine, p);
  const int64_t batches[] = {40, 5, 16, 17, 1, 33};
  for (size_t n = 0; n < std::size(batches); ++n) {
    SCOPED_TRACE(testing::Message() << "step " << n);
    p.weightsRD = rowsOf(*centers);
    const Problem part = p.slice(0, batches[n]);
    const ReferenceStep expected = referenceStep(part);
    auto step = forwardOf(*centers, part.asBatch());
    EXPECT_LE(relativeError(step->lossB(), expected.lossB), 2e-3);
    EXPECT_LE(relativeError(step->embeddingGradientBD(), expected.embeddingGradientBD), 2e-3);
    EXPECT_LE(relativeError(gradientOf(*centers, {step.get()}), expected.centerGradientRD), 2e-3);
    Step* steps[] = {step.get()};
    ASSERT_TRUE(centers->update(steps, {.learningRate = 0.3f, .momentum = 0.9f, .roundingStep = n}));
    EXPECT_NE(rowsOf(*centers), p.weightsRD);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, HopperEngineUnasked, kBf16Precisions);

}  // namespace
}  // namespace hyperarc::test
#endif
