// Contexts: what opens one, and which is a thread's.
#include "emulator/contexts.h"

#include <cuda.h>

#include <thread>

#include "harness.h"

namespace hyperarc::emulator {
namespace {

/// Runs `body` on a thread that has done nothing yet, on a machine of two devices.
template <typename Body>
void onTwoDevices(Body body) {
  const ScopedSetting setting("DEVICES", "2");
  reset();
  std::thread(body).join();
}

CUcontext currentContext() {
  CUcontext context = nullptr;
  EXPECT_EQ(cuCtxGetCurrent(&context), CUDA_SUCCESS);
  return context;
}

TEST(Contexts, QuestionsOpenNone) {
  onTwoDevices([] {
    int number = 0;
    cudaDeviceProp properties;
    cudaPointerAttributes attributes;
    EXPECT_EQ(cudaGetDeviceCount(&number), cudaSuccess);
    EXPECT_EQ(cudaGetDevice(&number), cudaSuccess);
    EXPECT_EQ(cudaGetDeviceProperties(&properties, 1), cudaSuccess);
    EXPECT_EQ(cudaDeviceGetAttribute(&number, cudaDevAttrWarpSize, 1), cudaSuccess);
    EXPECT_EQ(cudaPointerGetAttributes(&attributes, &number), cudaSuccess);
    EXPECT_EQ(currentContext(), nullptr);
    EXPECT_FALSE(isContextOpen(0) || isContextOpen(1));
  });
}

TEST(Contexts, ChoosingADeviceOpensIt) {
  onTwoDevices([] {
    EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_NE(currentContext(), nullptr);
    EXPECT_TRUE(isContextOpen(1));
    EXPECT_FALSE(isContextOpen(0));
  });
}

TEST(Contexts, OtherCallsOpenTheFirstDeviceOnAThreadThatChoseNone) {
  void* memory = nullptr;
  onTwoDevices([&] {
    EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_EQ(cudaMalloc(&memory, 64), cudaSuccess);
    EXPECT_EQ(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
    EXPECT_EQ(currentContext(), nullptr);
    EXPECT_FALSE(isContextOpen(0));
    EXPECT_EQ(cudaFree(memory), cudaSuccess);
    EXPECT_TRUE(isContextOpen(0));
  });
}

TEST(Contexts, AContextBringsItsDevice) {
  onTwoDevices([] {
    EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
    const CUcontext second = currentContext();
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
    EXPECT_NE(currentContext(), second);
    EXPECT_EQ(cuCtxSetCurrent(second), CUDA_SUCCESS);
    int device = -1;
    EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
    EXPECT_EQ(device, 1);
    EXPECT_EQ(cuCtxSetCurrent(reinterpret_cast<CUcontext>(&device)), CUDA_ERROR_INVALID_CONTEXT);
  });
}

}  // namespace
}  // namespace hyperarc::emulator
