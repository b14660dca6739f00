// Who waits for what in the Hopper kernels. The programs of producer, prefetcher and consumers are templates over their
// actions: the kernel's actions issue instructions, the test's (tests/hopper_protocol_test.cc) record steps, whose
// interleavings it explores.
//
// Tiles are numbered from the kernel's start: tile n lies in slot n mod kSlots, and it is the (n / kSlots)-th use of
// that slot. An mbarrier completes one phase a use: who waits for the end of use u waits for parity u mod 2 ("full");
// who wants the slot free before use u waits for the end of the use before it ("empty"), parity (u mod 2) ^ 1, which a
// fresh barrier grants at once.
#pragma once

#include <cstdint>

#include "schedule.h"
#include "shape.h"

namespace hyperarc::cuda::hopper {

HYPERARC_HD constexpr uint32_t fullParity(uint32_t use) { return use & 1u; }
HYPERARC_HD constexpr uint32_t emptyParity(uint32_t use) { return (use & 1u) ^ 1u; }

/// Barriers of one CTA, by index.
template <class S>
struct Barriers {
  static constexpr int kRowsFull = 0;   // stationary rows have arrived
  static constexpr int kRowsEmpty = 1;  // no product of the segment reads them any more
  static constexpr int kTiles = 2;
  static constexpr int kScores = kTiles + 2 * S::kSlots * S::kParts;
  static constexpr int kCount = kScores + (S::kSeesaw ? 2 : 0);

  HYPERARC_HD static constexpr int tileFull(int slot, int part) { return kTiles + slot * S::kParts + part; }
  HYPERARC_HD static constexpr int tileEmpty(int slot, int part) {
    return kTiles + (S::kSlots + slot) * S::kParts + part;
  }
  /// Scores of a tile, in shared memory for the consumer that did not compute them. There is no "empty": that consumer
  /// frees its half of the tile after it has read them, and the next scores for the place are computed from that half's
  /// next tile.
  HYPERARC_HD static constexpr int scoresFull(int slot) { return kScores + slot; }

