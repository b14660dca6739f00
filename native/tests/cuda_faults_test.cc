// Trouble that only the host harness can make at will (tests/emulator): drivers, devices, memory, failing kernels.
#if HYPERARC_EMULATED
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "engines.h"
#include "harness_settings.h"

namespace hyperarc::test {
namespace {

class CudaFaults : public testing::Test {
 protected:
  // Before the engines: the last to go.
  Harness harness;
};

constexpr EngineConfig kCuda = {.kind = DeviceKind::kCuda};

void expectError(const Status& status, StatusCode code, const std::string& part) {
  EXPECT_STREQ(codeName(status.code()), codeName(code)) << status.message();
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("expected"), std::string::npos) << status.message();
}

void expectNoDevice(const std::string& why) {
  EXPECT_NE(whyNoCuda().find(why), std::string::npos) << whyNoCuda();
  const std::vector<DeviceInfo> devices = listDevices();
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].kind, DeviceKind::kCpu);
  std::unique_ptr<Engine> engine;
  expectError(createEngine(kCuda, &engine), StatusCode::kDevice, why);
  EXPECT_EQ(engine, nullptr);
  EXPECT_TRUE(createEngine({}, &engine)) << "the CPU engine does not need a driver";
}

TEST_F(CudaFaults, NoDriver) {
  harness.set("DRIVER", "0");
  expectNoDevice("no NVIDIA driver");
}

TEST_F(CudaFaults, DriverOlderThanTheRuntime) {
  harness.set("DRIVER", "12040");
  expectNoDevice("serves CUDA 12.4, this build needs 13.0");
}

TEST_F(CudaFaults, NoDevice) {
  harness.set("DEVICES", "0");
  expectNoDevice("CUDA_VISIBLE_DEVICES");
}

TEST_F(CudaFaults, DevicesAreListedAndChosenByNumber) {
  harness.set("DEVICES", "2");
  harness.set("SM", "90");
  EXPECT_EQ(whyNoCuda(), "");
  const std::vector<DeviceInfo> devices = listDevices();
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_EQ(devices[2].kind, DeviceKind::kCuda);
  EXPECT_EQ(devices[2].index, 1);
  EXPECT_EQ(devices[2].instructionSet, "sm_90a");
  EXPECT_GT(devices[2].totalMemoryBytes, 0);
  std::unique_ptr<Engine> engine;
  expectError(createEngine({.kind = DeviceKind::kCuda, .index = 2}, &engine), StatusCode::kDevice,
              "a CUDA device in [0, 2), received 2");
  expectError(createEngine({.kind = DeviceKind::kCuda, .index = -1}, &engine), StatusCode::kDevice, "received -1");
  ASSERT_TRUE(createEngine({.kind = DeviceKind::kCuda, .index = 1}, &engine));
  EXPECT_EQ(engine->device().index, 1);
  EXPECT_GT(engine->device().freeMemoryBytes, 0);
}

TEST_F(CudaFaults, DevicesOlderThanTheKernelsAreRefused) {
  harness.set("SM", "75");
  EXPECT_NE(whyNoCuda().find("sm_80 or newer"), std::string::npos) << whyNoCuda();
  std::unique_ptr<Engine> engine;
  expectError(createEngine(kCuda, &engine), StatusCode::kDevice, "sm_80 or newer");
}

TEST_F(CudaFaults, DevicesThatTheBuildHasNoCodeForAreRefused) {
  harness.set("SM", "110");
  const std::string has = "80-real 86-real 89-real 90a-real 100-real 120-real 120-virtual";
  const std::string mend = "build with HYPERARC_CUDA_ARCHITECTURES=110-real";
  EXPECT_NE(whyNoCuda().find("no device here runs this build's kernels, which are for " + has), std::string::npos)
      << whyNoCuda();
  EXPECT_NE(whyNoCuda().find("of sm_110); " + mend), std::string::npos) << whyNoCuda();
  std::unique_ptr<Engine> engine;
  expectError(createEngine(kCuda, &engine), StatusCode::kDevice, mend);
  EXPECT_EQ(engine, nullptr);
}

TEST_F(CudaFaults, CentresThatDoNotFitAreRefusedWithThePlan) {
  harness.set("MEMORY_BYTES", std::to_string(64 << 20));
  auto engine = makeEngine(kCuda);
  std::unique_ptr<ClassCenters> centers;
  expectError(engine->createCenters({.classes = 100000, .dim = 128}, &centers), StatusCode::kMemory,
              "weights 51.2 MB, momentum 51.2 MB");
  EXPECT_EQ(centers, nullptr);
  Plan plan;
  ASSERT_TRUE(engine->plan({.classes = 100000, .dim = 128}, 16, 1.0, &plan));
  EXPECT_FALSE(plan.fits);
  ASSERT_TRUE(engine->createCenters({.classes = 1000, .dim = 128}, &centers));
  EXPECT_TRUE(centers->seedNormal(1, 0.01f));
}

