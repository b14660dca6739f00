// Compute capability 9.0 in software, from the PTX ISA: mbarriers and bulk tensor copies (cluster.cc), wgmma and
// stmatrix (warpgroup.cc). Shared memory is named by its offset in the block's dynamic buffer. docs/testing-cuda.md,
// "Hopper".
#pragma once

#include <cuda.h>

#include <cstdint>

#include "emulator/warp_functions.h"

namespace hyperarc::emulator {

unsigned clusterRank();
/// barrier.cluster: all threads of all blocks of the cluster.
void joinCluster(Site site);
/// bar.sync: `threads` threads of the block, by number.
void joinThreads(int number, int threads, Site site);

// ---- mbarrier. A phase ends when all arrivals and all announced bytes have come.

void initBarrier(uint32_t barrier, int arrivals, Site site);
/// Returns when the phase of this parity has ended.
void waitBarrier(uint32_t barrier, uint32_t parity, Site site);
/// One arrival at the barrier at this offset in block `rank` of the cluster.
void arriveBarrier(uint32_t barrier, uint32_t rank, Site site);
/// Announces bytes at the own block's barrier and arrives there.
void expectBytes(uint32_t barrier, uint32_t bytes, Site site);

/// cp.async.bulk.tensor: one box to the same offset of every block named in `blocks` (bit by rank), whose barrier gets
/// the bytes. Lands some time after the call; until then the place holds NaN. `coordinates` [dims], innermost first.
void copyBulk(uint32_t shared, const CUtensorMap& map, uint32_t barrier, const int* coordinates, int dims,
              uint32_t blocks, Site site);

// ---- wgmma.

void fenceProducts();
void commitProducts();
void waitForProducts(int pending, Site site);

/// wgmma.mma_async m64n`columns`k16, bf16, this warp's sixteen rows. Until it is waited for, d holds NaN, and the
/// operands in shared memory may not change.
struct WarpgroupProduct {
  float* d;  // [columns/2]
  int columns;
  const uint32_t* aRegisters;  // [4], or null
  uint64_t a;                  // descriptor, where there are no registers
  uint64_t b;
  bool isTransposed;  // B is MN-major
  bool accumulates;
};
void multiplyAsync(const WarpgroupProduct& product, Site site);

/// stmatrix.x4. Only after fenceAsyncProxy do wgmma and bulk copies see it: until then the place holds NaN for
/// everybody.
void storeMatrices(uint32_t sharedRow, const uint32_t* r, Site site);
void fenceAsyncProxy();

}  // namespace hyperarc::emulator
