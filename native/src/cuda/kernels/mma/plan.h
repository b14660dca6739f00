// How pass 1 shares the classes out among blocks: a function of shapes and of the device, never of timing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "margins/host_device.h"

namespace hyperarc::cuda::mma {

/// Tensor cores truncate as they accumulate, so long sums of one sign drift: a block adds its output to fp32 memory and
/// starts from zero at least this often.
inline constexpr int64_t kFlushClasses = 65536;
/// Bound of the partial sums that splits keep in memory (unless one split alone needs more).
inline constexpr int64_t kPartialBytes = int64_t{64} << 20;

/// Tiles [first, first + count) of a block.
struct TileRange {
  uint32_t first;
  uint32_t count;
};

struct SplitPlan {
  uint32_t rowBlocks;      // blocks of kRows samples
  uint32_t splits;         // ranges of classes
  uint32_t tiles;          // of kTile classes
  uint32_t tilesPerSplit;  // in a range; the last may have fewer
  int64_t partialRows;     // rowBlocks·kRows

  // Blocks of one range follow one another, so that they read its classes from the L2 cache together.
  HYPERARC_HD uint32_t blocks() const { return rowBlocks * splits; }
  HYPERARC_HD uint32_t rowBlockOf(uint32_t block) const { return block % rowBlocks; }
  HYPERARC_HD TileRange tilesOf(uint32_t block) const {
    const uint32_t first = block / rowBlocks * tilesPerSplit;
    return {first, tiles - first < tilesPerSplit ? tiles - first : tilesPerSplit};
  }
  /// First row of a block's partial sums.
  HYPERARC_HD int64_t partialRow(uint32_t block) const {
    return static_cast<int64_t>(block) * (partialRows / rowBlocks);
  }

  /// fp32 partial U [splits, partialRows, Dp] and l [splits, partialRows].
  int64_t bytes(int64_t dimPadded) const { return splits * partialRows * (dimPadded + 1) * int64_t{sizeof(float)}; }
};

/// Picks the number of splits that keeps the device's multiprocessors (one block each) evenly busy, counting what a
/// block costs beside its tiles.
inline SplitPlan planSplits(int64_t samples, int64_t classes, int rows, int tile, int dimPadded, int multiprocessors) {
  constexpr int64_t kBlockOverheadTiles = 10;  // loading the samples, flushing the sums
  const int64_t rowBlocks = std::max<int64_t>(1, (samples + rows - 1) / rows);
  const int64_t tiles = (classes + tile - 1) / tile;
  const int64_t device = std::max(1, multiprocessors);
  const int64_t affordable = kPartialBytes / (rowBlocks * rows * (dimPadded + 1) * int64_t{sizeof(float)});
  const int64_t most = std::max<int64_t>(1, std::min({tiles, affordable, 4 * device}));
  int64_t best = 1, bestCost = INT64_MAX;
  for (int64_t splits = 1; splits <= most; ++splits) {
    const int64_t waves = (rowBlocks * splits + device - 1) / device;
    const int64_t cost = waves * ((tiles + splits - 1) / splits + kBlockOverheadTiles);
    if (cost < bestCost) best = splits, bestCost = cost;
  }
  const int64_t tilesPerSplit = std::max<int64_t>(1, (tiles + best - 1) / best);
  SplitPlan plan;
  plan.rowBlocks = static_cast<uint32_t>(rowBlocks);
  plan.splits = static_cast<uint32_t>(std::max<int64_t>(1, (tiles + tilesPerSplit - 1) / tilesPerSplit));
  plan.tiles = static_cast<uint32_t>(tiles);
  plan.tilesPerSplit = static_cast<uint32_t>(tilesPerSplit);
  plan.partialRows = rowBlocks * rows;
  return plan;
}

}  // namespace hyperarc::cuda::mma
