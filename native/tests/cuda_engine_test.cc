// What the CUDA engine promises beyond the suites that every engine runs. On a device, or in the host harness.
#if HYPERARC_WITH_CUDA
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "cuda/device/bf16.h"
#include "cuda/device/philox.h"
#include "engines.h"
#include "negative_problems.h"
#ifdef HYPERARC_EMULATED
#include "emulator/copies.h"
#endif

namespace hyperarc::test {
namespace {

constexpr EngineConfig kCuda = {.kind = DeviceKind::kCuda};

void expectError(const Status& status, StatusCode code, const std::string& part) {
  EXPECT_STREQ(codeName(status.code()), codeName(code)) << status.message();
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

class Cuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!whyNoCuda().empty()) GTEST_SKIP() << whyNoCuda();
    engine = makeEngine(kCuda);
  }
  std::unique_ptr<Engine> engine;
};

/// A copy of host memory on the current device.
class OnDevice {
 public:
  explicit OnDevice(const std::vector<float>& values) {
    EXPECT_EQ(cudaMalloc(&data_, values.size() * sizeof(float)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice), cudaSuccess);
    // The copy may land later, and the engine's streams do not wait for the default one.
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
  ~OnDevice() { EXPECT_EQ(cudaFree(data_), cudaSuccess); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  const float* data() const { return static_cast<const float*>(data_); }

 private:
  void* data_ = nullptr;
};

Batch onDevice(const Problem& p, const OnDevice& embeddings) {
  Batch batch = p.asBatch();
  batch.embeddingsBD = embeddings.data();
  batch.embeddingsOnDevice = true;
  return batch;
}

std::vector<float> gradientOnDevice(const Step& step, size_t count) {
  std::vector<float> gradient(count);
  EXPECT_NE(step.embeddingGradientOnDevice(), nullptr);
  EXPECT_EQ(
      cudaMemcpy(gradient.data(), step.embeddingGradientOnDevice(), count * sizeof(float), cudaMemcpyDeviceToHost),
      cudaSuccess);
  return gradient;
}

TEST_F(Cuda, EmbeddingsOnTheDeviceGiveTheSameBits) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16Compute}) {
    const Problem p = inPrecision(makeProblem(21, 60, 1, 40, 3), precision);
    auto centers = makeCenters(*engine, p);
    const OnDevice embeddings(p.embeddingsBD);
    auto there = forwardOf(*centers, onDevice(p, embeddings));
    auto here = forwardOf(*centers, p.asBatch());
    EXPECT_EQ(copyOf(there->lossB()), copyOf(here->lossB()));
    EXPECT_TRUE(there->embeddingGradientBD().empty()) << "nobody asked for it on the host";
    EXPECT_EQ(gradientOnDevice(*there, 21 * 40), copyOf(here->embeddingGradientBD()));
    EXPECT_EQ(copyOf(there->rowGradientB4()), copyOf(here->rowGradientB4()));
    EXPECT_EQ(gradientOf(*centers, {there.get()}), gradientOf(*centers, {here.get()}));
  }
}

#ifdef HYPERARC_EMULATED
/// What a forward pass copies from the device to the host.
int64_t bytesToHost(ClassCenters& centers, const Batch& batch) {
  const int64_t before = emulator::bytesCopiedToHost();
  forwardOf(centers, batch);
  return emulator::bytesCopiedToHost() - before;
}

// The gradient is most of what a step gives: 2 MB of 2.04 at B = 1024 and D = 512.
TEST_F(Cuda, GradientsOfEmbeddingsOnTheDeviceStayThere) {
  const Problem p = makeProblem(64, 60, 1, 200, 3);
  auto centers = makeCenters(*engine, p);
  const OnDevice embeddings(p.embeddingsBD);
  constexpr int64_t kGradientBytes = 64 * 200 * sizeof(float);
  EXPECT_GT(bytesToHost(*centers, p.asBatch()), kGradientBytes);
  EXPECT_LT(bytesToHost(*centers, onDevice(p, embeddings)), kGradientBytes / 8);
}
#endif

