// Memory of the CPU engine: aligned arrays that may be refused, and what the machine can still give.
#pragma once

#include <cstdint>
#include <span>

namespace hyperarc::cpu {

/// An owned, zero-initialised, 64-byte aligned array of floats.
class FloatArray {
 public:
  FloatArray() = default;
  /// Throws std::bad_alloc if the memory cannot be had. Large arrays are zero pages until they are written.
  explicit FloatArray(int64_t count);
  ~FloatArray();
  FloatArray(FloatArray&& other) noexcept;
  FloatArray& operator=(FloatArray&& other) noexcept;

  float* data() { return data_; }
  const float* data() const { return data_; }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * static_cast<int64_t>(sizeof(float)); }
  bool empty() const { return size_ == 0; }
  float& operator[](int64_t i) { return data_[i]; }
  float operator[](int64_t i) const { return data_[i]; }
  std::span<float> span() { return {data_, static_cast<size_t>(size_)}; }
  std::span<const float> span() const { return {data_, static_cast<size_t>(size_)}; }

 private:
  void* block_ = nullptr;
  float* data_ = nullptr;
  int64_t size_ = 0;
};

/// Physical memory of the machine or of the control group this process is in, whichever is smaller.
int64_t totalMemoryBytes();
/// What can still be taken without swapping: the smaller of the machine's and the control group's.
int64_t availableMemoryBytes();

}  // namespace hyperarc::cpu
