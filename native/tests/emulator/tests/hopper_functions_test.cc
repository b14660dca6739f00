// Clusters, mbarriers and bulk tensor copies against the PTX ISA and the driver's documentation; and that the
// harness objects where a kernel would go wrong on the device.
#include "emulator/hopper_functions.h"

#include <cmath>
#include <vector>

#include "harness.h"
#include "hopper_emulation.h"
#include "warp_emulation.h"

namespace hyperarc::emulator {
namespace {

namespace device = cuda::wgmma;

CUtensorMap mapOf(CUtensorMapDataType type, uint32_t rank, const void* data, cuuint64_t columns, cuuint64_t rows,
                  cuuint64_t rowBytes, cuuint32_t boxColumns, cuuint32_t boxRows, CUtensorMapSwizzle swizzle) {
  CUtensorMap map;
  const cuuint64_t sizes[2] = {columns, rows}, strides[1] = {rowBytes};
  const cuuint32_t box[2] = {boxColumns, boxRows}, steps[2] = {1, 1};
  EXPECT_EQ(cuTensorMapEncodeTiled(&map, type, rank, const_cast<void*>(data), sizes, strides, box, steps,
                                   CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
            CUDA_SUCCESS);
  return map;
}

/// Memory of the device, freed with the scope.
template <typename T>
struct OnDevice {
  explicit OnDevice(const std::vector<T>& values) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data), values.size() * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~OnDevice() { cudaFree(data); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  T* data = nullptr;
};

// ---- Clusters.

TEST(HopperFunctions, BlocksOfAClusterHaveSharedMemoryAndRanksOfTheirOwn) {
  std::vector<int> seen(6 * 64, -1);
  runClusters(6, 64, 2, [&] {
    auto* shared = static_cast<int*>(dynamicShared());
    if (threadIdx.x == 0) shared[0] = static_cast<int>(blockIdx.x);
    device::joinCluster();
    EXPECT_EQ(device::clusterRank(), blockIdx.x % 2);
    seen[blockIdx.x * 64 + threadIdx.x] = shared[0];
  });
  for (int thread = 0; thread < 6 * 64; ++thread) EXPECT_EQ(seen[thread], thread / 64);
}

TEST(HopperFunctions, NumberedBarriersJoinTheirThreadsAlone) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    runClusters(2, 128, 2, [] {
      auto* count = static_cast<int*>(dynamicShared()) + threadIdx.x / 64;
      if (threadIdx.x % 64 == 0) *count = 0;
      device::joinThreads(1 + static_cast<int>(threadIdx.x) / 64, 64);
      ++*count;
      device::joinThreads(1 + static_cast<int>(threadIdx.x) / 64, 64);
      EXPECT_EQ(*count, 64);
    });
  }
}

// ---- mbarrier.

TEST(HopperFunctions, APhaseEndsWithItsLastArrival) {
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    runClusters(2, 64, 2, [] {
      auto* value = static_cast<int*>(dynamicShared()) + 16;
      if (threadIdx.x == 0) device::initBarrier(0, 64);
      device::joinCluster();
      device::waitBarrier(0, 1);  // fresh: the phase before the first counts as over
      device::joinCluster();
      for (int round = 0; round < 5; ++round) {
        // The other block's first warp and the own one's arrive here.
        if (threadIdx.x < 32) {
          value[0] = round;
          device::arriveBarrierAt(0, 0);
          device::arriveBarrierAt(0, 1);
        }
        device::waitBarrier(0, static_cast<uint32_t>(round & 1));
        EXPECT_EQ(value[0], round);
        device::joinCluster();
      }
    });
  }
}

TEST(HopperFunctionsDeath, BarriersRefuseMisuse) {
  EXPECT_DEATH(runClusters(1, 32, 1, [] { device::arriveBarrier(8); }), "no mbarrier was initialised");
  EXPECT_DEATH(runClusters(1, 32, 1, [] { device::initBarrier(4, 1); }), "multiple of 8");
  EXPECT_DEATH(runClusters(1, 64, 1,
                           [] {
                             if (threadIdx.x == 0) {
                               device::initBarrier(0, 2);
                               device::expectBytes(0, 16);
                               device::arriveBarrier(0);
                               device::arriveBarrier(0);
                             }
                           }),
               "has had all its 2 arrivals");
  EXPECT_DEATH(runClusters(1, 32, 1,
                           [] {
                             if (threadIdx.x == 0) {
                               device::initBarrier(0, 1);
                               device::waitBarrier(0, 0);
                             }
                           }),
               "deadlock: .*\n.*wait for an mbarrier");
}

// ---- Bulk copies.

