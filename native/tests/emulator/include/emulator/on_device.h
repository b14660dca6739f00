// Host memory that stands for device memory for a while.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <type_traits>

namespace hyperarc::emulator {

/// A copy of `count` elements in device memory; what was written there goes back at the end, unless T is const.
template <typename T>
class OnDevice {
 public:
  OnDevice(T* host, int64_t count) : host_(host), bytes_(static_cast<size_t>(count) * sizeof(T)) {
    if (cudaMalloc(&device_, bytes_) != cudaSuccess ||
        cudaMemcpy(device_, host_, bytes_, cudaMemcpyHostToDevice) != cudaSuccess) {
      cudaFree(device_);
      throw std::runtime_error("host harness: no device memory for a tensor");
    }
  }
  ~OnDevice() {
    if constexpr (!std::is_const_v<T>) copyBack();
    cudaFree(device_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  T* get() const { return static_cast<T*>(device_); }

 private:
  /// On a stream that waits for no other, as TensorFlow's: what has not landed by now is missing.
  void copyBack() {
    cudaStream_t stream = nullptr;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaMemcpyAsync(host_, device_, bytes_, cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
  }

  T* host_;
  size_t bytes_;
  void* device_ = nullptr;
};

}  // namespace hyperarc::emulator
