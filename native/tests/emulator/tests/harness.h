// What the harness's tests share: a launch that waits, and settings that end with a scope.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace hyperarc::emulator {

/// Sets HYPERARC_EMULATED_<name>, and forgets it and every failure at the end.
class ScopedSetting {
 public:
  ScopedSetting(const std::string& name, const std::string& value) : name_("HYPERARC_EMULATED_" + name) {
    if (const char* before = std::getenv(name_.c_str())) before_ = before;
    setenv(name_.c_str(), value.c_str(), 1);
  }
  ~ScopedSetting() {
    if (before_.empty()) {
      unsetenv(name_.c_str());
    } else {
      setenv(name_.c_str(), before_.c_str(), 1);
    }
    reset();
  }
  ScopedSetting(const ScopedSetting&) = delete;
  ScopedSetting& operator=(const ScopedSetting&) = delete;

 private:
  std::string name_;
  std::string before_;
};

inline void runKernel(dim3 grid, dim3 block, size_t sharedBytes, std::function<void()> body,
                      const char* name = "kernel") {
  ASSERT_EQ(launch(name, grid, block, sharedBytes, nullptr, std::move(body)), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

/// One warp; `body(lane)`.
inline void runWarp(const std::function<void(int)>& body, size_t sharedBytes = 0) {
  runKernel(1, 32, sharedBytes, [&body] { body(static_cast<int>(threadIdx.x)); });
}

inline constexpr size_t kClusterSharedBytes = 64 * 1024;

/// Blocks in clusters, each with kClusterSharedBytes.
inline void runClusters(unsigned blocks, unsigned threads, unsigned cluster, std::function<void()> body) {
  ASSERT_EQ(launch("kernel", blocks, threads, kClusterSharedBytes, nullptr, std::move(body), cluster), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

/// Orders in which threads and streams take turns: the plain one and some seeds.
inline const std::vector<std::string>& schedules() {
  static const std::vector<std::string> all = {"0", "1", "2", "3", "17"};
  return all;
}

}  // namespace hyperarc::emulator