// CUDA driver API: in each 1024 bytes of CU_TENSOR_MAP_SWIZZLE_128B, 16-byte chunk c of row r lies at chunk c ^ r.
TEST(HopperFunctions, BoxesLandSwizzledWithZerosBeyondTheTensor) {
  constexpr int kRows = 70, kColumns = 128;
  std::vector<uint16_t> values(kRows * kColumns);
  for (size_t at = 0; at < values.size(); ++at) values[at] = static_cast<uint16_t>(at + 1);
  const OnDevice<uint16_t> tensor(values);
  const CUtensorMap map = mapOf(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, tensor.data, kColumns, kRows, 2 * kColumns, 64, 64,
                                CU_TENSOR_MAP_SWIZZLE_128B);
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    runClusters(2, 32, 2, [&map, &values] {
      constexpr uint32_t kBarrier = 32768, kBox = 2048;
      if (threadIdx.x == 0) device::initBarrier(kBarrier, 1);
      device::joinCluster();
      if (threadIdx.x == 0) {
        device::expectBytes(kBarrier, 64 * 128);
        // Each block of the cluster brings the box to both; one will do.
        if (device::clusterRank() == 0) device::copyBoxMulticast(kBox, map, kBarrier, 64, 16, 3);
      }
      device::waitBarrier(kBarrier, 0);
      const auto* box = reinterpret_cast<const uint16_t*>(static_cast<const char*>(dynamicShared()) + kBox);
      for (int row = static_cast<int>(threadIdx.x); row < 64; row += 32) {
        for (int column = 0; column < 64; ++column) {
          const int place = row * 64 + ((column / 8) ^ (row % 8)) * 8 + column % 8;
          const int expected = 16 + row < kRows ? values[(16 + row) * kColumns + 64 + column] : 0;
          EXPECT_EQ(box[place], expected) << row << " " << column;
        }
      }
      device::joinCluster();
    });
  }
}

TEST(HopperFunctions, LinesLandAsTheyAre) {
  std::vector<float> values(100);
  for (int n = 0; n < 100; ++n) values[n] = static_cast<float>(n);
  const OnDevice<float> line(values);
  const CUtensorMap map =
      mapOf(CU_TENSOR_MAP_DATA_TYPE_UINT32, 1, line.data, 100, 1, 0, 64, 1, CU_TENSOR_MAP_SWIZZLE_NONE);
  runClusters(1, 32, 1, [&map] {
    if (threadIdx.x == 0) {
      device::initBarrier(0, 1);
      device::expectBytes(0, 256);
      device::copyLine(128, map, 0, 64);
    }
    __syncwarp();
    device::waitBarrier(0, 0);
    const auto* landed = reinterpret_cast<const float*>(static_cast<const char*>(dynamicShared()) + 128);
    for (int n = 0; n < 64; ++n) EXPECT_EQ(landed[n], 64 + n < 100 ? static_cast<float>(64 + n) : 0.0f);
  });
}

TEST(HopperFunctions, ABoxIsNotANumberUntilItLands) {
  const OnDevice<float> line(std::vector<float>(64, 1.0f));
  const CUtensorMap map =
      mapOf(CU_TENSOR_MAP_DATA_TYPE_UINT32, 1, line.data, 64, 1, 0, 64, 1, CU_TENSOR_MAP_SWIZZLE_NONE);
  runClusters(1, 32, 1, [&map] {
    const auto* landed = reinterpret_cast<const float*>(static_cast<const char*>(dynamicShared()) + 128);
    if (threadIdx.x == 0) {
      device::initBarrier(0, 1);
      device::expectBytes(0, 256);
      device::copyLine(128, map, 0, 0);
      EXPECT_TRUE(std::isnan(landed[5]));
      device::waitBarrier(0, 0);
      EXPECT_EQ(landed[5], 1.0f);
    }
  });
}

TEST(HopperFunctionsDeath, CopiesRefuseMisuse) {
  const OnDevice<float> line(std::vector<float>(64, 1.0f));
  const CUtensorMap map =
      mapOf(CU_TENSOR_MAP_DATA_TYPE_UINT32, 1, line.data, 64, 1, 0, 64, 1, CU_TENSOR_MAP_SWIZZLE_NONE);
  const auto copy = [&map](uint32_t place, int announced) {
    runClusters(1, 32, 1, [&map, place, announced] {
      if (threadIdx.x != 0) return;
      device::initBarrier(0, 1);
      device::expectBytes(0, static_cast<uint32_t>(announced));
      device::copyLine(place, map, 0, 0);
      device::waitBarrier(0, 0);
    });
  };
  EXPECT_DEATH(copy(130, 256), "multiple of 128");
  EXPECT_DEATH(copy(kClusterSharedBytes - 128, 256), "within its");
  EXPECT_DEATH(copy(128, 512), "deadlock");  // more announced than comes
  EXPECT_DEATH(runClusters(1, 32, 1,
                           [&map] {
                             if (threadIdx.x != 0) return;
                             device::initBarrier(0, 1);
                             device::copyLine(128, map, 0, 0);
                           }),
               "bulk copies under way");
  CUtensorMap none = {};
  EXPECT_DEATH(runClusters(1, 32, 1, [&none] { device::copyLine(128, none, 0, 0); }), "did not make");
}