  /// Arrivals that complete a phase (besides bytes). A consumer arrives once for each of its four warps.
  HYPERARC_HD static constexpr int arrivals(int barrier) {
    if (barrier == kRowsFull) return 1;
    if (barrier == kRowsEmpty) return kConsumers * kWarpsPerWarpgroup + 1;  // and the prefetcher (prefetchSegment)
    if (barrier >= kScores) return kWarpsPerWarpgroup;
    if (barrier < tileEmpty(0, 0)) return 1;
    // Freed in both CTAs of the cluster at once, because both write into both; a part belongs to one consumer (seesaw)
    // or to both.
    return (S::kSeesaw ? 1 : kConsumers) * kWarpsPerWarpgroup * kCluster;
  }
};

/// The arrays over a tile's columns come with the part that the consumer which computes the scores will free.
template <class S>
HYPERARC_HD constexpr bool holdsColumns(int slot, int part) {
  return part == slot % S::kParts;
}
/// Bytes that arrive at tileFull(slot, part): boxes from both CTAs, columns from the own one.
template <class S>
HYPERARC_HD constexpr uint32_t partBytes(int slot, int part, uint32_t columnBytes) {
  return SharedMap<S>::kPartBytes + (holdsColumns<S>(slot, part) ? columnBytes : 0);
}
/// Which CTA of the cluster fetches a box (for both).
HYPERARC_HD constexpr int boxOwner(int box) { return box % kCluster; }

/// Counted since the kernel's start; producer and consumers count alike.
struct Progress {
  uint32_t tile = 0;
  uint32_t segment = 0;
};

template <class S, class Actions>
HYPERARC_HD void produceSegment(Actions& act, Progress& progress, const Segment& segment) {
  using B = Barriers<S>;
  act.wait(B::kRowsEmpty, emptyParity(progress.segment));
  act.expect(B::kRowsFull, SharedMap<S>::kRowsBytes);
  act.loadRows(segment.group);
  for (int32_t k = 0; k < segment.tiles; ++k) {
    const uint32_t n = progress.tile + static_cast<uint32_t>(k);
    const int slot = static_cast<int>(n % S::kSlots);
    for (int part = 0; part < S::kParts; ++part) {
      act.wait(B::tileEmpty(slot, part), emptyParity(n / S::kSlots));
      act.expect(B::tileFull(slot, part), partBytes<S>(slot, part, act.columnBytes()));
      act.loadPart(slot, part, segment.firstTile + k);
    }
  }
  progress.tile += static_cast<uint32_t>(segment.tiles);
  ++progress.segment;
}

/// A warp of its own asks L2 for what the end of a segment will read from memory: reading a class list for it, the
/// producer would be late for its tiles. It counts among the readers of the stationary rows, though it reads none: so
/// the next rows cannot arrive before it has seen that these have, and no phase passes it by.
template <class S, class Actions>
HYPERARC_HD void prefetchSegment(Actions& act, Progress& progress, const Segment& segment) {
  using B = Barriers<S>;
  act.wait(B::kRowsFull, fullParity(progress.segment));
  act.prefetch(segment.group);
  act.arrive(B::kRowsEmpty);
  ++progress.segment;
}

/// Seesaw: tile n's scores are computed by consumer n mod 2, which uses them from registers and hands them to the other
/// through shared memory. Around a tile of its own, a consumer:
///   issues O += P(n−1)·T(n−1) with the other's scores, then S(n), and frees its half of T(n−1) while S(n) runs: there
///   are but two slots, and with S(n) first the load of T(n+1) would wait for all of it;
///   waits for S(n), forms P(n), hands it over;
///   issues O += P(n)·T(n), frees its half of T(n).
template <class S, class Actions>
HYPERARC_HD void consumeShared(Actions& act, Progress& progress, const Segment& segment) {
  using B = Barriers<S>;
  static_assert(S::kSlots == 2 && S::kParts == 2);
  const int self = act.consumer();
  const uint32_t first = progress.tile;
  const uint32_t end = first + static_cast<uint32_t>(segment.tiles);
  const auto slotOf = [](uint32_t n) { return static_cast<int>(n & 1u); };

  const auto issueOther = [&](uint32_t n) {
    act.wait(B::tileFull(slotOf(n), self), fullParity(n / 2));
    act.wait(B::scoresFull(slotOf(n)), fullParity(n / 2));
    act.addOther(slotOf(n));
  };
  // The last two tiles of a segment are held where its output will be staged in their place.
  const auto freeTile = [&](uint32_t n) {
    if (!(S::kStagesInTiles && act.stages()) || n + 2 < end) act.arriveCluster(B::tileEmpty(slotOf(n), self));
  };
  const auto issueScores = [&](uint32_t n) {
    act.wait(B::tileFull(slotOf(n), 0), fullParity(n / 2));
    act.score(slotOf(n), 0);
    act.wait(B::tileFull(slotOf(n), 1), fullParity(n / 2));
    act.score(slotOf(n), 1);
  };
  const auto handOver = [&](uint32_t n) {
    if (n + 2 >= end) act.arrive(B::kRowsEmpty);
    act.exponentials(slotOf(n), segment.firstTile + static_cast<int32_t>(n - first));
    act.storeScores(slotOf(n));
    act.arrive(B::scoresFull(slotOf(n)));
  };
  const auto addOwn = [&](uint32_t n) {
    act.addOwn(slotOf(n));
    act.retireAll();
    freeTile(n);
  };

  act.wait(B::kRowsFull, fullParity(progress.segment));
  uint32_t n = first;
  if (slotOf(n) == self) {
    issueScores(n);
    act.retireAll();
    handOver(n);
    addOwn(n);
    ++n;
  }
  // From here on n is the other's tile, and n + 1 the own one.
  for (; n + 1 < end; n += 2) {
    issueOther(n);
    issueScores(n + 1);
    act.retireOther();
    freeTile(n);
    act.retireAll();
    handOver(n + 1);
    addOwn(n + 1);
  }
  if (n == first && n + 1 == end) act.arrive(B::kRowsEmpty);  // a single tile, and not an own one
  if (n < end) {
    issueOther(n);
    act.retireAll();
    freeTile(n);
  }
  progress.tile = end;
  ++progress.segment;
}

/// Each consumer has rows of its own: scores never leave its registers.
template <class S, class Actions>
HYPERARC_HD void consumeAlone(Actions& act, Progress& progress, const Segment& segment) {
  using B = Barriers<S>;
  static_assert(S::kParts == 1);
  act.wait(B::kRowsFull, fullParity(progress.segment));
  for (int32_t k = 0; k < segment.tiles; ++k) {
    const uint32_t n = progress.tile + static_cast<uint32_t>(k);
    const int slot = static_cast<int>(n % S::kSlots);
    act.wait(B::tileFull(slot, 0), fullParity(n / S::kSlots));
    act.score(slot, 0);
    act.retireAll();
    if (k + 1 == segment.tiles) act.arrive(B::kRowsEmpty);
    act.exponentials(slot, segment.firstTile + k);
    act.addOwn(slot);
    act.retireAll();
    act.arriveCluster(B::tileEmpty(slot, 0));
  }
  progress.tile += static_cast<uint32_t>(segment.tiles);
  ++progress.segment;
}

/// A segment from its first tile to its finished output. `act.stages()`: output goes through shared memory that others
/// use before and after; `join`, a barrier of the consumers that share rows, keeps them apart. Where tiles are held for
/// it, a segment has at least two.
template <class S, class Actions>
HYPERARC_HD void consumeSegment(Actions& act, Progress& progress, const Segment& segment) {
  act.begin(segment);
  if constexpr (S::kSeesaw) {
    consumeShared<S>(act, progress, segment);
  } else {
    consumeAlone<S>(act, progress, segment);
  }
  if (act.stages()) act.join();
  act.finish(segment);
  if (act.stages()) act.join();
  if (S::kStagesInTiles && act.stages()) {
    for (int slot = 0; slot < S::kSlots; ++slot) act.arriveCluster(Barriers<S>::tileEmpty(slot, act.consumer()));
  }
}

}  // namespace hyperarc::cuda::hopper
