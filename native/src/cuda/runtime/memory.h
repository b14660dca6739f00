// Owned memory: on a device, and page-locked on the host, from which copies run beside the host's work.
#pragma once

#include <cstdint>
#include <utility>

#include "runtime/error.h"

namespace hyperarc::cuda {

/// Bytes on the current device, aligned to 256; not initialised. Throws CudaError.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(int64_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  template <typename T = void>
  T* as(int64_t byteOffset = 0) const {
    return data_ == nullptr ? nullptr : reinterpret_cast<T*>(static_cast<char*>(data_) + byteOffset);
  }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

/// Page-locked host memory; not initialised. Throws CudaError.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(int64_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  template <typename T = void>
  T* as(int64_t byteOffset = 0) const {
    return data_ == nullptr ? nullptr : reinterpret_cast<T*>(static_cast<char*>(data_) + byteOffset);
  }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace hyperarc::cuda
