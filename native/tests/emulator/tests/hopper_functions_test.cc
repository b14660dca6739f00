// Clusters, mbarriers, bulk tensor copies and wgmma against the PTX ISA and the driver's documentation; and that the
// harness objects where a kernel would go wrong on the device.
#include "emulator/hopper_functions.h"

#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "harness.h"
#include "hopper_emulation.h"
#include "warp_emulation.h"

namespace hyperarc::emulator {
namespace {

namespace device = cuda::wgmma;

constexpr size_t kSharedBytes = 64 * 1024;

uint16_t bf16Of(float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); }

void runClusters(unsigned blocks, unsigned threads, unsigned cluster, std::function<void()> body) {
  ASSERT_EQ(launch("kernel", blocks, threads, kSharedBytes, nullptr, std::move(body), cluster), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

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
      mapOf(CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 1, line.data, 100, 1, 0, 64, 1, CU_TENSOR_MAP_SWIZZLE_NONE);
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
      mapOf(CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 1, line.data, 64, 1, 0, 64, 1, CU_TENSOR_MAP_SWIZZLE_NONE);
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
      mapOf(CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 1, line.data, 64, 1, 0, 64, 1, CU_TENSOR_MAP_SWIZZLE_NONE);
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
  EXPECT_DEATH(copy(kSharedBytes - 128, 256), "within its");
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

TEST(HopperFunctions, MapsAreRefusedAsTheDriverRefusesThem) {
  alignas(16) float data[64] = {};
  const auto encode = [&data](CUtensorMap* map, const void* from, cuuint64_t rowBytes, cuuint32_t boxColumns,
                              CUtensorMapSwizzle swizzle) {
    const cuuint64_t sizes[2] = {8, 4}, strides[1] = {rowBytes};
    const cuuint32_t box[2] = {boxColumns, 2}, steps[2] = {1, 1};
    return cuTensorMapEncodeTiled(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, const_cast<void*>(from), sizes, strides, box,
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

// ---- wgmma. PTX ISA, "Register Fragments and Shared Memory Matrix Layouts": element i of the accumulators of m64nN
// lies in row 16·warp + lane/4 (+8 where i & 2), column 8·(i/4) + 2·(lane mod 4) + (i & 1).

struct Operands {
  std::vector<float> a;  // [64, 16]
  std::vector<float> b;  // [16, n]
};

Operands makeOperands(int n) {
  std::mt19937 random(static_cast<uint32_t>(n));
  Operands operands = {std::vector<float>(64 * 16), std::vector<float>(16 * static_cast<size_t>(n))};
  for (float& value : operands.a) value = static_cast<float>(random() % 15) - 7;
  for (float& value : operands.b) value = static_cast<float>(random() % 15) - 7;
  return operands;
}

/// Writes an operand in boxes of 64 columns of 128-byte rows, swizzled.
template <typename At>
void writeBoxes(unsigned char* shared, int rows, int columns, int boxBytes, At at) {
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      const int chunk = column % 64 / 8 ^ row % 8;
      const uint16_t bits = bf16Of(at(row, column));
      std::memcpy(shared + column / 64 * boxBytes + row * 128 + chunk * 16 + column % 8 * 2, &bits, 2);
    }
  }
}

uint64_t descriptorOf(uint32_t start, uint32_t leading, uint32_t stride) {
  return uint64_t{start >> 4} | uint64_t{leading >> 4} << 16 | uint64_t{stride >> 4} << 32 | uint64_t{1} << 62;
}

TEST(HopperFunctions, WgmmaMultipliesKMajorOperands) {
  const Operands operands = makeOperands(64);
  runClusters(1, 128, 1, [&operands] {
    auto* shared = static_cast<unsigned char*>(dynamicShared());
    if (threadIdx.x == 0) {
      // The sixteen columns from 32 on of boxes whose other columns are not numbers.
      writeBoxes(shared, 64, 64, 8192, [&](int m, int k) { return k / 16 == 2 ? operands.a[m * 16 + k % 16] : NAN; });
      writeBoxes(shared + 8192, 64, 64, 8192,
                 [&](int n, int k) { return k / 16 == 2 ? operands.b[k % 16 * 64 + n] : NAN; });
    }
    __syncthreads();
    float d[32];
    for (float& value : d) value = 1000.0f;
    device::fence();
    device::multiplyScores(d, descriptorOf(64, 16, 1024), descriptorOf(8192 + 64, 16, 1024), 0);
    device::multiplyScores(d, descriptorOf(64, 16, 1024), descriptorOf(8192 + 64, 16, 1024), 1);
    device::commit();
    EXPECT_TRUE(std::isnan(d[3]));
    device::waitGroups<0>();
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    for (int i = 0; i < 32; ++i) {
      const int m = 16 * warp + lane / 4 + (i & 2 ? 8 : 0), n = 8 * (i / 4) + 2 * (lane % 4) + (i & 1);
      float expected = 0.0f;
      for (int k = 0; k < 16; ++k) expected += 2 * operands.a[m * 16 + k] * operands.b[k * 64 + n];
      EXPECT_EQ(d[i], expected) << m << " " << n;
    }
  });
}

// "Matrix Fragments for A of m64k16": register pair r holds row lane/4 (+8 where r & 1), columns 2·(lane mod 4) (+8
// where r & 2).
TEST(HopperFunctions, WgmmaMultipliesRegistersByATransposedOperand) {
  for (int columns : {128, 256}) {
    const Operands operands = makeOperands(columns);
    runClusters(1, 128, 1, [&operands, columns] {
      auto* shared = static_cast<unsigned char*>(dynamicShared());
      if (threadIdx.x == 0) {
        // Rows 48 … 63 of a tile of 64: one row a k.
        writeBoxes(shared, 64, columns, 8192,
                   [&](int k, int n) { return k / 16 == 3 ? operands.b[k % 16 * columns + n] : NAN; });
        writeBoxes(shared + 32768, 64, 64, 8192, [&](int m, int k) { return k < 16 ? operands.a[m * 16 + k] : NAN; });
      }
      __syncthreads();
      const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
      uint32_t a[4];
      for (int r = 0; r < 4; ++r) {
        const int m = 16 * warp + lane / 4 + (r & 1 ? 8 : 0), k = 2 * (lane % 4) + (r & 2 ? 8 : 0);
        a[r] = bf16Of(operands.a[m * 16 + k]) | uint32_t{bf16Of(operands.a[m * 16 + k + 1])} << 16;
      }
      const uint64_t b = descriptorOf(48 * 128, 8192, 1024);
      const auto check = [&](const float* d, float factor) {
        for (int i = 0; i < columns / 2; ++i) {
          const int m = 16 * warp + lane / 4 + (i & 2 ? 8 : 0), n = 8 * (i / 4) + 2 * (lane % 4) + (i & 1);
          float expected = 0.0f;
          for (int k = 0; k < 16; ++k) expected += factor * operands.a[m * 16 + k] * operands.b[k * columns + n];
          EXPECT_EQ(d[i], expected) << m << " " << n;
        }
      };
      device::fence();
      if (columns == 128) {
        float d[64] = {};
        device::multiplyOutput(d, a, b);
        device::commit();
        device::waitGroups<0>();
        check(d, 1.0f);
      } else {
        float d[128] = {};
        device::multiplyOutput(d, a, b);
        device::commit();
        device::multiplyOutput(d, descriptorOf(32768, 16, 1024), b);  // A from shared memory
        device::commit();
        device::waitGroups<0>();
        check(d, 2.0f);
      }
    });
  }
}

TEST(HopperFunctions, OnlyGroupsThatWereWaitedForAreThere) {
  runClusters(1, 128, 1, [] {
    auto* shared = static_cast<unsigned char*>(dynamicShared());
    if (threadIdx.x == 0) writeBoxes(shared, 64, 64, 8192, [](int, int) { return 1.0f; });
    __syncthreads();
    float first[32], second[32];
    device::fence();
    device::multiplyScores(first, descriptorOf(0, 16, 1024), descriptorOf(0, 16, 1024), 0);
    device::commit();
    device::multiplyScores(second, descriptorOf(0, 16, 1024), descriptorOf(0, 16, 1024), 0);
    device::commit();
    device::waitGroups<1>();
    EXPECT_EQ(first[0], 16.0f);
    EXPECT_TRUE(std::isnan(second[0]));
    device::waitGroups<0>();
    EXPECT_EQ(second[0], 16.0f);
  });
}

TEST(HopperFunctionsDeath, WgmmaRefusesMisuse) {
  const auto run = [](const std::function<void(float(&)[32])>& body) {
    runClusters(1, 128, 1, [body] {
      auto* shared = static_cast<unsigned char*>(dynamicShared());
      if (threadIdx.x == 0) writeBoxes(shared, 64, 64, 8192, [](int, int) { return 1.0f; });
      __syncthreads();
      float d[32];
      body(d);
    });
  };
  const uint64_t whole = descriptorOf(0, 16, 1024);
  EXPECT_DEATH(run([=](float(&d)[32]) { device::multiplyScores(d, whole, whole, 0); }), "without wgmma.fence");
  EXPECT_DEATH(run([=](float(&d)[32]) {
                 device::fence();
                 device::multiplyScores(d, whole, descriptorOf(kSharedBytes - 1024, 16, 1024), 0);
               }),
               "beyond its");
  EXPECT_DEATH(run([=](float(&d)[32]) {
                 device::fence();
                 device::multiplyScores(d, whole, whole & ~(uint64_t{3} << 62), 0);
               }),
               "128-byte swizzle");
  EXPECT_DEATH(run([=](float(&d)[32]) {
                 device::fence();
                 device::multiplyScores(d, whole, whole, 0);
                 device::commit();
                 __syncthreads();
                 static_cast<unsigned char*>(dynamicShared())[5] = 77;
                 device::waitGroups<0>();
               }),
               "changed while a product read it");
}

// PTX ISA, "stmatrix": lane 8m + r names row r of matrix m; register m of lane l is row l/4, columns 2·(l mod 4) of it.
TEST(HopperFunctions, StoredMatricesAreThereAfterTheFence) {
  runClusters(1, 32, 1, [] {
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t r[4];
    for (int m = 0; m < 4; ++m) {
      const int element = m * 64 + lane / 4 * 8 + lane % 4 * 2;
      r[m] = static_cast<uint32_t>(element) | static_cast<uint32_t>(element + 1) << 16;
    }
    device::storeMatrices(static_cast<uint32_t>(32 * lane), r);
    const auto* shared = static_cast<const uint16_t*>(dynamicShared());
    EXPECT_EQ(shared[16 * lane], 0xffff);
    __syncwarp();
    device::fenceAsyncProxy();
    __syncwarp();
    for (int column = 0; column < 8; ++column) EXPECT_EQ(shared[16 * lane + column], 8 * lane + column);
  });
}

TEST(HopperFunctionsDeath, ClustersRefuseWhatTheHarnessCannotRun) {
  EXPECT_DEATH(runClusters(3, 64, 2, [] {}), "clusters of 2 blocks");
  EXPECT_DEATH(runClusters(2, 64, 2, [] { __syncthreads(); }), "in a cluster");
}

}  // namespace
}  // namespace hyperarc::emulator
