// What blocks of a cluster share besides memory: mbarriers, numbered barriers, bulk copies, and the products that their
// warps have under way.
#pragma once

#include <cstdint>

namespace hyperarc::emulator {

/// Forgets everything of the cluster before; called when a block or cluster of so many threads starts.
void startCluster(uint32_t threads);
/// The same for wgmma and stmatrix (warpgroup.cc).
void startWarpgroups(uint32_t threads);

}  // namespace hyperarc::emulator
