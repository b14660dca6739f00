// An array of device memory in a test.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace hyperarc::test {

/// Null for an empty vector.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : count_(values.size()) {
    if (count_ == 0) return;
    EXPECT_EQ(cudaMalloc(&data_, count_ * sizeof(T)), cudaSuccess);
    set(values);
  }
  /// Filled with 0xFF, which is NaN or −1: what a kernel leaves unwritten shows.
  explicit DeviceArray(int64_t count) : count_(static_cast<size_t>(count)) {
    if (count_ == 0) return;
    EXPECT_EQ(cudaMalloc(&data_, count_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemset(data_, 0xff, count_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
  ~DeviceArray() {
    if (data_ != nullptr) {
      EXPECT_EQ(cudaFree(data_), cudaSuccess);
    }
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* get() const { return data_; }
  int64_t size() const { return static_cast<int64_t>(count_); }

  void set(const std::vector<T>& values) {
    ASSERT_EQ(values.size(), count_);
    if (count_ == 0) return;
    ASSERT_EQ(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    // From pageable memory a copy may land after the call; a stream that is not blocking would not wait for it.
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }

  std::vector<T> toHost() const {
    std::vector<T> values(count_);
    if (count_ != 0) {
      EXPECT_EQ(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    }
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

}  // namespace hyperarc::test
