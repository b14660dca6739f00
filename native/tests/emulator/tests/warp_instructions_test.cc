// The instructions of device/warp.h against the figures of the PTX ISA, written out anew here element by element.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "harness.h"
#include "warp_emulation.h"

namespace hyperarc::emulator {
namespace {

using cuda::cpAsync16;
using cuda::cpAsyncCommit;
using cuda::cpAsyncWait;

uint32_t bf16Bits(float value) { return std::bit_cast<uint32_t>(value) >> 16; }  // of numbers that bf16 holds exactly

uint32_t packed(float low, float high) { return bf16Bits(low) | bf16Bits(high) << 16; }

struct Element {
  int row;
  int column;
};

// PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type", .bf16: where a_i, b_i and c_i of a lane lie.
Element elementOfA(int lane, int i) {
  const int groupId = lane >> 2;
  const int threadInGroup = lane % 4;
  const int row = (0 <= i && i < 2) || (4 <= i && i < 6) ? groupId : groupId + 8;
  const int column = i < 4 ? threadInGroup * 2 + (i & 1) : threadInGroup * 2 + (i & 1) + 8;
  return {row, column};
}
Element elementOfB(int lane, int i) {
  const int row = i < 2 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
  return {row, lane >> 2};
}
Element elementOfC(int lane, int i) { return {i < 2 ? lane >> 2 : (lane >> 2) + 8, lane % 4 * 2 + (i & 1)}; }

using Matrix = std::vector<std::vector<float>>;
Matrix zeros(int rows, int columns) { return Matrix(rows, std::vector<float>(columns)); }

Matrix multiplyOnWarp(const Matrix& a, const Matrix& b, const Matrix& c) {
  Matrix d = zeros(16, 8);
  runWarp([&](int lane) {
    uint32_t aWords[4], bWords[2];
    float sums[4];
    for (int i = 0; i < 8; i += 2) {
      const Element low = elementOfA(lane, i), high = elementOfA(lane, i + 1);
      aWords[i / 2] = packed(a[low.row][low.column], a[high.row][high.column]);
    }
    for (int i = 0; i < 4; i += 2) {
      const Element low = elementOfB(lane, i), high = elementOfB(lane, i + 1);
      bWords[i / 2] = packed(b[low.row][low.column], b[high.row][high.column]);
    }
    for (int i = 0; i < 4; ++i) sums[i] = c[elementOfC(lane, i).row][elementOfC(lane, i).column];
    cuda::mmaBf16(sums, aWords, bWords);
    for (int i = 0; i < 4; ++i) d[elementOfC(lane, i).row][elementOfC(lane, i).column] = sums[i];
  });
  return d;
}

TEST(WarpInstructions, MmaMultipliesEveryPairOfElements) {
  // One element of A and one of B at a time: exactly one element of D moves, and only where k agrees.
  for (int m = 0; m < 16; ++m) {
    for (int k = 0; k < 16; ++k) {
      Matrix a = zeros(16, 16), b = zeros(16, 8), expected = zeros(16, 8);
      a[m][k] = 3.0f;
      for (int row = 0; row < 16; ++row) {
        for (int n = 0; n < 8; ++n) b[row][n] = static_cast<float>(row * 8 + n);
      }
      for (int n = 0; n < 8; ++n) expected[m][n] = 3.0f * b[k][n];
      EXPECT_EQ(multiplyOnWarp(a, b, zeros(16, 8)), expected) << "a[" << m << "][" << k << "]";
    }
  }
}

TEST(WarpInstructions, MmaAddsToTheAccumulator) {
  std::mt19937 generator(1);
  std::uniform_int_distribution<int> small(-8, 8);  // sums are exact in fp32
  Matrix a = zeros(16, 16), b = zeros(16, 8), c = zeros(16, 8), expected = zeros(16, 8);
  for (auto* matrix : {&a, &b, &c}) {
    for (auto& row : *matrix) {
      for (float& value : row) value = static_cast<float>(small(generator)) / 4;
    }
  }
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 8; ++n) {
      expected[m][n] = c[m][n];
      for (int k = 0; k < 16; ++k) expected[m][n] += a[m][k] * b[k][n];
    }
  }
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    EXPECT_EQ(multiplyOnWarp(a, b, c), expected);
  }
}

/// Four 8×8 matrices whose element (matrix, row, column) is 64·matrix + 8·row + column; matrix m's row r is stored at
/// position 8·m + r of shared memory in reverse, to show that addresses decide.
std::array<std::array<uint32_t, 4>, 32> loadOnWarp(bool isTransposed) {
  std::array<std::array<uint32_t, 4>, 32> registers{};
  runWarp(
      [&](int lane) {
        auto* rows = static_cast<uint16_t(*)[8]>(dynamicShared());
        for (int column = 0; column < 8; ++column) rows[31 - lane][column] = static_cast<uint16_t>(8 * lane + column);
        __syncwarp();
        uint32_t r[4];
        if (isTransposed) {
          cuda::ldmatrixX4Transposed(r, rows[31 - lane]);
        } else {
          cuda::ldmatrixX4(r, rows[31 - lane]);
        }
        for (int i = 0; i < 4; ++i) registers[lane][i] = r[i];
      },
      512);
  return registers;
}

TEST(WarpInstructions, LdmatrixGivesEachLaneItsPairOfARow) {
  // PTX ISA, "ldmatrix": lane l holds elements 2(l%4), 2(l%4)+1 of row l/4 of each matrix.
  const auto registers = loadOnWarp(false);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t matrix = 0; matrix < 4; ++matrix) {
      const uint32_t first = 64 * matrix + 8 * (lane / 4) + 2 * (lane % 4);
      EXPECT_EQ(registers[lane][matrix], first | (first + 1) << 16) << "lane " << lane << ", matrix " << matrix;
    }
  }
}

