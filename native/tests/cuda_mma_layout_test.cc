// Shared-memory layouts of the tensor-core kernels, and how they share out their work: every case, no device needed.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/mma/plan.h"
#include "kernels/mma/shape.h"

namespace hyperarc::test {
namespace {

constexpr int kA100Shared = 166912, kAdaShared = 101376;

template <typename Shape>
class MmaLayout : public testing::Test {};
using Shapes = testing::Types<cuda::mma::Dim512, cuda::mma::Dim512Small, cuda::mma::Dim256, cuda::mma::Dim128>;
TYPED_TEST_SUITE(MmaLayout, Shapes);

/// A group of accesses of `bytes` each, 128 bytes together, has no bank conflict when it covers every bank once.
void expectNoConflict(const std::vector<int>& offsets, int bytes) {
  ASSERT_EQ(offsets.size() * bytes, 128u);
  std::set<int> banks;
  for (int offset : offsets) {
    ASSERT_EQ(offset % bytes, 0);
    banks.insert(offset / bytes % (128 / bytes));
  }
  EXPECT_EQ(banks.size(), offsets.size());
}

TYPED_TEST(MmaLayout, OperandsHaveNoBankConflicts) {
  constexpr int kChunks = TypeParam::kDim / 8;
  std::set<int> all;
  for (int row = 0; row < TypeParam::kRows; ++row) {
    for (int chunk = 0; chunk < kChunks; ++chunk) all.insert(cuda::mma::operandOffset<TypeParam>(row, chunk));
    for (int chunk = 0; chunk < kChunks; chunk += 8) {
      std::vector<int> copied;
      for (int c = 0; c < 8; ++c) copied.push_back(cuda::mma::operandOffset<TypeParam>(row, chunk + c));
      expectNoConflict(copied, 16);
    }
  }
  EXPECT_EQ(static_cast<int>(all.size()), TypeParam::kRows * kChunks) << "two chunks in one place";
  EXPECT_EQ(*all.rbegin(), TypeParam::kStationaryBytes - 16);
  for (int row = 0; row < TypeParam::kRows; row += 8) {
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      std::vector<int> matrix;
      for (int r = 0; r < 8; ++r) matrix.push_back(cuda::mma::operandOffset<TypeParam>(row + r, chunk));
      expectNoConflict(matrix, 16);
    }
  }
}

// The kernel walks depth steps by an exclusive or with multiples of 32 bytes.
TYPED_TEST(MmaLayout, DepthStepsAreAnExclusiveOrAway) {
  using cuda::mma::operandOffset;
  for (int group = 0; group < TypeParam::kDepthGroups; ++group) {
    for (int step = 0; step < TypeParam::kDepthSteps; ++step) {
      for (int row = 0; row < 16; ++row) {
        for (int half = 0; half < 2; ++half) {
          const int chunk = group * (TypeParam::kDepth / 8) + half;
          EXPECT_EQ(operandOffset<TypeParam>(row, chunk + 2 * step),
                    operandOffset<TypeParam>(row, chunk) ^ (step << 5));
        }
      }
    }
  }
}

TYPED_TEST(MmaLayout, WeightsHaveNoBankConflicts) {
  constexpr int kChunks = TypeParam::kTile / 8;
  std::set<int> all;
  for (int row = 0; row < TypeParam::kRows; row += 8) {
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      std::vector<int> matrix, written;
      for (int r = 0; r < 8; ++r) {
        const int offset = cuda::mma::weightOffset<TypeParam>(row + r, chunk);
        all.insert(offset);
        matrix.push_back(offset);
        for (int word = 0; word < 4; ++word) written.push_back(offset + 4 * word);
      }
      expectNoConflict(matrix, 16);
      expectNoConflict(written, 4);
    }
  }
  EXPECT_EQ(static_cast<int>(all.size()), TypeParam::kRows * kChunks);
  EXPECT_EQ(*all.rbegin(), 2 * TypeParam::kRows * TypeParam::kTile - 16);
}

TYPED_TEST(MmaLayout, StagedOutputHasNoBankConflicts) {
  using cuda::mma::stagedIndex;
  std::set<int> all;
  for (int row = 0; row < TypeParam::kRows; ++row) {
    for (int column = 0; column < TypeParam::kDim; ++column) {
      all.insert(stagedIndex<TypeParam>(row, column));
      // float4s stay whole.
      ASSERT_EQ(stagedIndex<TypeParam>(row, column), stagedIndex<TypeParam>(row, column & ~3) + column % 4);
    }
    for (int column = 0; column < TypeParam::kDim; column += 32) {
      std::vector<int> read;
      for (int four = 0; four < 8; ++four) read.push_back(4 * stagedIndex<TypeParam>(row, column + 4 * four));
      expectNoConflict(read, 16);
    }
  }
  EXPECT_EQ(static_cast<int>(all.size()), TypeParam::kRows * TypeParam::kDim);
  // Half a warp writes 8-byte pairs of four rows.
  for (int row = 0; row < TypeParam::kRows; row += 4) {
    for (int column = 0; column < TypeParam::kDim; column += 8) {
      std::vector<int> written;
      for (int lane = 0; lane < 16; ++lane) {
        written.push_back(4 * stagedIndex<TypeParam>(row + lane / 4, column + lane % 4 * 2));
      }
      expectNoConflict(written, 8);
    }
  }
}