TEST_F(CudaFaults, AStepThatDoesNotFitIsRefusedWithThePlanAndLeavesEverythingUsable) {
  auto engine = makeEngine(kCuda);
  const Problem small = makeProblem(8, 50, 1, 64, 3);
  auto centers = makeCenters(*engine, small);
  auto step = forwardOf(*centers, small.asBatch());
  const std::vector<float> before = rowsOf(*centers);
  // What is there stays; nothing more can be had.
  harness.set("MEMORY_BYTES", std::to_string(5 << 20));
  const Problem large = makeProblem(4000, 50, 1, 64, 3);
  std::unique_ptr<Step> none;
  expectError(centers->forward(large.asBatch(), &none), StatusCode::kMemory, "received a plan of weights");
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(rowsOf(*centers), before);
  auto again = forwardOf(*centers, small.asBatch());
  EXPECT_EQ(copyOf(again->embeddingGradientBD()), copyOf(step->embeddingGradientBD()));
  harness.unset("MEMORY_BYTES");
  EXPECT_NE(forwardOf(*centers, large.asBatch()), nullptr);
  Step* steps[] = {step.get()};
  EXPECT_TRUE(centers->update(steps, {}));
}

TEST_F(CudaFaults, AnUpdateThatFindsNoMemoryHasChangedNothing) {
  auto engine = makeEngine(kCuda);
  const Problem p = makeProblem(40, 300, 1, 64, 3);
  auto centers = makeCenters(*engine, p);
  auto step = forwardOf(*centers, p.asBatch());
  auto second = forwardOf(*centers, p.asBatch());
  const std::vector<float> before = rowsOf(*centers), momentum = rowsOf(*centers, Buffer::kMomentum);
  const uint64_t version = centers->weightsVersion();
  harness.set("MEMORY_BYTES", "1");
  Step* steps[] = {step.get(), second.get()};
  expectError(centers->update(steps, {}), StatusCode::kMemory, "update: expected memory");
  expectError(centers->resize(400, 1, 0.01f), StatusCode::kMemory, "beside the old");
  std::vector<float> gradient(before.size());
  expectError(centers->gradients(steps, gradient.data()), StatusCode::kMemory, "gradients");
  EXPECT_EQ(centers->weightsVersion(), version);
  EXPECT_EQ(centers->config().classes, 300);
  EXPECT_EQ(rowsOf(*centers), before);
  EXPECT_EQ(rowsOf(*centers, Buffer::kMomentum), momentum);
  harness.unset("MEMORY_BYTES");
  ASSERT_TRUE(centers->update(steps, {}));
  EXPECT_NE(rowsOf(*centers), before);
}

TEST_F(CudaFaults, ACallThatFailedUnderWayHasNoTimes) {
  auto engine = makeEngine(kCuda);
  Problem p = makeProblem(40, 20000, 1, 64, 3);
  auto centers = makeCenters(*engine, p);
  // Few classes: little scratch.
  p.isSampled = true;
  p.sampled.assign(p.labelsB.begin(), p.labelsB.end());
  std::sort(p.sampled.begin(), p.sampled.end());
  p.sampled.erase(std::unique(p.sampled.begin(), p.sampled.end()), p.sampled.end());
  const auto stepOnce = [&] {
    auto step = forwardOf(*centers, p.asBatch());
    Step* steps[] = {step.get()};
    EXPECT_TRUE(centers->update(steps, {}));
    const StepTimes times = centers->lastTimes();
    EXPECT_TRUE(times.measured);
    EXPECT_GT(times.forwardMs, 0.0);
    EXPECT_GT(times.updateMs, 0.0);
  };
  stepOnce();

  auto first = forwardOf(*centers, p.asBatch()), second = forwardOf(*centers, p.asBatch());
  Step* steps[] = {first.get(), second.get()};
  harness.set("MEMORY_BYTES", "1");
  expectError(centers->update(steps, {}), StatusCode::kMemory, "update");
  EXPECT_FALSE(centers->lastTimes().measured);
  harness.unset("MEMORY_BYTES");
  stepOnce();

  // There is a recycled step, and no memory for the scratch of all classes.
  harness.set("MEMORY_BYTES", "1");
  p.isSampled = false;
  std::unique_ptr<Step> none;
  expectError(centers->forward(p.asBatch(), &none), StatusCode::kMemory, "forward");
  EXPECT_FALSE(centers->lastTimes().measured);
  harness.unset("MEMORY_BYTES");
  p.isSampled = true;
  stepOnce();
}

