// Copies for others' streams (device_memory.h), as the TensorFlow op makes them. On a device, or in the host harness.
#if HYPERARC_WITH_CUDA
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include "cuda_device_array.h"
#include "device_memory.h"
#include "engines.h"

namespace hyperarc::test {
namespace {

constexpr EngineConfig kCuda = {.kind = DeviceKind::kCuda};
constexpr int64_t kCount = 100'000;

class CudaCopies : public testing::Test {
 protected:
  void SetUp() override {
    if (!whyNoCuda().empty()) GTEST_SKIP() << whyNoCuda();
  }
};

std::vector<float> counted() {
  std::vector<float> values(kCount);
  for (int64_t n = 0; n < kCount; ++n) values[n] = static_cast<float>(n);
  return values;
}

/// What a stream like TensorFlow's, which no other waits for, finds there.
std::vector<float> seenByAnotherStream(const DeviceArray<float>& array) {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  std::vector<float> values(array.size());
  EXPECT_EQ(cudaMemcpyAsync(values.data(), array.get(), values.size() * sizeof(float), cudaMemcpyDeviceToHost, stream),
            cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  return values;
}

TEST_F(CudaCopies, CopiesHaveLandedWhenTheyReturn) {
  const std::vector<float> values = counted();
  const DeviceArray<float> source(values), fromDevice(kCount), fromHost(kCount);
  const int64_t bytes = kCount * static_cast<int64_t>(sizeof(float));
  ASSERT_TRUE(copyMemory(fromDevice.get(), source.get(), bytes));
  EXPECT_EQ(seenByAnotherStream(fromDevice), values);
  ASSERT_TRUE(copyMemory(fromHost.get(), values.data(), bytes));
  EXPECT_EQ(seenByAnotherStream(fromHost), values);
  std::vector<float> back(kCount);
  ASSERT_TRUE(copyMemory(back.data(), source.get(), bytes));
  EXPECT_EQ(back, values);
}

TEST_F(CudaCopies, ARefusedCopyIsNotTheNextLaunchsFailure) {
  auto engine = makeEngine(kCuda);
  const Problem p = makeProblem(5, 12, 1, 8, 3);
  auto centers = makeCenters(*engine, p);
  const DeviceArray<float> array(4);
  const Status status = copyMemory(nullptr, array.get(), 16);
  EXPECT_EQ(status.code(), StatusCode::kDevice);
  EXPECT_NE(status.message().find("device copy: expected success"), std::string::npos) << status.message();
  EXPECT_NE(forwardOf(*centers, p.asBatch()), nullptr);
}

TEST_F(CudaCopies, TheOwnerOfMemoryIsNamedAndWaitedFor) {
  const std::vector<float> values = counted();
  const DeviceArray<float> source(values), array(kCount);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  const size_t bytes = kCount * sizeof(float);
  ASSERT_EQ(cudaMemcpyAsync(array.get(), source.get(), bytes, cudaMemcpyDeviceToDevice, stream), cudaSuccess);
  int32_t device = 7;
  ASSERT_TRUE(waitForDeviceOf(array.get(), &device));
  EXPECT_EQ(device, 0);
  EXPECT_EQ(seenByAnotherStream(array), values);
  ASSERT_TRUE(waitForDeviceOf(values.data(), &device));
  EXPECT_EQ(device, -1);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

}  // namespace
}  // namespace hyperarc::test
#endif
