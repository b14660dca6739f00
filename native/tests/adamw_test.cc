// AdamW of every engine: one update from the dense gradient, in doubles; what is counted, kept and refused.
#include "common/adamw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engines.h"

namespace hyperarc::test {
namespace {

/// Moments as after some updates: of the second, squares of the first.
std::vector<float> secondMomentOf(const Problem& p) {
  std::vector<float> second(p.momentumRD.size());
  std::ranges::transform(p.momentumRD, second.begin(), [](float m) { return m * m; });
  return second;
}

const UpdateOptions kOptions = {
    .learningRate = 0.01f, .weightDecay = 0.125f, .beta1 = 0.875, .beta2 = 0.99, .epsilon = 1e-6};

class AdamW : public EachEngine {
 protected:
  std::unique_ptr<ClassCenters> makeAdamW(const Problem& p, uint64_t updates) {
    CentersConfig config = {.classes = p.classes,
                            .subCenters = static_cast<int32_t>(p.subCenters),
                            .dim = static_cast<int32_t>(p.dim),
                            .precision = p.precision,
                            .optimizer = Optimizer::kAdamW};
    std::unique_ptr<ClassCenters> centers;
    EXPECT_TRUE(engine->createCenters(config, &centers));
    EXPECT_TRUE(centers->writeRows(Buffer::kWeights, 0, p.rows(), p.weightsRD.data()));
    EXPECT_TRUE(centers->writeRows(Buffer::kMomentum, 0, p.rows(), p.momentumRD.data()));
    EXPECT_TRUE(centers->writeRows(Buffer::kSecondMoment, 0, p.rows(), secondMomentOf(p).data()));
    EXPECT_TRUE(centers->setUpdates(updates));
    return centers;
  }
  /// `slack` [R, D]: what an element may be off beside; none where empty.
  void expectNear(const std::vector<float>& actual, const Doubles& expected, const char* what,
                  const Doubles& slack = {}) {
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t n = 0; n < actual.size(); ++n) {
      const double beside = slack.empty() ? 0.0 : slack[n];
      const double tolerance = storedTolerance(expected[n], 1e-6 * std::abs(expected[n]) + 1e-9 + beside);
      ASSERT_NEAR(actual[n], expected[n], tolerance) << what << ' ' << n;
    }
  }
  /// An update moves the rows as the dense gradient does in doubles; those that were not drawn decay, or stay. Of so
  /// many elements that some weight nearly cancels with its step, `ofStep` of the step is allowed.
  void expectUpdate(const Problem& p, Unsampled unsampled, double ofStep = 0.0) {
    auto centers = makeAdamW(p, 11);
    auto step = forwardOf(*centers, p.asBatch());
    const std::vector<float> gradient = gradientOf(*centers, {step.get()});
    const std::vector<float> weights0 = rowsOf(*centers), first0 = rowsOf(*centers, Buffer::kMomentum),
                             second0 = rowsOf(*centers, Buffer::kSecondMoment);
    UpdateOptions options = kOptions;
    options.unsampled = unsampled;
    Step* steps[] = {step.get()};
    const Status status = centers->update(steps, options);
    ASSERT_TRUE(status) << status.message();
    EXPECT_EQ(centers->updates(), 12u);
    Doubles weights(weights0.begin(), weights0.end()), first(first0.begin(), first0.end()),
        second(second0.begin(), second0.end()), slack(weights0.size(), 0.0);
    for (size_t n = 0; n < weights.size(); ++n) {
      const bool isDrawn =
          std::ranges::binary_search(p.sampled, static_cast<int32_t>(n / static_cast<size_t>(p.subCenters * p.dim)));
      if (!isDrawn && unsampled == Unsampled::kFrozen) continue;
      const double g = isDrawn ? gradient[n] : 0.0;
      first[n] = 0.875 * first[n] + 0.125 * g;
      second[n] = 0.99 * second[n] + 0.01 * g * g;
      const double m = first[n] / (1 - std::pow(0.875, 12)), v = second[n] / (1 - std::pow(0.99, 12));
      const double move = 0.01 * m / (std::sqrt(v) + 1e-6);
      weights[n] = weights[n] * (1 - 0.01 * 0.125) - move;
      slack[n] = ofStep * std::abs(move);
    }
    expectNear(rowsOf(*centers), weights, "weight", slack);
    expectNear(rowsOf(*centers, Buffer::kMomentum), first, "first moment");
    expectNear(rowsOf(*centers, Buffer::kSecondMoment), second, "second moment");
  }
};

/// Every other class is drawn, and those of the labels.
void drawHalf(Problem* p) {
  p->isSampled = true;
  for (int32_t c = 0; c < static_cast<int32_t>(p->classes); ++c) {
    if (c % 2 == 0 || std::ranges::find(p->labelsB, c) != p->labelsB.end()) p->sampled.push_back(c);
  }
}

TEST_P(AdamW, UpdatesWithTheDenseGradient) {
  for (Unsampled unsampled : {Unsampled::kFrozen, Unsampled::kDecayed}) {
    Problem p = problem(9, 40, 2, 37, 91);
    drawHalf(&p);
    expectUpdate(p, unsampled);
  }
}

// On CUDA two, four and eight warps share a row.
TEST_P(AdamW, UpdatesLongRowsWithTheDenseGradient) {
  for (int64_t dim : {600, 1100, 2100}) {
    SCOPED_TRACE(testing::Message() << "D = " << dim);
    Problem p = problem(3, 10, 1, dim, 91);
    drawHalf(&p);
    expectUpdate(p, Unsampled::kDecayed, 5e-7);
  }
}

TEST_P(AdamW, DecaysLongRowsThatWereNotDrawnBySgdToo) {
  for (int64_t dim : {600, 1100, 2100}) {
    SCOPED_TRACE(testing::Message() << "D = " << dim);
    Problem p = problem(3, 10, 1, dim, 91);
    drawHalf(&p);
    auto centers = makeCenters(*engine, p);
    auto step = forwardOf(*centers, p.asBatch());
    const std::vector<float> weights0 = rowsOf(*centers), momentum0 = rowsOf(*centers, Buffer::kMomentum);
    Step* steps[] = {step.get()};
    ASSERT_TRUE(centers->update(
        steps, {.learningRate = 0.25f, .momentum = 0.5f, .weightDecay = 0.125f, .unsampled = Unsampled::kDecayed}));
    const std::vector<float> weights = rowsOf(*centers), momentum = rowsOf(*centers, Buffer::kMomentum);
    int64_t compared = 0;
    for (size_t n = 0; n < weights.size(); ++n) {
      if (std::ranges::binary_search(p.sampled, static_cast<int32_t>(n / static_cast<size_t>(dim)))) continue;
      const double m = 0.5 * momentum0[n] + 0.125 * weights0[n], w = weights0[n] - 0.25 * m;
      ASSERT_NEAR(momentum[n], m, storedTolerance(m, 1e-6 * std::abs(m) + 1e-9)) << n;
      ASSERT_NEAR(weights[n], w, storedTolerance(w, 1e-6 * std::abs(w) + 1e-9)) << n;
      ++compared;
    }
    EXPECT_GE(compared, 2 * dim);
  }
}

TEST_P(AdamW, RefusesWhatItCannotUseAndStaysAsItWas) {
  Problem p = problem(6, 20, 1, 8, 61);
  auto centers = makeAdamW(p, 3);
  auto step = forwardOf(*centers, p.asBatch());
  Step* steps[] = {step.get()};
  const std::vector<float> before = rowsOf(*centers);
  const auto refuses = [&](const UpdateOptions& options, const std::string& part) {
    const Status status = centers->update(steps, options);
    EXPECT_EQ(status.code(), StatusCode::kRange);
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refuses({.beta1 = 1.0}, "beta1: expected a number in [0, 1), received 1");
  refuses({.beta2 = -0.5}, "beta2: expected a number in [0, 1), received -0.5");
  refuses({.beta2 = nan}, "beta2");
  refuses({.epsilon = 0.0}, "epsilon: expected a number in [1e-30, 1], received 0");
  refuses({.epsilon = nan}, "epsilon");
  refuses({.learningRate = -1.0f}, "learningRate");
  refuses({.weightDecay = -1.0f}, "weightDecay: expected a finite number of at least 0, received -1; the usual");
  EXPECT_EQ(centers->updates(), 3u);
  EXPECT_EQ(rowsOf(*centers), before);
  ASSERT_TRUE(centers->update(steps, kOptions));
  EXPECT_FALSE(centers->update(steps, kOptions));
  EXPECT_EQ(centers->updates(), 4u);

  auto sgd = makeCenters(*engine, p);
  EXPECT_EQ(sgd->setUpdates(1).code(), StatusCode::kRange);
  std::vector<float> rows(8);
  EXPECT_EQ(sgd->readRows(Buffer::kSecondMoment, 0, 1, rows.data()).code(), StatusCode::kRange);
  EXPECT_EQ(sgd->writeRows(Buffer::kSecondMoment, 0, 1, rows.data()).code(), StatusCode::kRange);
  std::unique_ptr<ClassCenters> none;
  const CentersConfig without = {.classes = 5, .dim = 8, .optimizer = Optimizer::kAdamW, .momentum = false};
  EXPECT_NE(engine->createCenters(without, &none).message().find("momentum: expected true with optimizer adamw"),
            std::string::npos);
  EXPECT_EQ(engine->createCenters({.classes = 5, .dim = 8, .optimizer = static_cast<Optimizer>(2)}, &none).code(),
            StatusCode::kRange);
}

TEST_P(AdamW, ResizesAndSeedsItsState) {
  Problem p = problem(6, 20, 1, 8, 61);
  auto centers = makeAdamW(p, 3);
  const std::vector<float> before = rowsOf(*centers, Buffer::kSecondMoment);
  ASSERT_TRUE(centers->resize(30, 5, 0.01f));
  EXPECT_EQ(centers->updates(), 3u);
  const std::vector<float> grown = rowsOf(*centers, Buffer::kSecondMoment);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), grown.begin()));
  EXPECT_EQ(std::count(grown.begin() + 160, grown.end(), 0.0f), 80);
  Plan plan;
  ASSERT_TRUE(engine->plan(centers->config(), 8, 1.0, &plan));
  const auto isMoment = [](const PlanPart& part) { return part.name.ends_with(" moment") && part.persistent; };
  EXPECT_EQ(std::ranges::count_if(plan.parts, isMoment), 2);
  ASSERT_TRUE(centers->seedNormal(1, 0.01f));
  EXPECT_EQ(centers->updates(), 0u);
  for (Buffer buffer : {Buffer::kMomentum, Buffer::kSecondMoment}) {
    for (float value : rowsOf(*centers, buffer)) ASSERT_EQ(value, 0.0f);
  }
}

TEST(AdamWFactors, AreFormedInDouble) {
  const AdamWFactors first = adamwFactors({.learningRate = 0.5f, .weightDecay = 0.25f}, 1);
  EXPECT_EQ(first.decay, 0.875f);
  EXPECT_EQ(first.share2, 0.001f);  // 1 − 0.999f is 0.00100004673
  EXPECT_FLOAT_EQ(first.rate, static_cast<float>(0.5 * std::sqrt(0.001) / 0.1));
  EXPECT_FLOAT_EQ(first.epsilon, static_cast<float>(1e-8 * std::sqrt(0.001)));
  // So many updates that nothing is corrected any more.
  const AdamWFactors late = adamwFactors({.learningRate = 0.5f}, uint64_t{1} << 53);
  EXPECT_EQ(late.rate, 0.5f);
  EXPECT_EQ(late.epsilon, 1e-8f);
}

INSTANTIATE_TEST_SUITE_P(Engines, AdamW, testing::ValuesIn(variants()), nameOf);

}  // namespace
}  // namespace hyperarc::test
