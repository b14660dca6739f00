// Shapes and shared-memory layouts of the tensor-core passes, as constexpr functions that host tests check
// exhaustively. docs/kernels/mma.md has the reasons and the budgets.
#pragma once

#include <cstdint>

#include "margins/host_device.h"

namespace hyperarc::cuda::mma {

inline constexpr float kLog2e = 1.44269504f;
inline constexpr int kWarps = 8;
inline constexpr int kThreads = 32 * kWarps;

/// A block keeps kRows operand rows of kDim bf16 numbers in shared memory, their kRows × kDim fp32 output in registers,
/// and streams tiles of kTile rows. `Held` depth steps of the stationary operand stay in registers.
template <int Rows, int Tile, int Dim, int Held>
struct TileShape {
  static constexpr int kRows = Rows;
  static constexpr int kTile = Tile;
  static constexpr int kDim = Dim;
  static constexpr int kHeldSteps = Held;

  // First product, S = A·Tᵀ: a warp takes 32 rows, the whole tile, and kDepth of the kDim columns.
  static constexpr int kRowGroups = kRows / 32;
  static constexpr int kDepthGroups = kWarps / kRowGroups;
  static constexpr int kDepth = kDim / kDepthGroups;
  static constexpr int kDepthSteps = kDepth / 16;
  static constexpr int kClassTiles = kTile / 8;
  // Its fragment is 2 × kClassTiles accumulators of 16 × 8; the pairs of neighbouring columns are shared out among the
  // kDepthGroups warps, each of which sums its own pairs over all depths.
  static constexpr int kPairs = 4 * kClassTiles;
  static constexpr int kOwnPairs = kPairs / kDepthGroups;

  // Second product, O += P·T: a warp takes all rows and kColumns of the kDim columns.
  static constexpr int kRowTiles = kRows / 16;
  static constexpr int kColumns = kDim / kWarps;
  static constexpr int kColumnTiles = kColumns / 8;

  static constexpr int kRowBytes = 2 * kDim;
  static constexpr int kStationaryBytes = kRows * kRowBytes;
  static constexpr int kTileBytes = kTile * kRowBytes;
  static constexpr int kExchangeBytes = kRowGroups * kDepthGroups * (kDepthGroups - 1) * kOwnPairs * 32 * 8;
  static constexpr int kRowTermBytes = 16 * kRows;

  // Offsets into the block's shared memory.
  static constexpr int kStationary = 0;
  static constexpr int kTiles = kStationary + kStationaryBytes;
  static constexpr int kExchange = kTiles + 2 * kTileBytes;
  static constexpr int kWeights = kExchange + kExchangeBytes;
  static constexpr int kRowTerms = kWeights + 2 * kRows * kTile;
  static constexpr int kSharedBytes = kRowTerms + kRowTermBytes;

  static_assert(kTile == 16 || kTile == 32);
  static_assert(kRows % 32 == 0 && kWarps % kRowGroups == 0 && kDim % (16 * kWarps) == 0);
  // Exclusive ors reach every tile from the first, and every pair of a warp from its own.
  static_assert(kTiles % kTileBytes == 0 && (kOwnPairs & (kOwnPairs - 1)) == 0);
  static_assert(kDepthGroups > 1 && kOwnPairs >= 1 && kOwnPairs <= 4 && kHeldSteps <= kDepthSteps);
  // The finished output is staged where the operands were; row sums where partial products were.
  static_assert(kRows * kDim * 4 <= kExchange && kClassTiles * kRows * 4 <= kExchangeBytes);
};

using Dim512 = TileShape<64, 32, 512, 4>;
using Dim512Small = TileShape<32, 16, 512, 4>;  // devices with less than 164 KB of shared memory
using Dim256 = TileShape<64, 32, 256, 4>;
using Dim128 = TileShape<64, 32, 128, 2>;

/// Byte offset of 16-byte chunk `chunk` of row `row` of an operand. Any 8 consecutive rows of one chunk lie in
/// different banks, as do the chunks of one row: ldmatrix (plain and transposed) and the copies in have no bank
/// conflict.
template <typename Shape>
HYPERARC_HD constexpr int operandOffset(int row, int chunk) {
  return row * Shape::kRowBytes + ((chunk ^ (row & 7)) << 4);
}

/// The same for P, whose rows are shorter than the 128 bytes of all banks.
template <typename Shape>
HYPERARC_HD constexpr int weightOffset(int row, int chunk) {
  constexpr int kChunks = Shape::kTile / 8;
  return row * 2 * Shape::kTile + ((chunk ^ ((row / (8 / kChunks)) & (kChunks - 1))) << 4);
}

/// Index of an fp32 element of the staged output. Accumulator fragments (8 rows × 8 columns a warp, 8 bytes a lane) go
/// in, and float4s of a row come out, without bank conflicts.
template <typename Shape>
HYPERARC_HD constexpr int stagedIndex(int row, int column) {
  return row * Shape::kDim + (column ^ ((row & 7) << 3));
}

/// A pair of neighbouring columns of a 32 × kTile score fragment: accumulator (rowTile, classTile), rows lane/4 or
/// lane/4 + 8.
struct ScorePair {
  int classTile, rowTile, half;
};
HYPERARC_HD constexpr ScorePair scorePair(int pair) { return {pair >> 2, (pair >> 1) & 1, pair & 1}; }

/// Row (of the 32) and first column (of the tile) of a pair in a lane.
HYPERARC_HD constexpr int pairRow(int pair, int lane) {
  return scorePair(pair).rowTile * 16 + scorePair(pair).half * 8 + lane / 4;
}
HYPERARC_HD constexpr int pairColumn(int pair, int lane) { return scorePair(pair).classTile * 8 + lane % 4 * 2; }

/// Slot (32 lanes × 8 bytes) in which the warp of depth group g ^ distance leaves pair `own` for warp `receiver` of
/// depth group g.
template <typename Shape>
HYPERARC_HD constexpr int exchangeSlot(int receiver, int distance, int own) {
  return (receiver * (Shape::kDepthGroups - 1) + distance - 1) * Shape::kOwnPairs + own;
}

}  // namespace hyperarc::cuda::mma
