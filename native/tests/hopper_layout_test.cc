// Where wgmma's data lies: swizzle, descriptors, fragments, against values worked out from the PTX ISA, and a product
// computed in software through descriptors and swizzle.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "cuda/device/bf16.h"
#include "cuda/hopper/layout.h"

namespace hyperarc::cuda::hopper {
namespace {

TEST(HopperSwizzle, PermutesSixteenByteUnitsWithinEightRows) {
  std::set<uint32_t> seen;
  for (uint32_t row = 0; row < 64; ++row) {
    for (uint32_t column = 0; column < 64; ++column) {
      const uint32_t offset = boxOffset(row, column);
      EXPECT_EQ(offset / 128, row) << "a row stays in its 128 bytes";
      EXPECT_EQ(offset % 128, ((column / 8) ^ (row % 8)) * 16 + column % 8 * 2);
      EXPECT_TRUE(seen.insert(offset).second);
    }
  }
  EXPECT_EQ(*seen.rbegin(), kBoxBytes - 2u);
}

TEST(HopperSwizzle, IsItsOwnInverse) {
  for (uint32_t address = 0; address < 4096; ++address) EXPECT_EQ(swizzle128(swizzle128(address)), address);
}

/// Largest number of different 4-byte words of one bank among the accesses of a wave.
int worstBank(const std::vector<uint32_t>& wordAddresses) {
  std::vector<std::set<uint32_t>> banks(32);
  for (const uint32_t address : wordAddresses) banks[address / 4 % 32].insert(address / 4);
  size_t worst = 0;
  for (const auto& bank : banks) worst = std::max(worst, bank.size());
  return static_cast<int>(worst);
}

TEST(HopperSwizzle, ReadsAndStoresOfMatricesMeetNoBankTwice) {
  // Eight 16-byte rows are one wave: the rows of an 8×8 matrix at any column group, as wgmma and stmatrix touch them.
  for (uint32_t row = 0; row < 64; row += 8) {
    for (uint32_t column = 0; column < 64; column += 8) {
      std::vector<uint32_t> words;
      for (uint32_t r = 0; r < 8; ++r) {
        for (uint32_t byte = 0; byte < 16; byte += 4) words.push_back(boxOffset(row + r, column) + byte);
      }
      EXPECT_EQ(worstBank(words), 1);
    }
  }
  for (int warp = 0; warp < 4; ++warp) {
    for (int k16 = 0; k16 < 4; ++k16) {
      for (int matrix = 0; matrix < 4; ++matrix) {
        std::vector<uint32_t> words;
        for (int lane = 8 * matrix; lane < 8 * matrix + 8; ++lane) {
          EXPECT_EQ(storeMatrixOffset(warp, lane, k16) % 16, 0u);
          for (uint32_t byte = 0; byte < 16; byte += 4) words.push_back(storeMatrixOffset(warp, lane, k16) + byte);
        }
        EXPECT_EQ(worstBank(words), 1);
      }
    }
  }
}

struct Fields {
  uint64_t start, leading, stride, base, swizzle, rest;
};
Fields fieldsOf(uint64_t d) {
  const uint64_t used = 0x3fffull | 0x3fffull << 16 | 0x3fffull << 32 | 7ull << 49 | 3ull << 62;
  return {d & 0x3fff, d >> 16 & 0x3fff, d >> 32 & 0x3fff, d >> 49 & 7, d >> 62, d & ~used};
}

TEST(HopperDescriptor, KMajorFields) {
  // PTX ISA: units of 16 bytes; 8 rows of 128 bytes make 1024 = 64 units; a step of 16 bf16 is 32 bytes = 2 units.
  for (uint32_t k16 = 0; k16 < 4; ++k16) {
    const Fields f = fieldsOf(descriptorKMajor(0x18000, k16));
    EXPECT_EQ(f.start, 0x1800u + 2 * k16);
    EXPECT_EQ(f.leading, 1u);
    EXPECT_EQ(f.stride, 64u);
    EXPECT_EQ(f.base, 0u);
    EXPECT_EQ(f.swizzle, 1u);
    EXPECT_EQ(f.rest, 0u);
  }
  EXPECT_EQ(descriptorKMajor(0x400, 1), 0x4000004000010042ull);
}

TEST(HopperDescriptor, MnMajorFields) {
  // 16 rows along K are 2048 bytes = 128 units; boxes 8192 bytes = 512 units apart along N.
  for (uint32_t k16 = 0; k16 < 4; ++k16) {
    const Fields f = fieldsOf(descriptorMnMajor(0x20000, k16, kBoxBytes));
    EXPECT_EQ(f.start, 0x2000u + 128 * k16);
    EXPECT_EQ(f.leading, 512u);
    EXPECT_EQ(f.stride, 64u);
    EXPECT_EQ(f.base, 0u);
    EXPECT_EQ(f.swizzle, 1u);
    EXPECT_EQ(f.rest, 0u);
  }
  EXPECT_EQ(descriptorMnMajor(0x400, 0, kBoxBytes), 0x4000004002000040ull);
}

TEST(HopperDescriptor, ReachesAllOfSharedMemory) {
  for (uint32_t address = 0; address < 227 * 1024; address += 1024) {
    EXPECT_EQ(fieldsOf(descriptorKMajor(address, 3)).start * 16, address + 96);
    EXPECT_EQ(fieldsOf(descriptorMnMajor(address, 3, kBoxBytes)).start * 16, address + 6144);
  }
}

TEST(HopperFragment, AccumulatorsCoverTheTileOnce) {
  for (const int columns : {64, 128, 256}) {
    std::set<std::pair<int, int>> seen;
    for (int thread = 0; thread < 128; ++thread) {
      for (int reg = 0; reg < accumulatorRegisters(columns); ++reg) {
        const Cell cell = accumulatorCell(thread, reg);
        EXPECT_TRUE(cell.row >= 0 && cell.row < 64 && cell.column >= 0 && cell.column < columns);
        EXPECT_TRUE(seen.insert({cell.row, cell.column}).second);
      }
    }
    EXPECT_EQ(seen.size(), static_cast<size_t>(64 * columns));
  }
}

TEST(HopperFragment, AccumulatorCellsOfThePtxFigure) {
  // PTX ISA, figure "WGMMA .m64nNk16 register fragment layout for accumulator matrix D".
  const auto expectCell = [](int thread, int reg, int row, int column) {
    EXPECT_EQ(accumulatorCell(thread, reg).row, row);
    EXPECT_EQ(accumulatorCell(thread, reg).column, column);
  };
  expectCell(0, 0, 0, 0);
  expectCell(0, 1, 0, 1);
  expectCell(0, 2, 8, 0);
  expectCell(0, 3, 8, 1);
  expectCell(0, 4, 0, 8);
  expectCell(1, 0, 0, 2);
  expectCell(4, 0, 1, 0);
  expectCell(31, 3, 15, 7);
  expectCell(32, 0, 16, 0);
  expectCell(127, 127, 63, 255);
}

TEST(HopperFragment, OperandCoversTheTileOnceAndMatchesTheFigure) {
  std::set<std::pair<int, int>> seen;
  for (int thread = 0; thread < 128; ++thread) {
    for (int reg = 0; reg < 4; ++reg) {
      for (int half = 0; half < 2; ++half) {
        const Cell cell = operandCell(thread, reg, half);
        EXPECT_TRUE(seen.insert({cell.row, cell.column}).second);
      }
    }
  }
  EXPECT_EQ(seen.size(), 64u * 16u);
  // a0,a1 row g; a2,a3 row g + 8; a4,a5 row g, k + 8; a6,a7 row g + 8, k + 8 (two elements a register).
  EXPECT_EQ(operandCell(5, 0, 1).row, 1);
  EXPECT_EQ(operandCell(5, 0, 1).column, 3);
  EXPECT_EQ(operandCell(5, 1, 0).row, 9);
  EXPECT_EQ(operandCell(5, 2, 0).row, 1);
  EXPECT_EQ(operandCell(5, 2, 0).column, 10);
  EXPECT_EQ(operandCell(5, 3, 0).row, 9);
  EXPECT_EQ(operandCell(5, 3, 0).column, 10);
}

TEST(HopperFragment, AccumulatorsAreTheNextOperandInPlace) {
  for (int thread = 0; thread < 128; ++thread) {
    for (int k16 = 0; k16 < 4; ++k16) {
      for (int reg = 0; reg < 4; ++reg) {
        for (int half = 0; half < 2; ++half) {
          const Cell from = accumulatorCell(thread, accumulatorOfOperand(k16, reg, half));
          const Cell to = operandCell(thread, reg, half);
          EXPECT_EQ(from.row, to.row);
          EXPECT_EQ(from.column, to.column + 16 * k16);
        }
      }
    }
  }
}

TEST(HopperFragment, StoredMatricesLandAtTheirCells) {
  // stmatrix: lane l holds row l/4, columns 2·(l mod 4) and +1 of each matrix; matrix m is written to the rows that
  // lanes 8m … 8m + 7 point to.
  for (int warp = 0; warp < 4; ++warp) {
    for (int k16 = 0; k16 < 4; ++k16) {
      for (int lane = 0; lane < 32; ++lane) {
        for (int reg = 0; reg < 4; ++reg) {
          for (int half = 0; half < 2; ++half) {
            const Cell cell = operandCell(32 * warp + lane, reg, half);
            const uint32_t rowAddress = storeMatrixOffset(warp, 8 * reg + lane / 4, k16);
            EXPECT_EQ(rowAddress + static_cast<uint32_t>(lane % 4 * 4 + half * 2),
                      boxOffset(static_cast<uint32_t>(cell.row), static_cast<uint32_t>(16 * k16 + cell.column)));
          }
        }
      }
    }
  }
}

TEST(HopperStage, RoundsHoldEveryRowOnce) {
  for (const int stageRows : {8, 16, 64}) {
    std::set<int> rows;
    for (int round = 0; round < 64 / stageRows; ++round) {
      std::set<int> places;
      for (int warp = 0; warp < 4; ++warp) {
        for (int half = 0; half < 2; ++half) {
          for (int eighth = 0; eighth < 8; ++eighth) {
            const int staged = stageRow(stageRows, round, warp, half, eighth);
            if (staged < 0) continue;
            EXPECT_TRUE(places.insert(staged).second);
            EXPECT_EQ(rowOfStage(stageRows, round, staged), 16 * warp + 8 * half + eighth);
            EXPECT_TRUE(rows.insert(rowOfStage(stageRows, round, staged)).second);
          }
        }
      }
      EXPECT_EQ(places.size(), static_cast<size_t>(stageRows));
      EXPECT_EQ(*places.rbegin(), stageRows - 1);
    }
    EXPECT_EQ(rows.size(), 64u);
  }
}

TEST(HopperStage, PairsAndQuadsMeetNoBankTwice) {
  for (const int dim : {128, 256, 512}) {
    for (const int stageRows : {8, 64}) {
      for (int warp = 0; warp < 4; ++warp) {
        for (int half = 0; half < 2; ++half) {
          // 8-byte stores go in two waves of half a warp: four rows of a group of eight, four pairs each.
          for (int wave = 0; wave < 2; ++wave) {
            std::vector<uint32_t> words;
            for (int lane = 16 * wave; lane < 16 * wave + 16; ++lane) {
              const int staged = stageRow(stageRows, 0, warp, half, lane / 4);
              if (staged < 0) continue;
              for (int n = 0; n < 2; ++n) {
                words.push_back(static_cast<uint32_t>(staged * dim + stageColumn(staged, 72 + lane % 4 * 2) + n) * 4);
              }
            }
            EXPECT_LE(worstBank(words), 1);
          }
        }
      }
    }
  }
  for (int staged = 0; staged < 64; ++staged) {
    std::set<int> columns;
    for (int column = 0; column < 128; ++column) {
      columns.insert(stageColumn(staged, column));
      EXPECT_EQ(stageColumn(staged, column), stageColumn(staged, column / 4 * 4) + column % 4);
    }
    EXPECT_EQ(columns.size(), 128u);
    // 16-byte loads go in four waves of eight lanes: 32 columns of a row.
    std::vector<uint32_t> words;
    for (int column = 32; column < 64; ++column)
      words.push_back(static_cast<uint32_t>(stageColumn(staged, column)) * 4);
    EXPECT_EQ(worstBank(words), 1);
  }
}

// ---- wgmma in software.

/// Shared memory with what TMA writes: boxes of 64 rows × 64 columns, swizzled.
class Shared {
 public:
  explicit Shared(size_t bytes) : bytes_(bytes) {}

