// Kernels that give each row of centres a group of warps (finish_row.cuh): which group a length takes, and the grid. Up
// to 512 columns a warp does, eight to a block; longer rows take a whole block.
#pragma once

#include <type_traits>

#include "device/device.h"
#include "runtime/launch.h"

namespace hyperarc::cuda {

/// Quads of a row in one thread.
inline constexpr int kRowQuads = 4;

template <int kWarps>
struct RowLaunch {
  static constexpr int kRowsPerBlock = kWarps == 1 ? 8 : 1;
  static constexpr int kThreads = 32 * kWarps * kRowsPerBlock;

  static LaunchShape shape(int64_t rows) {
    return {dim3(static_cast<unsigned>((rows + kRowsPerBlock - 1) / kRowsPerBlock)), dim3(kThreads)};
  }
  /// The row of this thread's group, counted from the grid's first.
  static HYPERARC_DEVICE int64_t item() { return int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.x / (32 * kWarps); }
};

/// Calls launchWith(std::integral_constant<int, kWarps>) with the group for rows of `dim` columns, at most 4096.
template <typename LaunchWith>
void withRowWarps(int32_t dim, LaunchWith launchWith) {
  constexpr int32_t kColumnsPerWarp = 128 * kRowQuads;
  if (dim <= kColumnsPerWarp) return launchWith(std::integral_constant<int, 1>{});
  if (dim <= 2 * kColumnsPerWarp) return launchWith(std::integral_constant<int, 2>{});
  if (dim <= 4 * kColumnsPerWarp) return launchWith(std::integral_constant<int, 4>{});
  launchWith(std::integral_constant<int, 8>{});
}

}  // namespace hyperarc::cuda
