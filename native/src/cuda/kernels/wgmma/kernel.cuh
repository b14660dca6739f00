// The kernel of both passes: a cluster of two CTAs, each with two consumer warpgroups and one of which two warps are
// producer and prefetcher, walks its segments.
#pragma once

#include "kernels/wgmma/consumer.cuh"
#include "kernels/wgmma/prefetcher.cuh"
#include "kernels/wgmma/producer.cuh"

namespace hyperarc::cuda::wgmma {

template <class S, class Pass, class Arguments>
HYPERARC_DEVICE void streamSegments(const Maps& maps, const Arguments& args) {
  using B = hopper::Barriers<S>;
  using Map = hopper::SharedMap<S>;
  static_assert(hopper::sharedBytes<S>(B::kCount) <= hopper::kSharedLimit);
  const uint32_t shared = sharedAddress(sharedMemory());
  if (shared % hopper::kSwizzleBytes != 0) __trap();  // boxes would be swizzled otherwise than TMA and wgmma think
  // The same in all lanes, and known to be.
  const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0);
  const int warpgroup = warp / hopper::kWarpsPerWarpgroup;
  if (threadIdx.x == 0) {
    for (int barrier = 0; barrier < B::kCount; ++barrier) {
      initBarrier(shared + Map::kBarriers + static_cast<uint32_t>(barrier) * 8, B::arrivals(barrier));
    }
    fenceBarrierInit();
  }
  joinCluster();  // no CTA may use its peer's barriers before they are there
  hopper::SegmentWalk walk(args.schedule, static_cast<int32_t>(blockIdx.x) / hopper::kCluster);
  hopper::Progress progress;
  if (warpgroup == hopper::kConsumers) {
    giveRegisters<hopper::kProducerRegisters>();
    if (threadIdx.x == hopper::kConsumers * 128) {
      Producer<S, Pass, Arguments> producer(maps, args, shared);
      for (hopper::Segment segment = walk.next(); segment.tiles > 0; segment = walk.next()) {
        hopper::produceSegment<S>(producer, progress, segment);
      }
    } else if (warp == hopper::kConsumers * hopper::kWarpsPerWarpgroup + 1) {
      Prefetcher<S, Pass, Arguments> prefetcher(args, shared);
      for (hopper::Segment segment = walk.next(); segment.tiles > 0; segment = walk.next()) {
        hopper::prefetchSegment<S>(prefetcher, progress, segment);
      }
    }
  } else {
    takeRegisters<hopper::kConsumerRegisters>();
    const Place place = {warpgroup, warp % hopper::kWarpsPerWarpgroup, shared};
    Pass pass(args);
    Consumer<S, Pass> consumer(pass, place);
    for (hopper::Segment segment = walk.next(); segment.tiles > 0; segment = walk.next()) {
      hopper::consumeSegment<S>(consumer, progress, segment);
    }
  }
  // A CTA's shared memory must outlive its peer's last arrival there.
  __syncwarp();
  joinCluster();
}

}  // namespace hyperarc::cuda::wgmma
