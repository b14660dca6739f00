// Who works on what in the Hopper kernels, and where shared memory goes.
#include <gtest/gtest.h>

#include <vector>

#include "cuda/hopper/protocol.h"

namespace hyperarc::cuda::hopper {
namespace {

/// Walks all clusters and counts how often each (group, tile) is met; checks that each partial sum has one owner, in
/// order.
void expectEachTileOnce(const Schedule& schedule) {
  ASSERT_GE(schedule.clusters, 1);
  ASSERT_GE(schedule.splits, 1);
  std::vector<int> met(static_cast<size_t>(schedule.groups) * static_cast<size_t>(schedule.tiles), 0);
  std::vector<int32_t> reached(static_cast<size_t>(schedule.items()), -1),
      owner(static_cast<size_t>(schedule.items()), -1);
  for (int32_t cluster = 0; cluster < schedule.clusters; ++cluster) {
    SegmentWalk walk(schedule, cluster);
    for (Segment s = walk.next(); s.tiles > 0; s = walk.next()) {
      ASSERT_LE(s.tiles, schedule.longest);
      ASSERT_TRUE(s.group >= 0 && s.group < schedule.groups && s.split >= 0 && s.split < schedule.splits);
      const size_t item = static_cast<size_t>(s.split * schedule.groups + s.group);
      ASSERT_TRUE(owner[item] < 0 || owner[item] == cluster);
      owner[item] = cluster;
      ASSERT_EQ(s.continues, reached[item] >= 0);
      ASSERT_EQ(s.firstTile, s.continues ? reached[item] : schedule.firstTileOf(s.split));
      reached[item] = s.firstTile + s.tiles;
      for (int32_t t = s.firstTile; t < s.firstTile + s.tiles; ++t)
        ++met.at(static_cast<size_t>(s.group) * static_cast<size_t>(schedule.tiles) + static_cast<size_t>(t));
    }
    EXPECT_EQ(walk.next().tiles, 0) << "stays at its end";
  }
  for (const int count : met) ASSERT_EQ(count, 1);
  for (const int32_t end : reached) ASSERT_GT(end, 0) << "every partial sum is written";
}

TEST(HopperSchedule, SplitsMeetEachTileOnce) {
  for (const int32_t clusters : {1, 7, 57, 66}) {
    for (const int32_t groups : {1, 2, 4, 8, 9, 33, 67}) {
      for (const int32_t tiles : {1, 2, 65, 1023, 1024, 1025, 2500, 9000}) {
        const Schedule schedule = splitSchedule(groups, tiles, clusters);
        SCOPED_TRACE(testing::Message() << groups << " groups, " << tiles << " tiles, " << clusters << " clusters");
        expectEachTileOnce(schedule);
        if (testing::Test::HasFatalFailure()) return;
        EXPECT_LE(schedule.clusters, clusters);
        // Partial sums stay few: at most four rounds of clusters, or one for each group.
        EXPECT_LE(schedule.items(), std::max(4 * clusters, groups));
      }
    }
  }
}

TEST(HopperSchedule, WholeGroupsMeetEachTileOnce) {
  for (const int32_t groups : {1, 65, 66, 67, 200}) {
    for (const int32_t tiles : {1, 2, 3, 16, 1025}) expectEachTileOnce(wholeSchedule(groups, tiles, 66));
  }
}

// The end of a segment of pass 2 updates its rows.
TEST(HopperSchedule, WholeGroupsAreOneSegment) {
  for (const int32_t tiles : {2, 1024, 1026, 4096}) {
    const Schedule schedule = wholeSchedule(3, tiles, 2);
    for (int32_t cluster = 0; cluster < schedule.clusters; ++cluster) {
      SegmentWalk walk(schedule, cluster);
      for (int32_t group = cluster; group < 3; group += schedule.clusters) {
        const Segment s = walk.next();
        EXPECT_EQ(s.group, group);
        EXPECT_EQ(s.tiles, tiles);
        EXPECT_FALSE(s.continues);
      }
      EXPECT_EQ(walk.next().tiles, 0);
    }
  }
}

TEST(HopperSchedule, RangesOfPassOneAreFlushed) {
  const Schedule schedule = splitSchedule(1, 2500, 1);
  SegmentWalk walk(schedule, 0);
  EXPECT_EQ(walk.next().tiles, kTilesPerSegment);
  EXPECT_EQ(walk.next().tiles, kTilesPerSegment);
  const Segment last = walk.next();
  EXPECT_EQ(last.tiles, 2500 - 2 * kTilesPerSegment);
  EXPECT_TRUE(last.continues);
}

TEST(HopperSchedule, HoldsTheLargestProblems) {
  // 2³¹ − 64 classes, in pass 1 and in pass 2 (D = 512: 128 rows a group).
  const Schedule wide = splitSchedule(8, (int32_t{1} << 25) - 1, 66);
  int64_t tiles = 0;
  for (int32_t split = 0; split < wide.splits; ++split) {
    EXPECT_GT(wide.firstTileOf(split + 1), wide.firstTileOf(split));
    tiles += wide.firstTileOf(split + 1) - wide.firstTileOf(split);
  }
  EXPECT_EQ(tiles, (int64_t{1} << 25) - 1);
  const Schedule tall = wholeSchedule(1 << 24, 16, 66);
  SegmentWalk walk(tall, 65);
  int64_t segments = 0;
  for (Segment s = walk.next(); s.tiles > 0; s = walk.next()) ++segments;
  EXPECT_EQ(segments, ((1 << 24) - 65 + 65) / 66);
}

TEST(HopperSchedule, KeepsClustersBusy) {
  // C = 1M: 15625 tiles; 66 clusters of an H200; groups of 128 samples.
  for (const int32_t groups : {1, 2, 4, 6, 8, 12, 16, 32}) {
    const Schedule schedule = splitSchedule(groups, 15625, 66);
    std::vector<int64_t> load(66, 0);
    for (int32_t item = 0; item < schedule.items(); ++item) {
      const int32_t split = item / schedule.groups;
      load[static_cast<size_t>(item % schedule.clusters)] +=
          schedule.firstTileOf(split + 1) - schedule.firstTileOf(split);
    }
    int64_t worst = 0, total = 0;
    for (const int64_t l : load) {
      worst = std::max(worst, l);
      total += l;
    }
    EXPECT_GE(static_cast<double>(total) / (66.0 * static_cast<double>(worst)), 0.94) << groups;
  }
}

template <class S>
void expectMapFits() {
  using M = SharedMap<S>;
  EXPECT_LE(sharedBytes<S>(Barriers<S>::kCount), kSharedLimit);
  // Regions follow each other without overlap; boxes are aligned to the swizzle pattern.
  EXPECT_EQ(M::rowsBox(S::kRows / 64 - 1, S::kBoxes - 1) + kBoxBytes, M::tileBox(0, 0));
  EXPECT_EQ(M::tileBox(S::kSlots - 1, S::kBoxes - 1) + kBoxBytes, M::kScores);
  if (S::kStagesInTiles) {
    EXPECT_LE(M::stage(S::kRows / 64 - 1) + M::kStageBytes, M::kScores);
    EXPECT_EQ(M::stage(0), M::tileBox(0, 0));
    EXPECT_EQ(M::scores(1) + kBoxBytes, M::columns(0));
  } else {
    EXPECT_EQ(M::stage(S::kRows / 64 - 1) + M::kStageBytes, M::columns(0));
  }
  EXPECT_EQ(M::columns(S::kSlots - 1) + M::kColumnsBytes, M::kRowSums);
  EXPECT_EQ(M::kRowSums + 2 * 64 * 8, M::kBarriers);
  if (S::kSeesaw) {
    EXPECT_LE(M::scores(1) + kBoxBytes, M::columns(0));
    EXPECT_EQ(M::scores(0) % kSwizzleBytes, 0u);
  }
  EXPECT_EQ(M::rowsBox(0, 0) % kSwizzleBytes, 0u);
  EXPECT_EQ(M::tileBox(0, 0) % kSwizzleBytes, 0u);
  EXPECT_EQ(M::columns(0) % 128, 0u) << "TMA writes to multiples of 128 bytes";
  EXPECT_EQ(M::kColumnsBytes % 128, 0u);
  EXPECT_EQ(M::kBarriers % 8, 0u);
  EXPECT_EQ(M::kRowsBytes, static_cast<uint32_t>(S::kRows / 64 * S::kBoxes) * kBoxBytes);
  // Boxes of a part are next to each other, half of them from each CTA; together they are its bytes.
  uint32_t bytes = 0;
  for (int slot = 0; slot < S::kSlots; ++slot) {
    int withColumns = 0;
    for (int part = 0; part < S::kParts; ++part) {
      int own = 0;
      for (int box = 0; box < S::kBoxesPerPart; ++box) own += boxOwner(part * S::kBoxesPerPart + box) == 0;
      EXPECT_EQ(2 * own, S::kBoxesPerPart);
      withColumns += holdsColumns<S>(slot, part);
      EXPECT_EQ(partBytes<S>(slot, part, 256),
                S::kBoxesPerPart * kBoxBytes + (holdsColumns<S>(slot, part) ? 256u : 0u));
      bytes += S::kBoxesPerPart * kBoxBytes;
    }
    EXPECT_EQ(withColumns, 1);
  }
  EXPECT_EQ(bytes, S::kSlots * M::kSlotBytes);
  // Output columns of both consumers cover D once for each row.
  EXPECT_EQ(S::kOutputColumns * kConsumers * 64, S::kRows * S::kDim);
}

TEST(HopperShape, SharedMemoryMapsFit) {
  expectMapFits<Shape<512>>();
  expectMapFits<Shape<256>>();
  expectMapFits<Shape<128>>();
}

TEST(HopperShape, BarriersHaveOneIndexEach) {
  using B = Barriers<Shape<512>>;
  std::vector<int> met(B::kCount, 0);
  ++met[B::kRowsFull];
  ++met[B::kRowsEmpty];
  for (int slot = 0; slot < 2; ++slot) {
    for (int part = 0; part < 2; ++part) {
      ++met[static_cast<size_t>(B::tileFull(slot, part))];
      ++met[static_cast<size_t>(B::tileEmpty(slot, part))];
      EXPECT_EQ(B::arrivals(B::tileFull(slot, part)), 1);
      EXPECT_EQ(B::arrivals(B::tileEmpty(slot, part)), 8) << "four warps of one consumer in both CTAs";
    }
    ++met[static_cast<size_t>(B::scoresFull(slot))];
    EXPECT_EQ(B::arrivals(B::scoresFull(slot)), 4);
  }
  for (const int count : met) EXPECT_EQ(count, 1);
  EXPECT_EQ(B::arrivals(B::kRowsEmpty), 9) << "eight warps of consumers and the prefetcher";
  EXPECT_EQ(Barriers<Shape<128>>::arrivals(Barriers<Shape<128>>::tileEmpty(7, 0)), 16);
  EXPECT_EQ(Barriers<Shape<128>>::kCount, 2 + 16);
}

}  // namespace
}  // namespace hyperarc::cuda::hopper
