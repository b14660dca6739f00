// Which devices the engine opens, and what it leaves to the threads that call it. The host harness alone can tell.
#if HYPERARC_EMULATED
#include <cuda.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "device_memory.h"
#include "emulator/contexts.h"
#include "engines.h"
#include "harness_settings.h"

namespace hyperarc::test {
namespace {

constexpr EngineConfig kSecond = {.kind = DeviceKind::kCuda, .index = 1};

class CudaContexts : public testing::Test {
 protected:
  CudaContexts() {
    harness.set("DEVICES", "2");
    emulator::reset();
  }
  Harness harness;
};

/// Runs `body` on a thread that has done nothing with CUDA yet.
void onNewThread(const std::function<void()>& body) { std::thread(body).join(); }

CUcontext currentContext() {
  CUcontext context = nullptr;
  EXPECT_EQ(cuCtxGetCurrent(&context), CUDA_SUCCESS);
  return context;
}

TEST_F(CudaContexts, LookingForDevicesOpensNone) {
  EXPECT_EQ(whyNoCuda(), "");
  EXPECT_EQ(listDevices().size(), 3u);
  for (int device : {0, 1}) EXPECT_FALSE(emulator::isContextOpen(device));
}

TEST_F(CudaContexts, AnEngineOpensItsOwnDeviceAlone) {
  const Problem p = makeProblem(8, 50, 1, 64, 3);
  std::unique_ptr<Engine> engine;
  std::unique_ptr<ClassCenters> centers;
  std::unique_ptr<Step> step, second;
  onNewThread([&] {
    engine = makeEngine(kSecond);
    centers = makeCenters(*engine, p);
  });
  onNewThread([&] {
    step = forwardOf(*centers, p.asBatch());
    second = forwardOf(*centers, p.asBatch());
    Step* steps[] = {step.get(), second.get()};
    EXPECT_TRUE(centers->update(steps, {}));
    EXPECT_TRUE(centers->resize(60, 1, 0.01f));
  });
  // Where the garbage collector runs.
  onNewThread([&] { step.reset(); });
  onNewThread([&] { second.reset(); });
  onNewThread([&] { centers.reset(); });
  onNewThread([&] { engine.reset(); });
  EXPECT_TRUE(emulator::isContextOpen(1));
  EXPECT_FALSE(emulator::isContextOpen(0));
}

TEST_F(CudaContexts, WhatAnEngineTookIsGivenBackFromAnyThread) {
  const Problem p = makeProblem(8, 50, 1, 64, 3);
  auto engine = makeEngine(kSecond);
  const int64_t free = engine->device().freeMemoryBytes;
  std::unique_ptr<ClassCenters> centers = makeCenters(*engine, p);
  EXPECT_LT(engine->device().freeMemoryBytes, free);
  onNewThread([&] { centers.reset(); });
  EXPECT_EQ(engine->device().freeMemoryBytes, free);
}

TEST_F(CudaContexts, ThreadsGetBackTheContextTheyHadOrNone) {
  const auto useSecond = [] {
    auto engine = makeEngine(kSecond);
    const Problem p = makeProblem(8, 50, 1, 64, 3);
    auto centers = makeCenters(*engine, p);
    EXPECT_NE(forwardOf(*centers, p.asBatch()), nullptr);
  };
  onNewThread([&] {
    useSecond();
    EXPECT_EQ(currentContext(), nullptr);
  });
  onNewThread([&] {
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    const CUcontext own = currentContext();
    useSecond();
    EXPECT_EQ(currentContext(), own);
    int device = -1;
    EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
    EXPECT_EQ(device, 0);
  });
}

TEST_F(CudaContexts, CopiesStayOnTheDeviceOfTheirMemory) {
  constexpr int64_t kBytes = 16 * sizeof(float);
  std::vector<float> given(16, 3.0f), received(16);
  void* memory = nullptr;
  onNewThread([&] {
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    ASSERT_EQ(cudaMalloc(&memory, kBytes), cudaSuccess);
  });
  onNewThread([&] {
    int32_t device = -1;
    EXPECT_TRUE(waitForDeviceOf(memory, &device));
    EXPECT_EQ(device, 1);
    EXPECT_TRUE(waitForDeviceOf(given.data(), &device));
    EXPECT_EQ(device, -1);
    EXPECT_TRUE(copyMemory(memory, given.data(), kBytes));
    EXPECT_TRUE(copyMemory(received.data(), memory, kBytes));
    EXPECT_EQ(received, given);
    EXPECT_TRUE(copyMemory(received.data(), std::vector<float>(16, 5.0f).data(), kBytes));
    EXPECT_EQ(received, std::vector<float>(16, 5.0f));
    EXPECT_EQ(currentContext(), nullptr);
  });
  EXPECT_FALSE(emulator::isContextOpen(0));
  onNewThread([&] {
    EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_EQ(cudaFree(memory), cudaSuccess);
  });
}

}  // namespace
}  // namespace hyperarc::test
#endif
