// mbarriers, numbered barriers and bulk tensor copies. PTX ISA, "mbarrier", "bar", "cp.async.bulk.tensor".
#include "cluster.h"

#include <cstring>
#include <map>
#include <utility>

#include "emulator/hopper_functions.h"
#include "executor.h"
#include "tensor_map.h"

namespace hyperarc::emulator {
namespace {

struct Barrier {
  int arrivals;       // of each phase
  int pending;        // still to come in this one
  int64_t bytes = 0;  // announced and not arrived; copies may arrive before they are announced
  uint32_t phase = 0;
};

/// Threads at a numbered barrier.
struct Join {
  int expected = 0;
  int arrived = 0;
};

// By block in the cluster, and offset or number. Never destroyed, as the executor.
auto& barriers = *new std::map<std::pair<unsigned, uint32_t>, Barrier>;
auto& joins = *new std::map<std::pair<unsigned, int>, Join>;

Executor& executor() { return Executor::instance(); }

uint64_t objectOf(unsigned rank, uint32_t barrier) { return uint64_t{rank} << 32 | barrier; }
uint64_t objectOfJoin(unsigned rank, int number) { return uint64_t{1} << 63 | uint64_t{rank} << 32 | number; }

void requirePlace(const char* what, uint32_t offset, uint32_t bytes, uint32_t alignment, Site site) {
  if (offset % alignment != 0 || uint64_t{offset} + bytes > executor().call()->sharedBytes) {
    fail("%s (%s:%d) at offset %u of shared memory: expected a multiple of %u within its %zu bytes", what, site.file,
         site.line, offset, alignment, executor().call()->sharedBytes);
  }
}

Barrier& barrierAt(const char* what, unsigned rank, uint32_t offset, Site site) {
  const auto found = barriers.find({rank, offset});
  if (rank >= executor().call()->cluster || found == barriers.end()) {
    fail("%s (%s:%d) at offset %u of block %u of the cluster, where no mbarrier was initialised", what, site.file,
         site.line, offset, rank);
  }
  return found->second;
}

void endPhaseIfComplete(Barrier& barrier, uint64_t object) {
  if (barrier.pending != 0 || barrier.bytes != 0) return;
  barrier.pending = barrier.arrivals;
  ++barrier.phase;
  executor().wake(object);
}

void arrive(const char* what, unsigned rank, uint32_t offset, int64_t bytes, Site site) {
  Barrier& barrier = barrierAt(what, rank, offset, site);
  // A phase that has had all its arrivals can only be waiting for bytes.
  if (barrier.pending == 0) {
    fail("%s (%s:%d) at offset %u of block %u: the phase has had all its %d arrivals", what, site.file, site.line,
         offset, rank, barrier.arrivals);
  }
  barrier.bytes += bytes;
  --barrier.pending;
  endPhaseIfComplete(barrier, objectOf(rank, offset));
}

}  // namespace

void startCluster(uint32_t threads) {
  barriers.clear();
  joins.clear();
  startWarpgroups(threads);
}

unsigned clusterRank() { return executor().rank(); }

void joinCluster(Site site) { executor().blockBarrier(BarrierKind::kCluster, 0, site); }

void joinThreads(int number, int threads, Site site) {
  if (number < 0 || number > 15 || threads < 32 || threads % 32 != 0) {
    fail("bar.sync %d, %d (%s:%d): expected a number below 16 and whole warps", number, threads, site.file, site.line);
  }
  const unsigned rank = executor().rank();
  Join& join = joins[{rank, number}];
  if (join.arrived == 0) join.expected = threads;
  if (join.expected != threads) {
    fail("bar.sync %d, %d (%s:%d): others wait there for %d threads", number, threads, site.file, site.line,
         join.expected);
  }
  if (++join.arrived == threads) {
    join.arrived = 0;
    executor().wake(objectOfJoin(rank, number));
    return;
  }
  executor().sleepAt(objectOfJoin(rank, number), "bar.sync", site);
}

void initBarrier(uint32_t barrier, int arrivals, Site site) {
  requirePlace("mbarrier.init", barrier, 8, 8, site);
  if (arrivals < 1) fail("mbarrier.init (%s:%d) with %d arrivals", site.file, site.line, arrivals);
  if (!barriers.insert({{executor().rank(), barrier}, {arrivals, arrivals}}).second) {
    fail("mbarrier.init (%s:%d) at offset %u, where there is one", site.file, site.line, barrier);
  }
}

void waitBarrier(uint32_t barrier, uint32_t parity, Site site) {
  const unsigned rank = executor().rank();
  while (true) {
    executor().maybeLand();
    // The phase under way has this number: one of the other parity has ended just before it.
    if ((barrierAt("mbarrier.try_wait", rank, barrier, site).phase & 1u) != (parity & 1u)) return;
    executor().sleepAt(objectOf(rank, barrier), "an mbarrier", site);
  }
}

void arriveBarrier(uint32_t barrier, uint32_t rank, Site site) { arrive("mbarrier.arrive", rank, barrier, 0, site); }

void expectBytes(uint32_t barrier, uint32_t bytes, Site site) {
  arrive("mbarrier.arrive.expect_tx", executor().rank(), barrier, bytes, site);
}

void copyBulk(uint32_t shared, const CUtensorMap& given, uint32_t barrier, const int* coordinates, int dims,
              uint32_t blocks, Site site) {
  const TensorMap map = readMap(given);
  if (map.rank != static_cast<uint32_t>(dims)) {
    fail("cp.async.bulk.tensor.%dd (%s:%d) with a map of %u dimensions", dims, site.file, site.line, map.rank);
  }
  requirePlace("cp.async.bulk.tensor", shared, map.boxBytes(), 128, site);
  if (blocks == 0 || blocks >> executor().call()->cluster != 0) {
    fail("cp.async.bulk.tensor (%s:%d) to blocks 0x%x of a cluster of %u", site.file, site.line, blocks,
         executor().call()->cluster);
  }
  for (unsigned rank = 0; rank < executor().call()->cluster; ++rank) {
    if ((blocks >> rank & 1u) == 0) continue;
    auto* to = static_cast<unsigned char*>(executor().sharedMemoryOf(rank)) + shared;
    // Whoever reads it before the barrier reads NaN; whoever still needed what was there has lost it.
    std::memset(to, 0xff, map.boxBytes());
    executor().addLanding([=, x = int64_t{coordinates[0]}, y = dims > 1 ? int64_t{coordinates[1]} : 0] {
      copyBoxOf(map, {x, y}, to, shared);
      Barrier& completed = barrierAt("cp.async.bulk.tensor", rank, barrier, site);
      completed.bytes -= map.boxBytes();
      endPhaseIfComplete(completed, objectOf(rank, barrier));
    });
  }
}

}  // namespace hyperarc::emulator