TEST(WarpInstructions, LdmatrixTransposedGivesEachLaneItsPairOfAColumn) {
  const auto registers = loadOnWarp(true);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t matrix = 0; matrix < 4; ++matrix) {
      const uint32_t first = 64 * matrix + 8 * (2 * (lane % 4)) + lane / 4;
      EXPECT_EQ(registers[lane][matrix], first | (first + 8) << 16) << "lane " << lane << ", matrix " << matrix;
    }
  }
}

TEST(WarpInstructionsDeathTest, LdmatrixWantsAlignedRowsOfSharedMemory) {
  EXPECT_DEATH(runWarp(
                   [](int) {
                     uint32_t r[4];
                     cuda::ldmatrixX4(r, static_cast<unsigned char*>(dynamicShared()) + 8);
                   },
                   512),
               "kernel 'kernel'.*ldmatrix.*not 16-byte aligned");
  EXPECT_DEATH(runWarp(
                   [](int) {
                     uint32_t r[4];
                     cuda::ldmatrixX4(r, static_cast<unsigned char*>(dynamicShared()) + 512);
                   },
                   520),
               "ldmatrix.*not in shared memory");
  void* device = nullptr;
  ASSERT_EQ(cudaMalloc(&device, 512), cudaSuccess);
  EXPECT_DEATH(runWarp([device](int) {
                 uint32_t r[4];
                 cuda::ldmatrixX4(r, device);
               }),
               "ldmatrix.*not in shared memory");
  cudaFree(device);
}

TEST(WarpInstructions, CpAsyncLandsWhenTheThreadWaits) {
  alignas(16) float source[8][4];
  for (int i = 0; i < 32; ++i) source[i / 4][i % 4] = static_cast<float>(i + 1);
  runKernel(1, 1, 3 * 16, [&source] {
    auto* to = static_cast<float(*)[4]>(dynamicShared());
    to[0][0] = 77.0f;
    cpAsync16(to[0], source[0], true);
    EXPECT_TRUE(std::isnan(to[0][0]));  // neither the old nor the new
    cpAsyncCommit();
    cpAsync16(to[1], source[1], true);
    cpAsyncCommit();
    cpAsync16(to[2], source[2], true);  // in no group yet
    cpAsyncWait<2>();
    EXPECT_TRUE(std::isnan(to[0][0]));
    cpAsyncWait<1>();
    EXPECT_EQ(to[0][0], 1.0f);
    EXPECT_EQ(to[0][3], 4.0f);
    EXPECT_TRUE(std::isnan(to[1][0]));
    cpAsyncWait<0>();
    EXPECT_EQ(to[1][2], 7.0f);
    EXPECT_TRUE(std::isnan(to[2][0]));
    cpAsyncCommit();
    cpAsyncCommit();  // an empty group counts
    cpAsyncWait<1>();
    EXPECT_EQ(to[2][0], 9.0f);
  });
}

TEST(WarpInstructions, CpAsyncWaitsOnlyForTheThreadsOwnCopies) {
  alignas(16) const float source[2][4] = {{1, 1, 1, 1}, {2, 2, 2, 2}};
  runKernel(1, 2, 2 * 16, [&source] {
    auto* to = static_cast<float(*)[4]>(dynamicShared());
    cpAsync16(to[threadIdx.x], source[threadIdx.x], true);
    cpAsyncCommit();
    __syncthreads();
    if (threadIdx.x == 0) cpAsyncWait<0>();
    __syncthreads();
    EXPECT_EQ(to[0][0], 1.0f);
    EXPECT_TRUE(std::isnan(to[1][0]));
    __syncthreads();
    cpAsyncWait<0>();
    __syncthreads();
    EXPECT_EQ(to[1][0], 2.0f);
  });
}

TEST(WarpInstructions, CpAsyncOfNothingWritesZerosAndReadsNothing) {
  runKernel(1, 1, 16, [] {
    auto* to = static_cast<float*>(dynamicShared());
    cpAsync16(to, reinterpret_cast<const void*>(uintptr_t{16}), false);  // reading there would end the process
    cpAsyncCommit();
    cpAsyncWait<0>();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(to[i], 0.0f);
  });
}

TEST(WarpInstructionsDeathTest, CpAsyncWantsAlignment) {
  alignas(16) static const float source[8] = {};
  EXPECT_DEATH(runKernel(1, 1, 32, [] { cpAsync16(dynamicShared(), source + 1, true); }), "cp.async.*16-byte aligned");
  EXPECT_DEATH(runKernel(1, 1, 32, [] { cpAsync16(static_cast<float*>(dynamicShared()) + 2, source, true); }),
               "cp.async.*16-byte aligned");
  EXPECT_DEATH(runKernel(1, 1, 32, [] { cpAsync16(static_cast<float*>(dynamicShared()) + 8, source, true); }),
               "cp.async.*not in shared memory");
}

TEST(WarpInstructions, Exp2FastFlushesSubnormals) {
  EXPECT_EQ(cuda::exp2Fast(3.0f), 8.0f);
  EXPECT_EQ(cuda::exp2Fast(-126.0f), 0x1p-126f);
  EXPECT_EQ(cuda::exp2Fast(-126.5f), 0.0f);
  EXPECT_EQ(cuda::exp2Fast(0x1p-140f), 1.0f);
  EXPECT_EQ(cuda::exp2Fast(-INFINITY), 0.0f);
  EXPECT_EQ(cuda::exp2Fast(128.0f), INFINITY);
  EXPECT_TRUE(std::isnan(cuda::exp2Fast(NAN)));
}

}  // namespace
}  // namespace hyperarc::emulator
