// Blocks: indices, barriers, shared memory, and what the harness says of kernels that misuse them.
#include <array>
#include <atomic>
#include <cmath>
#include <set>
#include <tuple>

#include "harness.h"

namespace hyperarc::emulator {
namespace {

TEST(Blocks, EveryThreadRunsOnceWithItsIndices) {
  const dim3 grid(3, 2, 2), block(5, 3, 2);
  std::multiset<std::array<unsigned, 6>> seen;
  runKernel(grid, block, 0, [&seen] {
    EXPECT_EQ(gridDim.x, 3u);
    EXPECT_EQ(gridDim.y, 2u);
    EXPECT_EQ(gridDim.z, 2u);
    EXPECT_EQ(blockDim.x, 5u);
    EXPECT_EQ(blockDim.y, 3u);
    EXPECT_EQ(blockDim.z, 2u);
    seen.insert({blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z});
  });
  ASSERT_EQ(seen.size(), 12u * 30u);
  for (unsigned b = 0; b < 12; ++b) {
    for (unsigned t = 0; t < 30; ++t) {
      EXPECT_EQ(seen.count({b % 3, b / 3 % 2, b / 6, t % 5, t / 5 % 3, t / 15}), 1u);
    }
  }
}

TEST(Blocks, IndicesSurviveBarriers) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    runKernel(2, dim3(40, 5), 0, [] {
      const uint3 before = threadIdx;
      for (int i = 0; i < 3; ++i) {
        __syncthreads();
        ASSERT_EQ(threadIdx.x, before.x);
        ASSERT_EQ(threadIdx.y, before.y);
      }
    });
  }
}

TEST(Blocks, LocalsAndCalleesKeepTheirValuesAcrossBarriers) {
  runKernel(1, 1024, 1024 * 4, [] {
    auto* shared = static_cast<int*>(dynamicShared());
    const int own = static_cast<int>(threadIdx.x);
    double sum = own;
    for (int round = 0; round < 4; ++round) {
      shared[own] = own + round;
      __syncthreads();
      sum += shared[(own + 1) % 1024];
      __syncthreads();
    }
    EXPECT_EQ(sum, own + 4.0 * ((own + 1) % 1024) + 6);
  });
}

TEST(Blocks, BarriersCountAndCombine) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    runKernel(1, 100, 0, [] {
      const int own = static_cast<int>(threadIdx.x);
      EXPECT_EQ(__syncthreads_count(own % 3 == 0 ? 7 : 0), 34);
      EXPECT_EQ(__syncthreads_or(own == 99), 1);
      EXPECT_EQ(__syncthreads_or(0), 0);
      EXPECT_EQ(__syncthreads_and(own != 99), 0);
      EXPECT_EQ(__syncthreads_and(2), 1);
    });
  }
}

/// Whether a kernel that shifts values through shared memory without its barrier gives a wrong answer.
bool isMissingBarrierSeen(const std::string& schedule, int shift) {
  const ScopedSetting setting("SCHEDULE", schedule);
  bool isWrong = false;
  runKernel(1, 64, 64 * 4, [&isWrong, shift] {
    auto* shared = static_cast<int*>(dynamicShared());
    const int own = static_cast<int>(threadIdx.x);
    shared[own] = own;
    isWrong |= shared[(own + shift) % 64] != (own + shift) % 64;
  });
  return isWrong;
}

TEST(Blocks, AMissingBarrierGivesWrongAnswers) {
  for (const std::string& schedule : schedules()) {
    EXPECT_TRUE(isMissingBarrierSeen(schedule, 1)) << schedule;
    EXPECT_TRUE(isMissingBarrierSeen(schedule, 63)) << schedule;
  }
}

/// Sums over four warps again and again, without the barrier before the partial sums are written anew.
bool isEarlyOverwriteSeen(const std::string& schedule) {
  const ScopedSetting setting("SCHEDULE", schedule);
  bool isWrong = false;
  runKernel(1, 128, 4 * 4, [&isWrong] {
    auto* sums = static_cast<int*>(dynamicShared());
    for (int round = 0; round < 8; ++round) {
      int value = round;
      for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
      if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
      __syncthreads();
      isWrong |= sums[0] + sums[1] + sums[2] + sums[3] != 128 * round;
    }
  });
  return isWrong;
}

TEST(Blocks, AWarpThatRunsAheadOverwritesWhatOthersStillRead) {
  for (const std::string& schedule : schedules()) EXPECT_TRUE(isEarlyOverwriteSeen(schedule)) << schedule;
}

TEST(Blocks, SchedulesDifferAndRepeat) {
  const auto order = [](const std::string& schedule) {
    const ScopedSetting setting("SCHEDULE", schedule);
    std::vector<unsigned> threads;
    runKernel(1, 128, 0, [&threads] {
      __syncthreads();
      threads.push_back(threadIdx.x);
    });
    return threads;
  };
  std::set<std::vector<unsigned>> orders;
  for (const std::string& schedule : schedules()) {
    EXPECT_EQ(order(schedule), order(schedule));
    orders.insert(order(schedule));
  }
  EXPECT_EQ(orders.size(), schedules().size());
}