  void writeBox(uint32_t address, const std::vector<float>& matrix, int rowLength, int firstRow, int firstColumn) {
    for (int row = 0; row < 64; ++row) {
      for (int column = 0; column < 64; ++column) {
        const Bf16 value = toBf16(matrix[static_cast<size_t>((firstRow + row) * rowLength + firstColumn + column)]);
        // TMA swizzles by address bits as well; boxes are aligned, so offset and address agree.
        store(address + boxOffset(static_cast<uint32_t>(row), static_cast<uint32_t>(column)), value);
      }
    }
  }
  void store(uint32_t address, Bf16 value) { std::memcpy(&bytes_.at(address), &value, 2); }

  /// Element (outer, inner) of an operand, by the canonical layouts of the PTX ISA ("Strides"), 128-byte swizzle.
  float load(uint64_t d, bool isMnMajor, uint32_t outer, uint32_t inner) const {
    const Fields f = fieldsOf(d);
    EXPECT_EQ(f.swizzle, 1u);
    uint32_t address = static_cast<uint32_t>(f.start * 16);
    const uint32_t leading = static_cast<uint32_t>(f.leading * 16);
    const uint32_t stride = static_cast<uint32_t>(f.stride * 16);
    if (isMnMajor) {
      address += outer / 64 * leading + inner / 8 * stride + inner % 8 * 128 + outer % 64 * 2;
    } else {
      EXPECT_LT(inner, 16u);
      address += outer / 8 * stride + outer % 8 * 128 + inner * 2;
    }
    Bf16 value;
    std::memcpy(&value, &bytes_.at(swizzle128(address)), 2);
    return toFloat(value);
  }

