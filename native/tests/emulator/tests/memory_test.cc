// Device and pinned memory: poison, limits, directions, and when copies read and write.
#include <cmath>
#include <cstring>

#include "harness.h"

namespace hyperarc::emulator {
namespace {

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) { EXPECT_EQ(cudaMalloc(&data_, count * sizeof(T)), cudaSuccess); }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  T* get() const { return data_; }

 private:
  T* data_ = nullptr;
};

TEST(Memory, NewMemoryIsNaNAndAligned) {
  const DeviceArray<float> array(100);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(array.get()) % 256, 0u);
  std::vector<float> host(100);
  ASSERT_EQ(cudaMemcpy(host.data(), array.get(), 400, cudaMemcpyDeviceToHost), cudaSuccess);
  for (float value : host) EXPECT_TRUE(std::isnan(value));
}

TEST(Memory, CopiesAndFillsGoRoundTrip) {
  const DeviceArray<int> a(8), b(8);
  std::vector<int> host = {1, 2, 3, 4, 5, 6, 7, 8}, back(8);
  ASSERT_EQ(cudaMemcpy(a.get(), host.data(), 32, cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(b.get(), a.get(), 32, cudaMemcpyDeviceToDevice), cudaSuccess);
  ASSERT_EQ(cudaMemsetAsync(b.get() + 2, 0, 8), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(back.data(), b.get(), 32, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(back, (std::vector<int>{1, 2, 0, 0, 5, 6, 7, 8}));
  // Two rows of two, out of rows of four.
  ASSERT_EQ(cudaMemset(b.get(), 0, 32), cudaSuccess);
  ASSERT_EQ(cudaMemcpy2D(b.get() + 1, 16, a.get(), 8, 8, 2, cudaMemcpyDeviceToDevice), cudaSuccess);
  ASSERT_EQ(cudaMemset2D(b.get() + 3, 16, 0xff, 4, 2), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(back.data(), b.get(), 32, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(back, (std::vector<int>{0, 1, 2, -1, 0, 3, 4, -1}));
}

TEST(Memory, BlockingCopiesToADeviceLandLaterUnlessFromPinnedMemory) {
  std::vector<int> host = {1, 2, 3, 4};
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 16), cudaSuccess);
  std::copy(host.begin(), host.end(), pinned);
  const DeviceArray<int> source(4), fromPageable(4), fromDevice(4), fromPinned(4);
  ASSERT_EQ(cudaMemcpy(source.get(), host.data(), 16, cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(fromPageable.get(), host.data(), 16, cudaMemcpyHostToDevice), cudaSuccess);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  const auto seen = [&](const DeviceArray<int>& array) {
    std::vector<int> values(4);
    EXPECT_EQ(cudaMemcpyAsync(values.data(), array.get(), 16, cudaMemcpyDeviceToHost, stream), cudaSuccess);
    return values;
  };
  const std::vector<int> nothing(4, -1);
  EXPECT_EQ(seen(fromPageable), nothing);
  ASSERT_EQ(cudaMemcpy(fromDevice.get(), source.get(), 16, cudaMemcpyDeviceToDevice), cudaSuccess);
  EXPECT_EQ(seen(fromDevice), nothing);
  ASSERT_EQ(cudaMemcpy(fromPinned.get(), pinned, 16, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(seen(fromPinned), host);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(seen(fromPageable), host);
  EXPECT_EQ(seen(fromDevice), host);
  ASSERT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST(Memory, WrongDirectionsAndRangesAreRefused) {
  const DeviceArray<float> array(4);
  float host[8] = {};
  EXPECT_EQ(cudaMemcpy(array.get(), host, 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(array.get(), host, 16, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(array.get(), host, 17, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host, array.get() + 1, 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(host, 0, 16), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(array.get(), 0, 17), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(host), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(array.get() + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(array.get(), nullptr, 0, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST(Memory, AsynchronousCopiesFromPinnedMemoryReadLate) {
  const DeviceArray<int> array(1);
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 4), cudaSuccess);
  int pageable = 1, back = 0;
  *pinned = 1;
  // Pageable memory is staged at once: reuse is safe.
  ASSERT_EQ(cudaMemcpyAsync(array.get(), &pageable, 4, cudaMemcpyHostToDevice), cudaSuccess);
  pageable = 2;
  ASSERT_EQ(cudaMemcpy(&back, array.get(), 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(back, 1);
  // A staging buffer reused too early spoils the copy.
  ASSERT_EQ(cudaMemcpyAsync(array.get(), pinned, 4, cudaMemcpyHostToDevice), cudaSuccess);
  *pinned = 2;
  ASSERT_EQ(cudaMemcpy(&back, array.get(), 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(back, 2);
  // Pinned memory is written late too.
  *pinned = 7;
  ASSERT_EQ(cudaMemcpyAsync(pinned, array.get(), 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(*pinned, 7);
  ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_EQ(*pinned, 2);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(&pageable), cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST(Memory, RegisteredHostMemoryIsPinned) {
  const DeviceArray<int> array(1);
  std::vector<int> host = {5};
  ASSERT_EQ(cudaHostRegister(host.data(), 4, cudaHostRegisterDefault), cudaSuccess);
  EXPECT_EQ(cudaHostRegister(host.data(), 4, cudaHostRegisterDefault), cudaErrorHostMemoryAlreadyRegistered);
  ASSERT_EQ(cudaMemcpyAsync(array.get(), host.data(), 4, cudaMemcpyHostToDevice), cudaSuccess);
  host[0] = 6;
  int back = 0;
  ASSERT_EQ(cudaMemcpy(&back, array.get(), 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(back, 6);
  EXPECT_EQ(cudaHostUnregister(host.data()), cudaSuccess);
  EXPECT_EQ(cudaHostUnregister(host.data()), cudaErrorHostMemoryNotRegistered);
  cudaGetLastError();
}

TEST(Memory, PointersTellWhatTheyAre) {
  const DeviceArray<int> array(4);
  int host = 0;
  cudaPointerAttributes attributes;
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, array.get() + 3), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.device, 0);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, &host), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
}

TEST(Memory, TheLimitIsKept) {
  const ScopedSetting setting("MEMORY_BYTES", "10000");
  size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, 10000u);
  EXPECT_EQ(total, 10000u);
  void* first = nullptr;
  void* second = &free;
  ASSERT_EQ(cudaMalloc(&first, 6000), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 4001), cudaErrorMemoryAllocation);
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);  // not sticky
  EXPECT_EQ(cudaMallocAsync(&second, 4000, nullptr), cudaSuccess);
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, 0u);
  EXPECT_EQ(cudaFreeAsync(second, nullptr), cudaSuccess);
  EXPECT_EQ(cudaFree(first), cudaSuccess);
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, 10000u);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(MemoryDeathTest, TheHostMayNotTouchDeviceMemory) {
  const DeviceArray<float> array(4);
  EXPECT_DEATH(static_cast<volatile float*>(array.get())[0] = 1, "use-after-poison");
  const ScopedSetting devices("DEVICES", "2");
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_DEATH(runKernel(1, 1, 0, [&array] { static_cast<volatile float*>(array.get())[0] = 1; }), "use-after-poison");
}
#endif

TEST(MemoryDeathTest, WritesOutsideAnAllocationAreFound) {
  const DeviceArray<float> array(4);
  for (int index : {-1, 4}) {
    EXPECT_DEATH(runKernel(
                     1, 1, 0, [&array, index] { static_cast<volatile float*>(array.get())[index] = 1; }, "stray"),
                 "kernel 'stray'.*wrote outside an allocation of 16 bytes|heap-buffer-overflow");
  }
}

}  // namespace
}  // namespace hyperarc::emulator
