// What must not change a result: the thread count, the shard layout, micro-batches in place of one batch.
#include <gtest/gtest.h>

#include <cstring>

#include "engines.h"
#include "negative_problems.h"
#include "reference.h"
#include "sanitized.h"
#include "shards.h"

namespace hyperarc::test {
namespace {

struct Outcome {
  std::vector<float> loss, embeddingGradient, rowGradient, weights, momentum, gradient;
  /// By their bits: the row gradient has NaN under a negative rule.
  bool operator==(const Outcome& other) const {
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
    };
    return same(loss, other.loss) && same(embeddingGradient, other.embeddingGradient) &&
           same(rowGradient, other.rowGradient) && same(weights, other.weights) && same(momentum, other.momentum) &&
           same(gradient, other.gradient);
  }
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
    outcome.rowGradient = copyOf(step->rowGradientB4());
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

TEST(Threads, DoNotChangeABitUnderNegativeRules) {
  for (const NamedRule& head : headsWithNegatives()) {
    for (int64_t subCenters : {1, 3}) {
      SCOPED_TRACE(testing::Message() << head.name << ' ' << subCenters);
      const Problem p = crowdedProblem(40, 1500, subCenters, 24, head.rule, 31);
      for (CpuIsa isa : supportedIsas()) {
        const Outcome expected = run({.isa = isa, .threads = 1}, p);
        for (int threads : {2, 5}) EXPECT_TRUE(run({.isa = isa, .threads = threads}, p) == expected) << threads;
        // Nor does a list of classes that names them all.
        Problem listed = p;
        listed.isSampled = true;
        for (int32_t j = 0; j < p.classes; ++j) listed.sampled.push_back(j);
        EXPECT_TRUE(run({.isa = isa, .threads = 2}, listed) == expected);
      }
    }
  }
}

class Invariance : public EachEngine {};

TEST_P(Invariance, TwoRunsHaveTheSameBits) {
  Problem p = problem(70, kIsSanitized ? 600 : 1000, 1, 72, 31);
  EXPECT_TRUE(run(GetParam().config, p) == run(GetParam().config, p));
  p.isSampled = true;
  ASSERT_TRUE(makeCenters(*engine, p)->sample(p.labelsB.data(), p.batch, {.rate = 0.5}, &p.sampled));
  EXPECT_TRUE(run(GetParam().config, p) == run(GetParam().config, p));
}

TEST_P(Invariance, ShardsTogetherEqualTheWhole) {
  for (int64_t subCenters : {1, 2}) {
    const Problem p = problem(37, 310, subCenters, 60, 41);
    const ReferenceStep expected = referenceStep(p);
    Shards shards = forwardInShards(*engine, p, {0, 100, 101, 310});
    EXPECT_LE(relativeError(shards.steps[1]->lossB(), expected.lossB), tolerance());
    EXPECT_LE(relativeError(shards.steps[2]->embeddingGradientBD(), expected.embeddingGradientBD), tolerance());
    EXPECT_LE(relativeError(gradientOf(shards), expected.centerGradientRD), tolerance());
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
