// Owned memory: on a device, and page-locked on the host, from which copies run beside the host's work.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "runtime/scope.h"

namespace hyperarc::cuda {

/// Bytes, not initialised, of a kind of memory: take(bytes) gives them or throws CudaError, release(data) says what
/// CUDA answered.
template <typename Memory>
class OwnedBytes {
 public:
  OwnedBytes() = default;
  explicit OwnedBytes(int64_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    home_.emplace();
    data_ = Memory::take(bytes);
  }
  ~OwnedBytes() {
    if (data_ != nullptr) home_->run([this] { return Memory::release(data_); });
  }
  OwnedBytes(OwnedBytes&& other) noexcept
      : home_(other.home_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  OwnedBytes& operator=(OwnedBytes&& other) noexcept {
    std::swap(home_, other.home_);
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
  std::optional<HomeDevice> home_;  // of what data_ points to
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

struct DeviceMemory {
  static void* take(int64_t bytes);
  static cudaError_t release(void* data) noexcept;
};
struct PinnedMemory {
  static void* take(int64_t bytes);
  static cudaError_t release(void* data) noexcept;
};

/// On the current device, aligned to 256 bytes.
using DeviceBuffer = OwnedBytes<DeviceMemory>;
/// Page-locked host memory.
using PinnedBuffer = OwnedBytes<PinnedMemory>;

}  // namespace hyperarc::cuda
