// Who works on what: pairs of row blocks (one pair a cluster) times ranges of streamed tiles, fixed by the shapes and
// the number of clusters alone, so that the same device always adds in the same order.
#pragma once

#include <cstdint>

#include "margins/host_device.h"

namespace hyperarc::cuda::hopper {

/// Pass 1 flushes the accumulators to fp32 memory after this many tiles of 64: sums in tensor cores lose bits when they
/// grow long.
inline constexpr int32_t kTilesPerSegment = 1024;

/// One uninterrupted run of a cluster over tiles.
struct Segment {
  int32_t group;  // pair of row blocks
  int32_t split;  // which partial sum it goes to
  int32_t firstTile;
  int32_t tiles;   // 0: nothing left
  bool continues;  // adds to what an earlier segment of the same cluster left in the partial sum
};

/// Numbers fit 32 bits: positions do, and there are 64 a tile and at least 128 a group.
struct Schedule {
  int32_t groups;    // row blocks / cluster size
  int32_t tiles;     // streamed tiles, all of them for each group
  int32_t splits;    // ranges of tiles, as equal as can be
  int32_t clusters;  // clusters of the grid
  int32_t longest;   // tiles of a segment, at most

  HYPERARC_HD constexpr int32_t items() const { return groups * splits; }
  HYPERARC_HD constexpr int32_t firstTileOf(int32_t split) const {
    const int32_t longer = tiles % splits;  // the first ones have a tile more
    return tiles / splits * split + (split < longer ? split : longer);
  }
};

/// A cluster's walk over its segments. Neighbouring clusters have the same tiles and different rows: they share them in
/// L2.
class SegmentWalk {
 public:
  /// The schedule must outlive the walk.
  HYPERARC_HD constexpr SegmentWalk(const Schedule& schedule, int32_t cluster) : schedule_(schedule), item_(cluster) {}

  /// The next segment; one with no tiles when the work is done.
  HYPERARC_HD constexpr Segment next() {
    while (item_ < schedule_.items()) {
      const int32_t split = item_ / schedule_.groups;
      const int32_t first = schedule_.firstTileOf(split) + done_;
      const int32_t left = schedule_.firstTileOf(split + 1) - first;
      if (left > 0) {
        const int32_t count = left < schedule_.longest ? left : schedule_.longest;
        const Segment segment = {item_ % schedule_.groups, split, first, count, done_ > 0};
        done_ += count;
        return segment;
      }
      item_ += schedule_.clusters;
      done_ = 0;
    }
    return {0, 0, 0, 0, false};
  }

 private:
  const Schedule& schedule_;
  int32_t item_;
  int32_t done_ = 0;  // tiles of the item that earlier segments took
};

/// Pass 1: rows are few and tiles many, so ranges of tiles keep all clusters busy. Of up to `maxRounds` rounds of
/// clusters the number of splits that leaves the fewest idle; ties to the fewest partial sums.
HYPERARC_HD constexpr Schedule splitSchedule(int32_t groups, int32_t tiles, int32_t clusters) {
  Schedule best = {groups, tiles, 1, clusters, kTilesPerSegment};
  // The cost of a schedule: tiles of the longest cluster, in units that compare exactly.
  int64_t bestCost = -1;
  for (int32_t rounds = 1; rounds <= 4; ++rounds) {
    int32_t splits = rounds * clusters / groups;
    if (splits > tiles) splits = tiles;
    if (splits < 1) splits = 1;
    const int64_t busiest = (int64_t{groups} * splits + clusters - 1) / clusters;
    const int64_t cost = busiest * ((tiles + splits - 1) / splits);
    if (bestCost < 0 || cost < bestCost) {
      bestCost = cost;
      best.splits = splits;
    }
  }
  if (best.items() < best.clusters) best.clusters = best.items();
  return best;
}

/// Pass 2: every group streams all tiles; a row is finished by one CTA, once. So a group is one segment, however many
/// tiles there are.
HYPERARC_HD constexpr Schedule wholeSchedule(int32_t groups, int32_t tiles, int32_t clusters) {
  return {groups, tiles, 1, groups < clusters ? groups : clusters, tiles};
}

}  // namespace hyperarc::cuda::hopper
