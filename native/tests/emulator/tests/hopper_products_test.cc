// wgmma and stmatrix against the PTX ISA; and that the harness objects where a kernel would go wrong on the device.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "emulator/hopper_functions.h"
#include "harness.h"
#include "hopper_emulation.h"

namespace hyperarc::emulator {
namespace {

namespace device = cuda::wgmma;

uint16_t bf16Of(float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); }

// PTX ISA, "Register Fragments and Shared Memory Matrix Layouts": element i of the accumulators of m64nN
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

TEST(HopperProducts, WgmmaMultipliesKMajorOperands) {
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
TEST(HopperProducts, WgmmaMultipliesRegistersByATransposedOperand) {
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

TEST(HopperProducts, OnlyGroupsThatWereWaitedForAreThere) {
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

TEST(HopperProductsDeath, WgmmaRefusesMisuse) {
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
                 device::multiplyScores(d, whole, descriptorOf(kClusterSharedBytes - 1024, 16, 1024), 0);
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
TEST(HopperProducts, StoredMatricesAreThereAfterTheFence) {
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

}  // namespace
}  // namespace hyperarc::emulator
