// How pass 1 shares the classes out among blocks: a function of shapes and of the device, never of timing.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hyperarc::cuda::mma {

/// Tensor cores truncate as they accumulate, so long sums of one sign drift: a block adds its output to fp32 memory and
/// starts from zero at least this often.
inline constexpr int64_t kFlushClasses = 65536;
/// Bound of the partial sums that splits keep in memory (unless one split alone needs more).
inline constexpr int64_t kPartialBytes = int64_t{64} << 20;

struct SplitPlan {
  int64_t rowBlocks;      // blocks of kRows samples
  int64_t splits;         // ranges of classes
  int64_t tilesPerSplit;  // tiles of kTile classes in a range; the last may have fewer
  int64_t partialRows;    // rowBlocks·kRows

  /// fp32 partial U [splits, partialRows, Dp] and l [splits, partialRows].
  int64_t bytes(int64_t dimPadded) const { return splits * partialRows * (dimPadded + 1) * int64_t{sizeof(float)}; }
};

/// Picks the number of splits that keeps the device's multiprocessors (one block each) evenly busy, counting what a
/// block costs beside its tiles.
inline SplitPlan planSplits(int64_t samples, int64_t classes, int rows, int tile, int dimPadded, int multiprocessors) {
  constexpr int64_t kBlockOverheadTiles = 10;  // loading the samples, flushing the sums
  SplitPlan plan;
  plan.rowBlocks = std::max<int64_t>(1, (samples + rows - 1) / rows);
  plan.partialRows = plan.rowBlocks * rows;
  const int64_t tiles = std::max<int64_t>(1, (classes + tile - 1) / tile);
  const int64_t device = std::max(1, multiprocessors);
  const int64_t affordable = kPartialBytes / (plan.partialRows * (dimPadded + 1) * int64_t{sizeof(float)});
  const int64_t most = std::max<int64_t>(1, std::min({tiles, affordable, 4 * device}));
  int64_t best = 1, bestCost = INT64_MAX;
  for (int64_t splits = 1; splits <= most; ++splits) {
    const int64_t waves = (plan.rowBlocks * splits + device - 1) / device;
    const int64_t cost = waves * ((tiles + splits - 1) / splits + kBlockOverheadTiles);
    if (cost < bestCost) best = splits, bestCost = cost;
  }
  plan.tilesPerSplit = (tiles + best - 1) / best;
  plan.splits = (tiles + plan.tilesPerSplit - 1) / plan.tilesPerSplit;
  return plan;
}

}  // namespace hyperarc::cuda::mma