TYPED_TEST(MmaLayout, PairsCoverTheScoresOnce) {
  std::set<std::pair<int, int>> cells;
  for (int group = 0; group < TypeParam::kDepthGroups; ++group) {
    for (int q = 0; q < TypeParam::kOwnPairs; ++q) {
      for (int lane = 0; lane < 32; ++lane) {
        const int pair = group * TypeParam::kOwnPairs + q;
        for (int e = 0; e < 2; ++e)
          cells.insert({cuda::mma::pairRow(pair, lane), cuda::mma::pairColumn(pair, lane) + e});
      }
    }
  }
  EXPECT_EQ(static_cast<int>(cells.size()), 32 * TypeParam::kTile);
  EXPECT_EQ(*cells.rbegin(), std::make_pair(31, TypeParam::kTile - 1));
}

TYPED_TEST(MmaLayout, ExchangeSlotsAreDistinctAndDense) {
  std::set<int> slots;
  for (int receiver = 0; receiver < cuda::mma::kWarps; ++receiver) {
    for (int distance = 1; distance < TypeParam::kDepthGroups; ++distance) {
      for (int q = 0; q < TypeParam::kOwnPairs; ++q) {
        EXPECT_TRUE(slots.insert(cuda::mma::exchangeSlot<TypeParam>(receiver, distance, q)).second);
      }
    }
  }
  EXPECT_EQ(static_cast<int>(slots.size()) * 32 * 8, TypeParam::kExchangeBytes);
  EXPECT_EQ(*slots.begin(), 0);
  EXPECT_EQ(*slots.rbegin() + 1, static_cast<int>(slots.size()));
}

// Loading rows with a depth group's bits flipped puts pair p ^ group·kOwnPairs where pair p would be.
TYPED_TEST(MmaLayout, FlippedRowsGiveFlippedPairs) {
  for (int group = 0; group < TypeParam::kDepthGroups; ++group) {
    const int own = group * TypeParam::kOwnPairs;
    for (int pair = 0; pair < TypeParam::kPairs; ++pair) {
      for (int lane = 0; lane < 32; ++lane) {
        EXPECT_EQ(cuda::mma::pairRow(pair ^ own, lane), cuda::mma::pairRow(pair, lane) ^ cuda::mma::pairRow(own, 0));
        EXPECT_EQ(cuda::mma::pairColumn(pair ^ own, lane),
                  cuda::mma::pairColumn(pair, lane) ^ cuda::mma::pairColumn(own, 0));
      }
    }
  }
}

TYPED_TEST(MmaLayout, FitsItsDevices) {
  constexpr bool kIsSmall = std::is_same_v<TypeParam, cuda::mma::Dim512Small> || TypeParam::kDim < 512;
  EXPECT_LE(TypeParam::kSharedBytes, kIsSmall ? kAdaShared : kA100Shared);
}

// ---- The split of classes among blocks.

TEST(MmaPlan, CoversEveryTileOnceWithinItsMemory) {
  for (int64_t samples : {1, 64, 65, 1024, 5000, 70000}) {
    for (int64_t classes :
         {int64_t{0}, int64_t{1}, int64_t{33}, int64_t{10000}, int64_t{1000000}, int64_t{2147483647}}) {
      for (int multiprocessors : {1, 108, 132}) {
        const cuda::mma::SplitPlan plan = cuda::mma::planSplits(samples, classes, 64, 32, 512, multiprocessors);
        ASSERT_GE(plan.splits, 1u);
        ASSERT_EQ(plan.rowBlocks, (samples + 63) / 64);
        ASSERT_TRUE(plan.splits == 1 || plan.bytes(512) <= cuda::mma::kPartialBytes);
        int64_t next = 0;
        for (uint32_t split = 0; split < plan.splits; ++split) {
          const cuda::mma::TileRange range = plan.tilesOf(split * plan.rowBlocks);
          ASSERT_EQ(range.first, next);
          ASSERT_TRUE(range.count > 0 || classes == 0);
          next += range.count;
          ASSERT_EQ(plan.partialRow(split * plan.rowBlocks), split * plan.partialRows);
        }
        ASSERT_EQ(next, (classes + 31) / 32);
      }
    }
  }
}

TEST(MmaPlan, FillsTheDevice) {
  for (int multiprocessors : {108, 132, 142}) {
    const cuda::mma::SplitPlan plan = cuda::mma::planSplits(1024, 1000000, 64, 32, 512, multiprocessors);
    const double waves = std::ceil(static_cast<double>(plan.blocks()) / multiprocessors);
    EXPECT_GT(16.0 * 31250 / (waves * plan.tilesPerSplit * multiprocessors), 0.93);
  }
}

}  // namespace
}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