 private:
  std::vector<unsigned char> bytes_;
};

std::vector<float> randomBf16(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> small(-8, 8);  // products and sums are exact
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(small(random));
  return values;
}

TEST(HopperProduct, BothProductsThroughDescriptorsEqualPlainOnes) {
  // S = A·Tᵀ (64 × 64, K = 512), then O = S'·T (64 × 256 of columns 256 … 511), S' from registers and from shared
  // memory.
  constexpr int kDim = 512;
  constexpr uint32_t kA = 0;
  constexpr uint32_t kT = 8 * kBoxBytes;
  constexpr uint32_t kP = 16 * kBoxBytes;
  Shared shared(17 * kBoxBytes);
  const std::vector<float> a = randomBf16(64 * kDim, 1);
  const std::vector<float> t = randomBf16(64 * kDim, 2);
  for (int box = 0; box < 8; ++box) {
    shared.writeBox(kA + static_cast<uint32_t>(box) * kBoxBytes, a, kDim, 0, 64 * box);
    shared.writeBox(kT + static_cast<uint32_t>(box) * kBoxBytes, t, kDim, 0, 64 * box);
  }
  std::vector<float> scores(64 * 64, 0.0f);
  for (uint32_t box = 0; box < 8; ++box) {
    for (uint32_t k16 = 0; k16 < 4; ++k16) {
      const uint64_t da = descriptorKMajor(kA + box * kBoxBytes, k16);
      const uint64_t db = descriptorKMajor(kT + box * kBoxBytes, k16);
      for (uint32_t row = 0; row < 64; ++row) {
        for (uint32_t column = 0; column < 64; ++column) {
          for (uint32_t k = 0; k < 16; ++k) {
            scores[row * 64 + column] += shared.load(da, false, row, k) * shared.load(db, false, column, k);
          }
        }
      }
    }
  }
  for (int row = 0; row < 64; ++row) {
    for (int column = 0; column < 64; ++column) {
      float expected = 0.0f;
      for (int d = 0; d < kDim; ++d) expected += a[row * kDim + d] * t[column * kDim + d];
      ASSERT_EQ(scores[row * 64 + column], expected) << row << "," << column;
    }
  }

  std::vector<float> p(64 * 64);
  for (size_t n = 0; n < p.size(); ++n) p[n] = toFloat(toBf16(scores[n] / 64.0f));
  // As a kernel forms it: from accumulators to operand registers, and by stmatrix into a box.
  std::vector<float> registers(128 * 4 * 4 * 2);
  for (int thread = 0; thread < 128; ++thread) {
    for (int k16 = 0; k16 < 4; ++k16) {
      for (int reg = 0; reg < 4; ++reg) {
        for (int half = 0; half < 2; ++half) {
          const Cell cell = accumulatorCell(thread, accumulatorOfOperand(k16, reg, half));
          const float value = p[static_cast<size_t>(cell.row * 64 + cell.column)];
          registers[static_cast<size_t>(((thread * 4 + k16) * 4 + reg) * 2 + half)] = value;
          const int lane = thread % 32;
          shared.store(kP + storeMatrixOffset(thread / 32, 8 * reg + lane / 4, k16) +
                           static_cast<uint32_t>(lane % 4 * 4 + half * 2),
                       toBf16(value));
        }
      }
    }
  }
  std::vector<float> fromRegisters(64 * 256, 0.0f), fromShared(64 * 256, 0.0f);
  for (uint32_t k16 = 0; k16 < 4; ++k16) {
    std::vector<float> operand(64 * 16);
    for (int thread = 0; thread < 128; ++thread) {
      for (int reg = 0; reg < 4; ++reg) {
        for (int half = 0; half < 2; ++half) {
          const Cell cell = operandCell(thread, reg, half);
          operand[static_cast<size_t>(cell.row * 16 + cell.column)] =
              registers[static_cast<size_t>(((thread * 4 + static_cast<int>(k16)) * 4 + reg) * 2 + half)];
        }
      }
    }
    const uint64_t dp = descriptorKMajor(kP, k16);
    const uint64_t dt = descriptorMnMajor(kT + 4 * kBoxBytes, k16, kBoxBytes);
    for (uint32_t row = 0; row < 64; ++row) {
      for (uint32_t k = 0; k < 16; ++k) {
        const float inShared = shared.load(dp, false, row, k);
        for (uint32_t column = 0; column < 256; ++column) {
          const float b = shared.load(dt, true, column, k);
          fromRegisters[row * 256 + column] += operand[row * 16 + k] * b;
          fromShared[row * 256 + column] += inShared * b;
        }
      }
    }
  }
  for (int row = 0; row < 64; ++row) {
    for (int column = 0; column < 256; ++column) {
      float expected = 0.0f;
      for (int k = 0; k < 64; ++k) expected += p[row * 64 + k] * t[k * kDim + 256 + column];
      ASSERT_FLOAT_EQ(fromRegisters[row * 256 + column], expected);
      ASSERT_EQ(fromRegisters[row * 256 + column], fromShared[row * 256 + column]);
    }
  }
}

}  // namespace
}  // namespace hyperarc::cuda::hopper