TEST(Blocks, DynamicSharedMemoryIsAlignedAndPoisonedForEachBlock) {
  runKernel(3, 1, 100, [] {
    auto* bytes = static_cast<unsigned char*>(dynamicShared());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % 1024, 0u);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(bytes[i], 0xff);
      bytes[i] = 0;
    }
  });
}

TEST(Blocks, StaticSharedMemoryIsTheBlocks) {
  runKernel(2, 64, 0, [] {
    __shared__ int values[64];
    __shared__ __align__(64) float aligned[4];
    EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned) % 64, 0u);
    values[63 - threadIdx.x] = static_cast<int>(threadIdx.x);
    __syncthreads();
    EXPECT_EQ(values[threadIdx.x], 63 - static_cast<int>(threadIdx.x));
  });
}

TEST(Blocks, AtomicsAddUp) {
  unsigned long long wide = 0;
  unsigned flags = 0;
  int least = 1000, greatest = -1, swaps = 0;
  float sum = 0;
  runKernel(4, 96, 0, [&] {
    const int own = static_cast<int>(blockIdx.x * 96 + threadIdx.x);
    EXPECT_LE(atomicAdd(&wide, 1ULL), 383u);
    atomicOr(&flags, 1u << (own % 32));
    atomicMin(&least, own + 5);
    atomicMax(&greatest, own);
    atomicAdd(&sum, 0.5f);
    int seen = swaps;
    while (true) {
      const int before = atomicCAS(&swaps, seen, seen + 2);
      if (before == seen) break;
      seen = before;
    }
  });
  EXPECT_EQ(wide, 384u);
  EXPECT_EQ(flags, 0xffffffffu);
  EXPECT_EQ(least, 5);
  EXPECT_EQ(greatest, 383);
  EXPECT_EQ(sum, 192.0f);
  EXPECT_EQ(swaps, 768);
  unsigned wraps = 2;
  runKernel(1, 1, 0, [&wraps] {
    EXPECT_EQ(atomicInc(&wraps, 2u), 2u);
    EXPECT_EQ(atomicDec(&wraps, 5u), 0u);
    EXPECT_EQ(atomicExch(&wraps, 9u), 5u);
  });
  EXPECT_EQ(wraps, 9u);
}

/// Two barriers on two lines, for half of the threads each.
void twoBarriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(BlocksDeathTest, BarriersWantEveryThread) {
  EXPECT_DEATH(runKernel(
                   1, 64, 0,
                   [] {
                     if (threadIdx.x == 40) return;
                     __syncthreads();
                   },
                   "early-out"),
               "kernel 'early-out'.*(ends while .* threads wait at __syncthreads|threads have ended)");
  EXPECT_DEATH(runKernel(1, 64, 0, twoBarriers), "waits at __syncthreads .* and 32 of 64 threads at __syncthreads");
  EXPECT_DEATH(runKernel(1, 2, 0, [] { threadIdx.x == 0 ? void(__syncthreads_or(1)) : __syncthreads(); }),
               "waits at __syncthreads .* at __syncthreads_or");
}

TEST(BlocksDeathTest, DeviceFunctionsBelongInKernels) {
  EXPECT_DEATH(__syncthreads(), "__syncthreads outside a kernel");
  EXPECT_DEATH(__syncwarp(), "__syncwarp outside a kernel");
  EXPECT_DEATH(dynamicShared(), "dynamic shared memory");
  EXPECT_DEATH(runKernel(1, 1, 0, [] { dynamicShared(); }), "launched with none");
  EXPECT_DEATH(runKernel(1, 1, 0, [] { __trap(); }), "__trap");
}

TEST(BlocksDeathTest, WritesBeyondSharedMemoryAreFound) {
  // The guard bytes' message, or AddressSanitizer's.
  EXPECT_DEATH(runKernel(1, 1, 100, [] { static_cast<volatile unsigned char*>(dynamicShared())[100] = 1; }),
               "wrote beyond its 100 bytes of dynamic shared memory|heap-buffer-overflow");
}

TEST(Blocks, LaunchesOutsideTheLimitsAreRefused) {
  const auto refused = [](dim3 grid, dim3 block, size_t sharedBytes) {
    const cudaError_t error = launch("kernel", grid, block, sharedBytes, nullptr, [] {});
    EXPECT_EQ(cudaGetLastError(), error);
    return error;
  };
  EXPECT_EQ(refused(1, 1024, 0), cudaSuccess);
  EXPECT_EQ(refused(1, 1025, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(refused(1, dim3(32, 33), 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(refused(1, dim3(1, 1, 65), 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(refused(0, 32, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(refused(dim3(1, 65536), 32, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(refused(1, 32, 163 * 1024), cudaSuccess);
  EXPECT_EQ(refused(1, 32, 163 * 1024 + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

}  // namespace
}  // namespace hyperarc::emulator
