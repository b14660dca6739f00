// Running a PTX text in a test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../ptx/library.h"
#include "../ptx/parser.h"
#include "harness.h"

namespace hyperarc::emulator {

template <typename... Values>
ptx::Arguments argumentsOf(const Values&... values) {
  const auto bytes = [](const auto& value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    return std::vector<std::byte>(begin, begin + sizeof value);
  };
  return {bytes(values)...};
}

/// Device memory of so many T.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : count_(values.size()) {
    EXPECT_EQ(cudaMalloc(&data_, count_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  T* get() const { return static_cast<T*>(data_); }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    EXPECT_EQ(cudaMemcpy(result.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return result;
  }

 private:
  size_t count_;
  void* data_ = nullptr;
};

/// Runs the kernel `name` of a text.
inline void runPtx(const std::string& text, const std::string& name, dim3 grid, dim3 block, size_t sharedBytes,
                   const ptx::Arguments& arguments, unsigned cluster = 1) {
  const std::unique_ptr<ptx::Module> module = ptx::parse(text, "test.ptx");
  const ptx::Function& function = *module->functions.at(name);
  ASSERT_EQ(
      launch("kernel", grid, block, sharedBytes, nullptr, ptx::bodyOf(*module, function, cluster, arguments), cluster),
      cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

inline const std::string kHeader = ".version 9.0\n.target sm_90a\n.address_size 64\n";

}  // namespace hyperarc::emulator