TEST_F(Cuda, EmbeddingGradientsAreOnTheDeviceToo) {
  const Problem p = makeProblem(21, 60, 1, 40, 3);
  auto centers = makeCenters(*engine, p);
  auto step = forwardOf(*centers, p.asBatch());
  EXPECT_EQ(gradientOnDevice(*step, 21 * 40), copyOf(step->embeddingGradientBD()));
  // Of a shard the host span holds what the shards sum: the only copy that is right, wherever the embeddings were.
  auto shard = makeCenters(*engine, p, 0, 30);
  EXPECT_EQ(forwardOf(*shard, p.asBatch())->embeddingGradientOnDevice(), nullptr);
  const OnDevice embeddings(p.embeddingsBD);
  auto ofShard = forwardOf(*shard, onDevice(p, embeddings));
  EXPECT_EQ(ofShard->embeddingGradientOnDevice(), nullptr);
  EXPECT_EQ(copyOf(ofShard->embeddingGradientBD()), copyOf(forwardOf(*shard, p.asBatch())->embeddingGradientBD()));
}

TEST_F(Cuda, BadValuesOnTheDeviceAreFoundBeforeAnythingMoves) {
  Problem p = makeProblem(21, 60, 1, 40, 3);
  auto centers = makeCenters(*engine, p);
  const std::vector<float> before = rowsOf(*centers);
  std::unique_ptr<Step> step;
  Problem bad = p;
  bad.embeddingsBD[17 * 40 + 3] = std::numeric_limits<float>::infinity();
  bad.embeddingsBD[13 * 40 + 39] = std::numeric_limits<float>::quiet_NaN();
  const OnDevice embeddings(bad.embeddingsBD);
  expectError(centers->forward(onDevice(bad, embeddings), &step), StatusCode::kNonFinite,
              "received nan in row 13, element 39");
  expectError(centers->targetTerms(onDevice(bad, embeddings), &step), StatusCode::kNonFinite, "row 13, element 39");
  bad.labelsB[20] = 60;
  expectError(centers->forward(onDevice(bad, embeddings), &step), StatusCode::kRange, "labelsB[20]");
  EXPECT_EQ(step, nullptr);
  EXPECT_EQ(rowsOf(*centers), before);
  EXPECT_NE(forwardOf(*centers, p.asBatch()), nullptr);
}

TEST_F(Cuda, EmbeddingsMustBeOnTheEnginesDevice) {
  const Problem p = makeProblem(3, 6, 1, 8, 3);
  auto centers = makeCenters(*engine, p);
  Batch batch = p.asBatch();
  batch.embeddingsOnDevice = true;
  std::unique_ptr<Step> step;
  expectError(centers->forward(batch, &step), StatusCode::kDevice,
              "expected memory of cuda:0, received memory of the host");
  EXPECT_NE(forwardOf(*centers, p.asBatch()), nullptr);
}

TEST_F(Cuda, TheCpuEngineRefusesDeviceMemory) {
  const Problem p = makeProblem(3, 6, 1, 8, 3);
  auto cpu = makeEngine();
  auto centers = makeCenters(*cpu, p);
  const OnDevice embeddings(p.embeddingsBD);
  std::unique_ptr<Step> step;
  expectError(centers->forward(onDevice(p, embeddings), &step), StatusCode::kDevice, "host memory");
}

TEST_F(Cuda, SeedsAndDrawsTheCpusValues) {
  auto cpu = makeEngine();
  const CentersConfig config = {.classes = 300, .subCenters = 2, .dim = 37, .firstClass = 500, .globalClasses = 900};
  std::unique_ptr<ClassCenters> there, here;
  ASSERT_TRUE(engine->createCenters(config, &there));
  ASSERT_TRUE(cpu->createCenters(config, &here));
  ASSERT_TRUE(there->seedNormal(uint64_t{7} << 40 | 3, 0.02f));
  ASSERT_TRUE(here->seedNormal(uint64_t{7} << 40 | 3, 0.02f));
  EXPECT_EQ(rowsOf(*there), rowsOf(*here));
  const int32_t labels[] = {799, 500, 3, 612, 612, 899};
  for (double rate : {1e-4, 0.1, 0.73, 1.0}) {
    std::vector<int32_t> drawnThere, drawnHere;
    const SampleOptions options = {.rate = rate, .seed = 5, .step = uint64_t{1} << 33 | 9, .shard = 2};
    ASSERT_TRUE(there->sample(labels, 6, options, &drawnThere));
    ASSERT_TRUE(here->sample(labels, 6, options, &drawnHere));
    EXPECT_EQ(drawnThere, drawnHere) << rate;
  }
}