TEST_F(CudaFaults, RecycledMemoryIsGivenBackBeforeACallIsRefused) {
  auto engine = makeEngine(kCuda);
  const Problem p = makeProblem(256, 20, 1, 64, 3);
  auto centers = makeCenters(*engine, p);
  std::vector<std::unique_ptr<Step>> steps;
  for (int n = 0; n < 4; ++n) steps.push_back(forwardOf(*centers, p.asBatch()));
  steps.clear();
  const int64_t free = engine->device().freeMemoryBytes;
  const int64_t total = engine->device().totalMemoryBytes;
  // A little more than is free without them.
  harness.set("MEMORY_BYTES", std::to_string(total - free + (64 << 10)));
  std::unique_ptr<ClassCenters> more;
  const Status status = engine->createCenters({.classes = 1000, .dim = 64}, &more);
  EXPECT_TRUE(status) << status.message();
}

TEST_F(CudaFaults, AKernelThatFailsIsNamedOnceAndLaterCallsAreRefused) {
  harness.set("DEVICES", "2");
  auto engine = makeEngine({.kind = DeviceKind::kCuda, .index = 1});
  const Problem p = makeProblem(8, 50, 1, 64, 3);
  auto centers = makeCenters(*engine, p);
  auto step = forwardOf(*centers, p.asBatch());
  harness.set("FAIL_KERNEL", "plainFinishRows");
  Step* steps[] = {step.get()};
  // The update is only enqueued: the call after it meets the failure.
  EXPECT_TRUE(centers->update(steps, {}));
  std::vector<float> rows(50 * 64);
  const Status first = centers->readRows(Buffer::kWeights, 0, 50, rows.data());
  expectError(first, StatusCode::kDevice, "plainFinishRows");
  EXPECT_NE(first.message().find("cudaErrorLaunchFailure"), std::string::npos) << first.message();
  harness.unset("FAIL_KERNEL");
  std::unique_ptr<Step> none;
  expectError(centers->forward(p.asBatch(), &none), StatusCode::kDevice, "failed earlier");
  expectError(centers->update(steps, {}), StatusCode::kDevice, "failed earlier");
  std::unique_ptr<ClassCenters> more;
  expectError(engine->createCenters({.classes = 5, .dim = 8}, &more), StatusCode::kDevice, "failed earlier");
  EXPECT_EQ(engine->device().index, 1);

  // The other device goes on, also when what is left of the failed one is given back.
  auto other = makeEngine(kCuda);
  auto others = makeCenters(*other, p);
  EXPECT_NE(forwardOf(*others, p.asBatch()), nullptr);
  step.reset();
  centers.reset();
  engine.reset();
  EXPECT_NE(forwardOf(*others, p.asBatch()), nullptr);
}

TEST_F(CudaFaults, AKernelThatFailsInForwardIsNamed) {
  auto engine = makeEngine(kCuda);
  const Problem p = makeProblem(8, 50, 1, 64, 3);
  auto centers = makeCenters(*engine, p);
  harness.set("FAIL_KERNEL", "targetTerms");
  std::unique_ptr<Step> step;
  expectError(centers->forward(p.asBatch(), &step), StatusCode::kDevice, "targetTerms");
  EXPECT_EQ(step, nullptr);
  expectError(centers->seedNormal(1, 0.01f), StatusCode::kDevice, "failed earlier");
}

TEST_F(CudaFaults, NoOrderOfStreamsChangesABit) {
  const Problem p = inPrecision(makeProblem(40, 200, 1, 64, 9), Precision::kBf16Compute);
  const auto train = [&] {
    auto engine = makeEngine(kCuda);
    auto centers = makeCenters(*engine, p);
    for (int n = 0; n < 3; ++n) {
      auto one = forwardOf(*centers, p.asBatch());
      auto two = forwardOf(*centers, p.asBatch());
      Step* steps[] = {one.get(), two.get()};
      EXPECT_TRUE(centers->update(std::span(steps, n == 1 ? 1 : 2), {}));
      // The steps go while the update may be under way in their memory; the next forward takes it over.
    }
    std::vector<float> result = rowsOf(*centers);
    const std::vector<float> momentum = rowsOf(*centers, Buffer::kMomentum);
    result.insert(result.end(), momentum.begin(), momentum.end());
    return result;
  };
  const std::vector<float> expected = train();
  for (const char* schedule : {"1", "2", "3", "7", "12345"}) {
    harness.set("SCHEDULE", schedule);
    EXPECT_EQ(train(), expected) << "schedule " << schedule;
  }
}

}  // namespace
}  // namespace hyperarc::test
#endif
