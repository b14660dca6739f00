// The producer's actions (hopper/protocol.h): one thread that feeds both CTAs of its cluster by TMA.
#pragma once

#include "hopper/protocol.h"
#include "kernels/wgmma/arguments.h"
#include "kernels/wgmma/barrier.cuh"

namespace hyperarc::cuda::wgmma {

/// Tensor maps of a kernel: stationary rows and streamed tiles [·, Dp] bf16 in boxes of 64 × 64, and what goes with the
/// columns of tiles, fp32, `kLine` a tile.
struct Maps {
  const CUtensorMap& rows;
  const CUtensorMap& tiles;
  const CUtensorMap& columns;
};

template <class S, class Pass, class Arguments>
class Producer {
 public:
  using Map = hopper::SharedMap<S>;

  static constexpr int kColumnArrays = Pass::kColumnArrays;

  HYPERARC_DEVICE Producer(const Maps& maps, const Arguments& args, uint32_t shared)
      : maps_(maps), args_(args), shared_(shared), rank_(clusterRank()) {
    prefetchMap(maps_.rows);
    prefetchMap(maps_.tiles);
    prefetchMap(maps_.columns);
  }

  HYPERARC_DEVICE uint32_t columnBytes() const { return kColumnArrays * hopper::kTile * 4; }
  HYPERARC_DEVICE void wait(int barrier, uint32_t parity) const { waitBarrier(barrierAt(barrier), parity); }
  HYPERARC_DEVICE void expect(int barrier, uint32_t bytes) const { expectBytes(barrierAt(barrier), bytes); }

  HYPERARC_DEVICE void loadRows(int32_t group) const {
    const int firstRow = (group * hopper::kCluster + static_cast<int>(rank_)) * S::kRows;
    for (int part = 0; part < S::kRows / 64; ++part) {
      for (int box = 0; box < S::kBoxes; ++box) {
        copyBox(shared_ + Map::rowsBox(part, box), maps_.rows, barrierAt(hopper::Barriers<S>::kRowsFull),
                box * hopper::kBoxColumns, firstRow + 64 * part);
      }
    }
  }

  HYPERARC_DEVICE void loadPart(int slot, int part, int32_t tile) const {
    const uint32_t barrier = barrierAt(hopper::Barriers<S>::tileFull(slot, part));
    const int firstRow = tile * hopper::kTile;
    for (int n = 0; n < S::kBoxesPerPart; ++n) {
      const int box = part * S::kBoxesPerPart + n;
      if (hopper::boxOwner(box) != static_cast<int>(rank_)) continue;
      copyBoxMulticast(shared_ + Map::tileBox(slot, box), maps_.tiles, barrier, box * hopper::kBoxColumns, firstRow,
                       (1u << hopper::kCluster) - 1);
    }
    if (hopper::holdsColumns<S>(slot, part)) {
      copyLine(shared_ + Map::columns(slot), maps_.columns, barrier, tile * (kColumnArrays * hopper::kTile));
    }
  }

 private:
  HYPERARC_DEVICE uint32_t barrierAt(int barrier) const {
    return shared_ + Map::kBarriers + static_cast<uint32_t>(barrier) * 8;
  }

  const Maps& maps_;
  const Arguments& args_;
  uint32_t shared_;
  uint32_t rank_;
};

}  // namespace hyperarc::cuda::wgmma