TEST_F(Cuda, AnUpdateOfABf16MasterRoundsAsItsStepSays) {
  const Problem p = inPrecision(makeProblem(30, 50, 1, 40, 3), Precision::kBf16Master);
  const auto updated = [&](uint64_t roundingStep) {
    auto centers = makeCenters(*engine, p);
    auto step = forwardOf(*centers, p.asBatch());
    Step* steps[] = {step.get()};
    EXPECT_TRUE(centers->update(steps, {.roundingStep = roundingStep}));
    return rowsOf(*centers);
  };
  EXPECT_EQ(updated(3), updated(3));
  EXPECT_NE(updated(3), updated(uint64_t{1} << 32 | 3));
}

TEST_F(Cuda, DecayedRowsOfABf16MasterRoundByTheirGlobalRow) {
  // Rows that were not drawn move by decay and momentum alone, which is known exactly; so is their rounding.
  Problem p = inPrecision(makeProblem(4, 40, 1, 10, 3), Precision::kBf16Master);
  p.labelsB = {20, 21, 22, 23};
  auto centers = makeCenters(*engine, p, 20, 20);
  Batch batch = p.asBatch();
  const std::vector<int32_t> sampled = {0, 1, 2, 3};
  batch.sampledClasses = sampled.data();
  batch.sampledCount = 4;
  auto step = forwardOf(*centers, batch);
  Step* steps[] = {step.get()};
  ASSERT_TRUE(centers->update(steps, {.learningRate = 0.3f,
                                      .momentum = 0.7f,
                                      .weightDecay = 0.01f,
                                      .unsampled = Unsampled::kDecayed,
                                      .roundingStep = 77}));
  const std::vector<float> weights = rowsOf(*centers), momentum = rowsOf(*centers, Buffer::kMomentum);
  for (int64_t row = 4; row < 20; ++row) {
    for (int32_t d = 0; d < 10; ++d) {
      const size_t at = static_cast<size_t>((20 + row) * 10 + d);
      const uint32_t random = cuda::roundingWords(20 + row, d / 4, 77).word[d % 4];
      const float v = std::fmaf(0.7f, p.momentumRD[at], std::fmaf(0.01f, p.weightsRD[at], 0.0f));
      const float w = std::fmaf(-0.3f, v, p.weightsRD[at]);
      const size_t own = static_cast<size_t>(row * 10 + d);
      ASSERT_EQ(momentum[own], cuda::toFloat(cuda::toBf16Stochastic(v, random >> 16))) << row << ' ' << d;
      ASSERT_EQ(weights[own], cuda::toFloat(cuda::toBf16Stochastic(w, random & 0xffff))) << row << ' ' << d;
    }
  }
}

TEST_F(Cuda, TwoEnginesDoNotDisturbEachOther) {
  const Problem p = makeProblem(17, 90, 1, 33, 3), q = makeProblem(29, 40, 2, 64, 4);
  const auto trainOnce = [](ClassCenters& centers, const Problem& problem) {
    auto step = forwardOf(centers, problem.asBatch());
    Step* steps[] = {step.get()};
    EXPECT_TRUE(centers.update(steps, {}));
  };
  const auto alone = [&](const Problem& problem) {
    auto own = makeEngine(kCuda);
    auto centers = makeCenters(*own, problem);
    for (int n = 0; n < 3; ++n) trainOnce(*centers, problem);
    return rowsOf(*centers);
  };
  const std::vector<float> expectedP = alone(p), expectedQ = alone(q);

  std::vector<DeviceInfo> devices = listDevices();
  const int32_t last = devices.back().index;
  int before = -1;
  ASSERT_EQ(cudaGetDevice(&before), cudaSuccess);
  auto other = makeEngine({.kind = DeviceKind::kCuda, .index = last});
  auto centersP = makeCenters(*engine, p);
  auto centersQ = makeCenters(*other, q);
  for (int n = 0; n < 3; ++n) {
    trainOnce(*centersP, p);
    trainOnce(*centersQ, q);
  }
  EXPECT_EQ(rowsOf(*centersP), expectedP);
  EXPECT_EQ(rowsOf(*centersQ), expectedQ);
  // Two heads of one engine.
  auto both = makeCenters(*engine, q);
  auto more = makeCenters(*engine, p);
  for (int n = 0; n < 3; ++n) {
    trainOnce(*both, q);
    trainOnce(*more, p);
  }
  EXPECT_EQ(rowsOf(*both), expectedQ);
  EXPECT_EQ(rowsOf(*more), expectedP);
  int after = -1;
  ASSERT_EQ(cudaGetDevice(&after), cudaSuccess);
  EXPECT_EQ(after, before) << "the caller's current device";
}

