// The functions of kernels/wgmma/{barrier,wgmma}.cuh in software.
#pragma once

#include "emulator/hopper_functions.h"
#include "emulator/prefetches.h"

namespace hyperarc::cuda::wgmma {

inline void initBarrier(uint32_t barrier, int arrivals, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::initBarrier(barrier, arrivals, {file, line});
}
/// Barriers are known at once here.
inline void fenceBarrierInit() {}
inline void waitBarrier(uint32_t barrier, uint32_t parity, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::waitBarrier(barrier, parity, {file, line});
}
inline void arriveBarrier(uint32_t barrier, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::arriveBarrier(barrier, ::hyperarc::emulator::clusterRank(), {file, line});
}
inline void arriveBarrierAt(uint32_t barrier, uint32_t rank, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::arriveBarrier(barrier, rank, {file, line});
}
inline void expectBytes(uint32_t barrier, uint32_t bytes, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::expectBytes(barrier, bytes, {file, line});
}

inline void copyBoxMulticast(uint32_t shared, const CUtensorMap& map, uint32_t barrier, int column, int row,
                             uint16_t ctas, HYPERARC_EMULATED_SITE) {
  const int coordinates[2] = {column, row};
  ::hyperarc::emulator::copyBulk(shared, map, barrier, coordinates, 2, ctas, {file, line});
}
inline void copyBox(uint32_t shared, const CUtensorMap& map, uint32_t barrier, int column, int row,
                    HYPERARC_EMULATED_SITE) {
  copyBoxMulticast(shared, map, barrier, column, row, static_cast<uint16_t>(1u << ::hyperarc::emulator::clusterRank()),
                   file, line);
}
inline void copyLine(uint32_t shared, const CUtensorMap& map, uint32_t barrier, int element, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::copyBulk(shared, map, barrier, &element, 1, 1u << ::hyperarc::emulator::clusterRank(),
                                 {file, line});
}
inline void prefetchMap(const CUtensorMap&) {}
inline void prefetchToL2(const void* global, uint32_t bytes, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::prefetchBulk(global, bytes, {file, line});
}

inline void fenceAsyncProxy() { ::hyperarc::emulator::fenceAsyncProxy(); }
inline void joinThreads(int number, int threads, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::joinThreads(number, threads, {file, line});
}
inline uint32_t clusterRank() { return ::hyperarc::emulator::clusterRank(); }
inline void joinCluster(HYPERARC_EMULATED_SITE) { ::hyperarc::emulator::joinCluster({file, line}); }
/// Registers are the compiler's here.
template <int kRegisters>
inline void takeRegisters() {}
template <int kRegisters>
inline void giveRegisters() {}

inline void storeMatrices(uint32_t shared, const uint32_t (&r)[4], HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::storeMatrices(shared, r, {file, line});
}

inline void fence() { ::hyperarc::emulator::fenceProducts(); }
inline void commit() { ::hyperarc::emulator::commitProducts(); }
template <int kPending>
inline void waitGroups(HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::waitForProducts(kPending, {file, line});
}
template <int kCount>
inline void pin(float (&)[kCount]) {}

inline void multiplyScores(float (&d)[32], uint64_t a, uint64_t b, int scaleD, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::multiplyAsync({d, 64, nullptr, a, b, false, scaleD != 0}, {file, line});
}
inline void multiplyOutput(float (&d)[128], uint64_t a, uint64_t b, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::multiplyAsync({d, 256, nullptr, a, b, true, true}, {file, line});
}
inline void multiplyOutput(float (&d)[128], const uint32_t (&a)[4], uint64_t b, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::multiplyAsync({d, 256, a, 0, b, true, true}, {file, line});
}
inline void multiplyOutput(float (&d)[64], const uint32_t (&a)[4], uint64_t b, HYPERARC_EMULATED_SITE) {
  ::hyperarc::emulator::multiplyAsync({d, 128, a, 0, b, true, true}, {file, line});
}

}  // namespace hyperarc::cuda::wgmma
