// What differs between the Hopper kernels of D = 512, 256 and 128: who owns which rows and columns, shared memory,
// registers.
#pragma once

#include <cstdint>

#include "layout.h"

namespace hyperarc::cuda::hopper {

/// One producer warpgroup and two consumer warpgroups.
inline constexpr int kWarpgroups = 3;
inline constexpr int kThreads = 128 * kWarpgroups;
inline constexpr int kConsumers = 2;
inline constexpr int kWarpsPerWarpgroup = 4;
/// CTAs that share each streamed tile by multicast.
inline constexpr int kCluster = 2;
/// Rows of a streamed tile.
inline constexpr int kTile = 64;

// Registers a thread (setmaxnreg): the kernel starts with 168 for all 384 threads and redistributes them.
inline constexpr int kRegistersAtLaunch = 168;
inline constexpr int kProducerRegisters = 40;
inline constexpr int kConsumerRegisters = 232;
static_assert(128 * (kProducerRegisters + kConsumers * kConsumerRegisters) <= 64512);
static_assert(kThreads * kRegistersAtLaunch <= 64512);
static_assert(kProducerRegisters % 8 == 0 && kConsumerRegisters % 8 == 0 && kRegistersAtLaunch % 8 == 0);

/// Floats per column of a tile that go with it: pass 1 needs 1/‖w‖; pass 2 the scale, the offset and the target's
/// position.
inline constexpr int kColumnArraysPass1 = 1;
inline constexpr int kColumnArraysPass2 = 3;

/// A CTA holds `kRows` stationary rows; its consumers keep 64 rows × kOutputColumns of the product in registers each.
/// D = 512: both consumers share 64 rows, each has half of the columns, and they take turns at the scores of a tile
/// ("seesaw"). Else: each consumer has 64 rows of its own and computes all of their scores.
template <int kDimPadded>
struct Shape {
  static_assert(kDimPadded == 128 || kDimPadded == 256 || kDimPadded == 512);
  static constexpr int kDim = kDimPadded;
  static constexpr bool kSeesaw = kDim == 512;
  static constexpr int kRows = kSeesaw ? 64 : 128;
  static constexpr int kOutputColumns = kDim == 128 ? 128 : 256;
  static constexpr int kBoxes = kDim / kBoxColumns;  // boxes side by side in a row
  static constexpr int kSlots = kSeesaw ? 2 : kDim == 256 ? 4 : 8;
  /// Parts of a slot that are filled and freed on their own: the column halves of the two consumers.
  static constexpr int kParts = kSeesaw ? 2 : 1;
  static constexpr int kBoxesPerPart = kBoxes / kParts;
  /// Pass 2 ends with rows of output in shared memory. Seesaw: all 64, where the tiles were (registers have no room for
  /// both output and the state of a row), so the last tiles are held until then. Else 8 of each consumer's 64 at a
  /// time.
  static constexpr bool kStagesInTiles = kSeesaw;
  static constexpr int kStageRows = kStagesInTiles ? 64 : 8;

  /// First row (in the CTA) and first column of a consumer's output.
  HYPERARC_HD static constexpr int firstRow(int consumer) { return kSeesaw ? 0 : 64 * consumer; }
  HYPERARC_HD static constexpr int firstColumn(int consumer) { return kSeesaw ? kOutputColumns * consumer : 0; }
};

/// Bytes of dynamic shared memory, by offset. Boxes first: they need 1024-byte alignment.
template <class S>
struct SharedMap {
  static constexpr uint32_t kRowsBytes = static_cast<uint32_t>(S::kRows) * S::kDim * 2;
  static constexpr uint32_t kSlotBytes = static_cast<uint32_t>(kTile) * S::kDim * 2;
  static constexpr uint32_t kPartBytes = kSlotBytes / S::kParts;
  static constexpr uint32_t kColumnsBytes = kTile * kColumnArraysPass2 * 4;

  static constexpr uint32_t kRows = 0;
  static constexpr uint32_t kTiles = kRows + kRowsBytes;
  /// Scores in flight between consumers (seesaw).
  static constexpr uint32_t kScores = kTiles + S::kSlots * kSlotBytes;
  static constexpr uint32_t kStageBytes = S::kStageRows * S::kDim * 4;  // of a group of 64 rows
  static constexpr uint32_t kStages = S::kStagesInTiles ? kTiles : kScores;
  static constexpr uint32_t kColumns = kScores + (S::kSeesaw ? 2 * kBoxBytes : 2 * kStageBytes);
  static constexpr uint32_t kRowSums = kColumns + S::kSlots * kColumnsBytes;  // [consumers, 64] pairs of floats
  static constexpr uint32_t kBarriers = kRowSums + kConsumers * 64 * 8;

  /// Box `box` (along D) of the 64 stationary rows of group `group`.
  HYPERARC_HD static constexpr uint32_t rowsBox(int group, int box) {
    return kRows + static_cast<uint32_t>(group * S::kBoxes + box) * kBoxBytes;
  }
  HYPERARC_HD static constexpr uint32_t tileBox(int slot, int box) {
    return kTiles + static_cast<uint32_t>(slot) * kSlotBytes + static_cast<uint32_t>(box) * kBoxBytes;
  }
  HYPERARC_HD static constexpr uint32_t scores(int slot) { return kScores + static_cast<uint32_t>(slot) * kBoxBytes; }
  HYPERARC_HD static constexpr uint32_t stage(int group) {
    return kStages + static_cast<uint32_t>(group) * kStageBytes;
  }
  HYPERARC_HD static constexpr uint32_t columns(int slot) {
    return kColumns + static_cast<uint32_t>(slot) * kColumnsBytes;
  }
};

/// Bytes to ask for at launch.
template <class S>
HYPERARC_HD constexpr uint32_t sharedBytes(int barriers) {
  return SharedMap<S>::kBarriers + static_cast<uint32_t>(barriers) * 8;
}

/// What a block may have on compute capability 9.0.
inline constexpr uint32_t kSharedLimit = 227 * 1024;

}  // namespace hyperarc::cuda::hopper
