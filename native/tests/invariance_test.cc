// What must not change a result: the thread count, the shard layout, micro-batches in place of one batch.
#include <gtest/gtest.h>

#include "engines.h"
#include "reference.h"

namespace hyperarc::test {
namespace {

struct Outcome {
  std::vector<float> loss, embeddingGradient, weights, momentum, gradient;
  bool operator==(const Outcome&) const = default;
};

Outcome run(const EngineConfig& config, const Problem& p) {
  auto engine = makeEngine(config);
  auto centers = makeCenters(*engine, p);
  Outcome outcome;
  for (int repeat = 0; repeat < 3; ++repeat) {
    auto step = forwardOf(*centers, p.asBatch());
    Step* steps[] = {step.get()};
    outcome.gradient = gradientOf(*centers, {step.get()});
    EXPECT_TRUE(centers->update(steps, {.unsampled = Unsampled::kDecayed}));
    outcome.loss = copyOf(step->lossB());
    outcome.embeddingGradient = copyOf(step->embeddingGradientBD());
  }
  outcome.weights = rowsOf(*centers);
  outcome.momentum = rowsOf(*centers, Buffer::kMomentum);
  return outcome;
}

TEST(Threads, DoNotChangeABit) {
  Problem p = makeProblem(70, 3000, 1, 72, 31);
  for (bool isSampled : {false, true}) {
    p.isSampled = isSampled;
    if (isSampled) {
      auto engine = makeEngine();
      ASSERT_TRUE(makeCenters(*engine, p)->sample(p.labelsB.data(), p.batch, {.rate = 0.5}, &p.sampled));
    }
    for (CpuIsa isa : supportedIsas()) {
      const Outcome expected = run({.isa = isa, .threads = 1}, p);
      for (int threads : {2, 3, 5})
        EXPECT_TRUE(run({.isa = isa, .threads = threads}, p) == expected) << threads << " threads";
    }
  }
}

class Invariance : public EachEngine {};

TEST_P(Invariance, TwoRunsHaveTheSameBits) {
  Problem p = problem(70, 1000, 1, 72, 31);
  EXPECT_TRUE(run(GetParam().config, p) == run(GetParam().config, p));
  p.isSampled = true;
  ASSERT_TRUE(makeCenters(*engine, p)->sample(p.labelsB.data(), p.batch, {.rate = 0.5}, &p.sampled));
  EXPECT_TRUE(run(GetParam().config, p) == run(GetParam().config, p));
}

TEST_P(Invariance, ShardsTogetherEqualTheWhole) {
  for (int64_t subCenters : {1, 2}) {
    const Problem p = problem(37, 310, subCenters, 60, 41);
    const ReferenceStep expected = referenceStep(p);
    const int64_t cuts[] = {0, 100, 101, 310};
    std::vector<std::unique_ptr<ClassCenters>> shards;
    std::vector<std::unique_ptr<Step>> steps(3);
    for (int h = 0; h < 3; ++h) shards.push_back(makeCenters(*engine, p, cuts[h], cuts[h + 1] - cuts[h]));
    const auto sumOver = [&](auto seam) {
      std::vector<float> sum(seam(*steps[0]).size());
      for (auto& step : steps) {
        for (size_t n = 0; n < sum.size(); ++n) sum[n] += seam(*step)[n];
      }
      for (auto& step : steps) std::copy(sum.begin(), sum.end(), seam(*step).begin());
    };
    for (int h = 0; h < 3; ++h) ASSERT_TRUE(shards[h]->targetTerms(p.asBatch(), &steps[h]));
    sumOver([](Step& step) { return step.targetLogitsB(); });
    for (int h = 0; h < 3; ++h) ASSERT_TRUE(shards[h]->negativeSums(steps[h].get()));
    sumOver([](Step& step) { return step.sumExpB(); });
    for (int h = 0; h < 3; ++h) ASSERT_TRUE(shards[h]->finishForward(steps[h].get()));
    sumOver([](Step& step) { return step.embeddingGradientBD(); });
    EXPECT_LE(relativeError(steps[1]->lossB(), expected.lossB), tolerance());
    EXPECT_LE(relativeError(steps[2]->embeddingGradientBD(), expected.embeddingGradientBD), tolerance());
    std::vector<float> gradient;
    for (int h = 0; h < 3; ++h) {
      const std::vector<float> part = gradientOf(*shards[h], {steps[h].get()});
      gradient.insert(gradient.end(), part.begin(), part.end());
    }
    EXPECT_LE(relativeError(gradient, expected.centerGradientRD), tolerance());
  }
}

TEST_P(Invariance, ShardsThatLoseTheirNegativesSaySo) {
  // Shards share one shift, so that they cannot lower it as an engine that owns every class does.
  Problem p = problem(5, 40, 1, 32, 47);
  p.rule.scale = 1024.0f;
  auto shard = makeCenters(*engine, p, 10, 20);
  std::unique_ptr<Step> step;
  ASSERT_TRUE(shard->targetTerms(p.asBatch(), &step));
  ASSERT_TRUE(shard->negativeSums(step.get()));
  ASSERT_EQ(step->sumExpB()[0], 0.0f);
  const Status status = shard->finishForward(step.get());
  EXPECT_EQ(status.code(), StatusCode::kRange);
  EXPECT_NE(status.message().find("rule.scale: expected"), std::string::npos) << status.message();
  // Other shards' negatives count: the sum over the shards is what must not be lost.
  std::fill(step->sumExpB().begin(), step->sumExpB().end(), 1.0f);
  EXPECT_TRUE(shard->finishForward(step.get()));
}

TEST_P(Invariance, AccumulatedMicroBatchesEqualOneBatch) {
  const Problem p = problem(50, 90, 2, 33, 43);
  const ReferenceStep expected = referenceStep(p);
  auto centers = makeCenters(*engine, p);
  auto first = forwardOf(*centers, p.slice(0, 7).asBatch());
  auto second = forwardOf(*centers, p.slice(7, 40).asBatch());
  auto third = forwardOf(*centers, p.slice(40, 50).asBatch());
  EXPECT_LE(relativeError(gradientOf(*centers, {first.get(), second.get(), third.get()}), expected.centerGradientRD),
            tolerance());
}

TEST_P(Invariance, AccumulationAcrossDifferentSamplesUsesEachStepsOwn) {
  const Problem p = problem(24, 600, 2, 33, 47);
  auto centers = makeCenters(*engine, p);
  Problem parts[] = {p.slice(0, 9), p.slice(9, 24)};
  std::vector<std::unique_ptr<Step>> steps;
  Doubles expected(p.rows() * p.dim, 0.0);
  std::vector<bool> isTaking(p.classes);
  for (int n = 0; n < 2; ++n) {
    parts[n].isSampled = true;
    ASSERT_TRUE(centers->sample(parts[n].labelsB.data(), parts[n].batch, {.rate = 0.2, .seed = 3, .step = uint64_t(n)},
                                &parts[n].sampled));
    const ReferenceStep reference = referenceStep(parts[n]);
    for (size_t k = 0; k < expected.size(); ++k) {
      expected[k] += reference.centerGradientRD[k] * parts[n].batch / p.batch;
    }
    for (int32_t j : parts[n].sampled) isTaking[j] = true;
    steps.push_back(forwardOf(*centers, parts[n].asBatch()));
  }
  EXPECT_LE(relativeError(gradientOf(*centers, {steps[0].get(), steps[1].get()}), expected), tolerance());

  Step* both[] = {steps[0].get(), steps[1].get()};
  ASSERT_TRUE(centers->update(both, {.unsampled = Unsampled::kFrozen}));
  const std::vector<float> weights = rowsOf(*centers), momentum = rowsOf(*centers, Buffer::kMomentum);
  for (int64_t n = 0; n < p.rows() * p.dim; ++n) {
    if (isTaking[n / (2 * p.dim)]) continue;
    ASSERT_EQ(weights[n], p.weightsRD[n]) << "a frozen row moved";
    ASSERT_EQ(momentum[n], p.momentumRD[n]);
  }
}

TEST_P(Invariance, DecayedRowsMoveByDecayAndMomentumAlone) {
  Problem p = problem(6, 200, 2, 19, 53);
  p.isSampled = true;
  auto centers = makeCenters(*engine, p);
  ASSERT_TRUE(centers->sample(p.labelsB.data(), p.batch, {.rate = 0.1}, &p.sampled));
  auto step = forwardOf(*centers, p.asBatch());
  Step* steps[] = {step.get()};
  ASSERT_TRUE(centers->update(
      steps, {.learningRate = 0.2f, .momentum = 0.8f, .weightDecay = 0.01f, .unsampled = Unsampled::kDecayed}));
  const std::vector<float> weights = rowsOf(*centers);
  int64_t checked = 0;
  for (int64_t n = 0; n < p.rows() * p.dim; ++n) {
    if (std::binary_search(p.sampled.begin(), p.sampled.end(), static_cast<int32_t>(n / (2 * p.dim)))) continue;
    const double velocity = 0.8 * p.momentumRD[n] + 0.01 * p.weightsRD[n];
    const double moved = p.weightsRD[n] - 0.2 * velocity;
    ASSERT_NEAR(weights[n], moved, storedTolerance(moved, 1e-7));
    ++checked;
  }
  EXPECT_GT(checked, 0);
  // Their norms are up to date too: cosines after the update are those of the moved rows.
  Problem after = p;
  after.weightsRD = weights;
  auto fresh = makeCenters(*engine, after);
  std::vector<float> actual(p.batch * p.classes), expected(p.batch * p.classes);
  ASSERT_TRUE(centers->cosines(p.embeddingsBD.data(), p.batch, actual.data()));
  ASSERT_TRUE(fresh->cosines(p.embeddingsBD.data(), p.batch, expected.data()));
  EXPECT_EQ(actual, expected);
}

TEST_P(Invariance, LoadedCentresContinueBitForBit) {
  Problem p = problem(20, 100, 1, 37, 59);
  auto whole = makeCenters(*engine, p);
  const auto train = [&](ClassCenters& centers) {
    auto step = forwardOf(centers, p.asBatch());
    Step* steps[] = {step.get()};
    EXPECT_TRUE(centers.update(steps, {}));
  };
  train(*whole);
  Problem saved = p;
  saved.weightsRD = rowsOf(*whole);
  saved.momentumRD = rowsOf(*whole, Buffer::kMomentum);
  auto resumed = makeCenters(*engine, saved);
  train(*whole);
  train(*resumed);
  EXPECT_EQ(rowsOf(*whole), rowsOf(*resumed));
  EXPECT_EQ(rowsOf(*whole, Buffer::kMomentum), rowsOf(*resumed, Buffer::kMomentum));
}

INSTANTIATE_TEST_SUITE_P(Engines, Invariance, testing::ValuesIn(variants()), nameOf);

}  // namespace
}  // namespace hyperarc::test