// ---- Prefetches.

TEST(HopperFunctions, PrefetchesAreRecordedWhileAskedFor) {
  const OnDevice<float> line(std::vector<float>(64, 1.0f));
  const auto prefetch = [&line] {
    runWarp([&line](int lane) {
      if (lane < 2) device::prefetchToL2(line.data + 4 * lane, 32);
      if (lane == 2) cuda::prefetchL2(line.data + 63);
    });
  };
  prefetch();
  const PrefetchRecording recording;
  prefetch();
  ASSERT_EQ(recording.prefetches().size(), size_t{3});
  const auto at = [&line](int n) { return reinterpret_cast<uintptr_t>(line.data + n); };
  const std::vector<Prefetch> expected = {{at(0), 32}, {at(4), 32}, {at(63), 0}};
  for (size_t n = 0; n < expected.size(); ++n) {
    EXPECT_EQ(recording.prefetches()[n].begin, expected[n].begin) << n;
    EXPECT_EQ(recording.prefetches()[n].bytes, expected[n].bytes) << n;
  }
}

TEST(HopperFunctionsDeath, PrefetchesRefuseMisuse) {
  const OnDevice<float> line(std::vector<float>(62, 1.0f));
  std::vector<float> host(64);
  const auto bulk = [](const float* at, uint32_t bytes) {
    runWarp([at, bytes](int lane) {
      if (lane == 0) device::prefetchToL2(at, bytes);
    });
  };
  EXPECT_DEATH(bulk(line.data + 2, 16), "multiples of 16");
  EXPECT_DEATH(bulk(line.data, 24), "multiples of 16");
  bulk(line.data + 56, 16);
  EXPECT_DEATH(bulk(line.data + 56, 32), "bytes of one allocation");  // its last 8 bytes lie beyond
  EXPECT_DEATH(bulk(line.data - 4, 32), "bytes of one allocation");
  EXPECT_DEATH(runWarp([&line](int) { cuda::prefetchL2(line.data + 62); }), "an address in an allocation");
  EXPECT_DEATH(runWarp([&host](int) { cuda::prefetchL2(host.data()); }), "an address in an allocation");
}

TEST(HopperFunctions, MapsAreRefusedAsTheDriverRefusesThem) {
  alignas(16) float data[64] = {};
  const auto encode = [&data](CUtensorMap* map, const void* from, cuuint64_t rowBytes, cuuint32_t boxColumns,
                              CUtensorMapSwizzle swizzle) {
    const cuuint64_t sizes[2] = {8, 4}, strides[1] = {rowBytes};
    const cuuint32_t box[2] = {boxColumns, 2}, steps[2] = {1, 1};
    return cuTensorMapEncodeTiled(map, CU_TENSOR_MAP_DATA_TYPE_UINT32, 2, const_cast<void*>(from), sizes, strides, box,
                                  steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  CUtensorMap map;
  EXPECT_EQ(encode(&map, data, 32, 8, CU_TENSOR_MAP_SWIZZLE_NONE), CUDA_SUCCESS);
  EXPECT_NE(encode(&map, data + 1, 32, 8, CU_TENSOR_MAP_SWIZZLE_NONE), CUDA_SUCCESS);  // address not of 16 bytes
  EXPECT_NE(encode(&map, data, 36, 8, CU_TENSOR_MAP_SWIZZLE_NONE), CUDA_SUCCESS);      // nor stride
  EXPECT_NE(encode(&map, data, 32, 6, CU_TENSOR_MAP_SWIZZLE_NONE), CUDA_SUCCESS);      // nor row of the box
  EXPECT_NE(encode(&map, data, 32, 257, CU_TENSOR_MAP_SWIZZLE_NONE), CUDA_SUCCESS);    // box too long
  EXPECT_NE(encode(&map, data, 32, 64, CU_TENSOR_MAP_SWIZZLE_128B), CUDA_SUCCESS);     // beyond the swizzle's row
}

TEST(HopperFunctionsDeath, ClustersRefuseWhatTheHarnessCannotRun) {
  EXPECT_DEATH(runClusters(3, 64, 2, [] {}), "clusters of 2 blocks");
  EXPECT_DEATH(runClusters(2, 64, 2, [] { __syncthreads(); }), "in a cluster");
}

}  // namespace
}  // namespace hyperarc::emulator