TEST_F(Cuda, AForwardMayFollowAnUpdateThatIsUnderWay) {
  const Problem p = makeProblem(64, 3000, 1, 256, 3);
  auto centers = makeCenters(*engine, p);
  for (int t = 0; t < 3; ++t) {
    auto step = forwardOf(*centers, p.asBatch());
    ASSERT_NE(step, nullptr) << "forward " << t;
    Step* steps[] = {step.get()};
    // Returns before it has run: the next call finds the stream busy, which is no error of its own.
    ASSERT_TRUE(centers->update(steps, {.learningRate = 0.1f, .momentum = 0.9f}));
  }
}

TEST_F(Cuda, TimesAreMeasuredOnTheDevice) {
  const Problem p = makeProblem(17, 90, 1, 33, 3);
  auto centers = makeCenters(*engine, p);
  EXPECT_FALSE(centers->lastTimes().measured);
  auto step = forwardOf(*centers, p.asBatch());
  Step* steps[] = {step.get()};
  ASSERT_TRUE(centers->update(steps, {}));
  const StepTimes times = centers->lastTimes();
  EXPECT_TRUE(times.measured);
  EXPECT_GT(times.forwardMs, 0.0);
  EXPECT_GT(times.updateMs, 0.0);
  auto cpu = makeEngine();
  EXPECT_FALSE(makeCenters(*cpu, p)->lastTimes().measured);
}

TEST_F(Cuda, KernelsSayWhichRun) {
  const auto kernelsOf = [&](const CentersConfig& config) {
    std::unique_ptr<ClassCenters> centers;
    const Status status = engine->createCenters(config, &centers);
    EXPECT_TRUE(status) << status.message();
    return centers->kernels(64);
  };
  EXPECT_EQ(kernelsOf({.classes = 9, .dim = 512}), "plain-fp32");
  EXPECT_EQ(kernelsOf({.classes = 9, .subCenters = 3, .dim = 128, .precision = Precision::kBf16Compute}),
            "plain-bf16 (K = 3)");
  EXPECT_EQ(kernelsOf({.classes = 9, .dim = 600, .precision = Precision::kBf16Master}), "plain-bf16 (D = 600)");
  const std::string chosen = kernelsOf({.classes = 300, .dim = 300, .precision = Precision::kBf16Compute});
  EXPECT_TRUE(chosen == "mma-bf16-d512" || chosen == "wgmma-bf16-d512") << chosen;
}

TEST_F(Cuda, KernelsAskedForByNameAreTakenOrRefused) {
  auto mma = makeEngine({.kind = DeviceKind::kCuda, .kernels = Kernels::kMma});
  std::unique_ptr<ClassCenters> centers;
  expectError(mma->createCenters({.classes = 9, .dim = 128}, &centers), StatusCode::kRange, "received fp32");
  Plan plan;
  expectError(mma->plan({.classes = 9, .dim = 128}, 4, 1.0, &plan), StatusCode::kRange, "kernels");
  ASSERT_TRUE(mma->createCenters({.classes = 9, .dim = 128, .precision = Precision::kBf16Compute}, &centers));
  EXPECT_EQ(centers->kernels(4), "mma-bf16-d128");
}

