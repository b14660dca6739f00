// mbarriers, TMA copies, clusters and register redistribution, as PTX (ISA 8.0 and up, sm_90a).
#pragma once

#include <cuda.h>  // CUtensorMap; its functions are not linked

#include "device/device.h"
#include "device/warp.h"

#ifdef HYPERARC_EMULATED
#include "hopper_emulation.h"
#else

namespace hyperarc::cuda::wgmma {

// ---- mbarrier objects, by shared-memory address.

HYPERARC_DEVICE void initBarrier(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/// Makes initialised barriers known to the cluster and to TMA; a cluster barrier follows.
HYPERARC_DEVICE void fenceBarrierInit() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

/// Waits until the phase of this parity has completed. Acquires what threads of this CTA released with their arrivals,
/// and what copies brought; of the other CTA's arrivals only that they came (arriveBarrierAt).
HYPERARC_DEVICE void waitBarrier(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra reached;\n"
      "bra again;\n"
      "reached:\n"
      "}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
HYPERARC_DEVICE void arriveBarrier(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// One arrival at the barrier at the same place in CTA `rank` of the cluster (may be the own one). It releases nothing
/// to the other CTA (that would be a fence for the whole GPU): it only says that reads are over, and they are,
/// wgmma.wait_group has returned.
HYPERARC_DEVICE void arriveBarrierAt(uint32_t barrier, uint32_t rank) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
      "}\n" ::"r"(barrier),
      "r"(rank)
      : "memory");
}
/// Arrives and announces bytes that copies will bring in this phase.
HYPERARC_DEVICE void expectBytes(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// ---- TMA. Coordinates: element of the contiguous dimension, row. Beyond the matrix: zeros, which count as bytes.

HYPERARC_DEVICE void copyBox(uint32_t shared, const CUtensorMap& map, uint32_t barrier, int column, int row) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
          shared),
      "l"(&map), "r"(barrier), "r"(column), "r"(row)
      : "memory");
}
/// The same to the same place of every CTA named in `ctas` (bit by rank); each one's barrier gets its bytes.
HYPERARC_DEVICE void copyBoxMulticast(uint32_t shared, const CUtensorMap& map, uint32_t barrier, int column, int row,
                                      uint16_t ctas) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared),
      "l"(&map), "r"(barrier), "r"(column), "r"(row), "h"(ctas)
      : "memory");
}
HYPERARC_DEVICE void copyLine(uint32_t shared, const CUtensorMap& map, uint32_t barrier, int element) {
  asm volatile(
      "cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3}], [%2];" ::"r"(
          shared),
      "l"(&map), "r"(barrier), "r"(element)
      : "memory");
}
HYPERARC_DEVICE void prefetchMap(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
/// Brings bytes (a multiple of 16, at a multiple of 16) to L2.
HYPERARC_DEVICE void prefetchToL2(const void* global, uint32_t bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(global), "r"(bytes) : "memory");
}

// ---- Between proxies, warps, CTAs.

/// Before an arrival that lets wgmma or TMA read what this thread stored to shared memory.
HYPERARC_DEVICE void fenceAsyncProxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/// Barrier of `threads` threads of the block, by number (0 is __syncthreads).
HYPERARC_DEVICE void joinThreads(int number, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}
HYPERARC_DEVICE uint32_t clusterRank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
/// All threads of all CTAs of the cluster; what they did before is seen after.
HYPERARC_DEVICE void joinCluster() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}
template <int kRegisters>
HYPERARC_DEVICE void takeRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
HYPERARC_DEVICE void giveRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// Four 8×8 matrices of 16-bit elements to shared memory; lane l gives the address of row l mod 8 of matrix l/8.
HYPERARC_DEVICE void storeMatrices(uint32_t shared, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}

}  // namespace hyperarc::cuda::wgmma

#endif
