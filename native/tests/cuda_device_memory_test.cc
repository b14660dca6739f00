// Copies for the TensorFlow op, whose streams do not wait for the default stream.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cuda_device_array.h"
#include "device_memory.h"

namespace hyperarc::test {
namespace {

TEST(CudaDeviceMemory, CopiesWithinADeviceHaveArrivedForEveryStream) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no CUDA device";
  constexpr size_t kCount = 1 << 20;
  constexpr size_t kBytes = kCount * sizeof(float);
  std::vector<float> values(kCount);
  for (size_t n = 0; n < kCount; ++n) values[n] = static_cast<float>(n);
  const DeviceArray<float> from(values), to(static_cast<int64_t>(kCount));
  float* seen = nullptr;
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&seen), kBytes), cudaSuccess);
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);

  EXPECT_TRUE(copyMemory(to.get(), from.get(), kBytes));
  EXPECT_EQ(cudaMemcpyAsync(seen, to.get(), kBytes, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_TRUE(std::equal(values.begin(), values.end(), seen));

  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(seen), cudaSuccess);
}

}  // namespace
}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
