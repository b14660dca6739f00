// The prefetcher's actions (hopper/protocol.h): a warp beside the producer's.
#pragma once

#include "hopper/protocol.h"
#include "kernels/wgmma/barrier.cuh"

namespace hyperarc::cuda::wgmma {

template <class S, class Pass, class Arguments>
class Prefetcher {
 public:
  HYPERARC_DEVICE Prefetcher(const Arguments& args, uint32_t shared) : args_(args), shared_(shared) {}

  HYPERARC_DEVICE void wait(int barrier, uint32_t parity) const { waitBarrier(barrierAt(barrier), parity); }
  HYPERARC_DEVICE void prefetch(int32_t group) const {
    Pass::prefetch(args_, (group * hopper::kCluster + static_cast<int32_t>(clusterRank())) * S::kRows, lane());
  }
  HYPERARC_DEVICE void arrive(int barrier) const {
    __syncwarp();
    if (lane() == 0) arriveBarrier(barrierAt(barrier));
  }

 private:
  HYPERARC_DEVICE static int lane() { return static_cast<int>(threadIdx.x % 32); }
  HYPERARC_DEVICE uint32_t barrierAt(int barrier) const {
    return shared_ + hopper::SharedMap<S>::kBarriers + static_cast<uint32_t>(barrier) * 8;
  }

  const Arguments& args_;
  uint32_t shared_;
};

}  // namespace hyperarc::cuda::wgmma