TEST_F(Cuda, StepsOfDifferentSamplesNeedAMask) {
  Problem parts[] = {inPrecision(makeProblem(9, 600, 1, 33, 47), Precision::kBf16Compute),
                     inPrecision(makeProblem(9, 600, 1, 33, 47), Precision::kBf16Compute)};
  const auto stepsOf = [&](ClassCenters& centers) {
    std::vector<std::unique_ptr<Step>> steps;
    for (int n = 0; n < 2; ++n) {
      parts[n].isSampled = true;
      EXPECT_TRUE(centers.sample(parts[n].labelsB.data(), 9, {.rate = 0.2, .step = uint64_t(n)}, &parts[n].sampled));
      steps.push_back(forwardOf(centers, parts[n].asBatch()));
    }
    return steps;
  };
  auto mma = makeEngine({.kind = DeviceKind::kCuda, .kernels = Kernels::kMma});
  auto insisting = makeCenters(*mma, parts[0]);
  auto refused = stepsOf(*insisting);
  Step* pair[] = {refused[0].get(), refused[1].get()};
  const std::vector<float> before = rowsOf(*insisting);
  expectError(insisting->update(pair, {}), StatusCode::kRange, "steps of different samples");
  EXPECT_EQ(rowsOf(*insisting), before);
  auto centers = makeCenters(*engine, parts[0]);
  auto taken = stepsOf(*centers);
  Step* both[] = {taken[0].get(), taken[1].get()};
  EXPECT_TRUE(centers->update(both, {}));
}

TEST_F(Cuda, StepsOfDifferentNegativeRulesTakeThePlainKernels) {
  const std::vector<NamedRule> heads = headsWithNegatives();
  const Problem p = crowdedProblem(12, 90, 1, 33, heads[0].rule, 5, Precision::kBf16Compute);
  const auto stepOf = [&](ClassCenters& centers, const MarginRule& rule) {
    Batch batch = p.asBatch();
    batch.rule = rule;
    return forwardOf(centers, batch);
  };
  auto mma = makeEngine({.kind = DeviceKind::kCuda, .kernels = Kernels::kMma});
  auto insisting = makeCenters(*mma, p);
  const std::vector<float> before = rowsOf(*insisting);
  auto one = stepOf(*insisting, heads[0].rule), same = stepOf(*insisting, heads[0].rule);
  auto other = stepOf(*insisting, heads[1].rule), none = stepOf(*insisting, {});
  for (Step* second : {other.get(), none.get()}) {
    Step* pair[] = {one.get(), second};
    expectError(insisting->update(pair, {}), StatusCode::kRange, "received steps of different negative rules");
  }
  EXPECT_EQ(rowsOf(*insisting), before);
  Step* equal[] = {one.get(), same.get()};
  EXPECT_TRUE(insisting->update(equal, {}));
  // Rules that differ by their fixed threshold alone are one to the kernels: thresholds are the samples' own.
  MarginRule wider = heads[3].rule;
  wider.negatives.fixed += 0.2f;
  auto filter = stepOf(*insisting, heads[3].rule), wide = stepOf(*insisting, wider);
  Step* filters[] = {filter.get(), wide.get()};
  EXPECT_TRUE(insisting->update(filters, {}));
}

TEST_F(Cuda, RowsOfManyChunksCross) {
  // 4 MB of staging at a time: 9 MB in and out, from an odd row on.
  constexpr int64_t kRows = 1200, kDim = 2000;
  for (Precision precision : {Precision::kFp32, Precision::kBf16Master}) {
    std::unique_ptr<ClassCenters> centers;
    ASSERT_TRUE(engine->createCenters({.classes = kRows + 7, .dim = kDim, .precision = precision}, &centers));
    std::vector<float> values(kRows * kDim);
    for (size_t n = 0; n < values.size(); ++n) values[n] = roundedToBf16(std::sin(0.37 * static_cast<double>(n)));
    std::vector<float> back(values.size());
    for (Buffer buffer : {Buffer::kWeights, Buffer::kMomentum}) {
      ASSERT_TRUE(centers->writeRows(buffer, 7, kRows, values.data()));
      ASSERT_TRUE(centers->readRows(buffer, 7, kRows, back.data()));
      EXPECT_TRUE(back == values);
    }
    std::vector<float> first(7 * kDim, 1.0f);
    ASSERT_TRUE(centers->readRows(Buffer::kWeights, 0, 7, first.data()));
    EXPECT_EQ(std::count(first.begin(), first.end(), 0.0f), 7 * kDim);
  }
}

}  // namespace
}  // namespace hyperarc::test
#endif
