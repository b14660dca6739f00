// The programs of the Hopper kernels' producer, prefetcher and consumers (hopper/protocol.h) as lists of steps,
// recorded from the templates that the kernels run.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "cuda/hopper/protocol.h"

namespace hyperarc::cuda::hopper {

enum class Kind : uint8_t { kWait, kArrive, kExpect, kCopy, kCheck, kWrite };

/// A place in shared memory and what it is to hold. Contents are named by numbers that never come back.
struct Content {
  int place;
  uint8_t name;
};

/// One bulk copy to one CTA: lands at some time after its step.
struct Copy {
  int cta;
  int barrier;
  uint32_t bytes;
  Content content;
};

struct Step {
  Kind kind;
  int barrier = 0;
  uint32_t parity = 0;
  int arrivals = 0;
  bool everyCta = false;
  uint32_t bytes = 0;
  std::vector<Content> contents = {};
  std::vector<Copy> copies = {};
  bool isSpare = false;  // a wait that a longer chain of barriers implies
};

using Program = std::vector<Step>;

template <class S>
struct Places {
  static constexpr int kRows = 0;
  static int tile(int slot, int part, int source) { return 1 + (slot * S::kParts + part) * kCluster + source; }
  static int columns(int slot) { return 1 + S::kSlots * S::kParts * kCluster + slot; }
  static int scores(int slot) { return 1 + S::kSlots * (S::kParts * kCluster + 1) + slot; }
  static constexpr int kCount = 1 + S::kSlots * (S::kParts * kCluster + 1) + 2;
};

inline constexpr uint8_t kUnknown = 255;
inline constexpr uint32_t kColumnBytes = 256;

/// Records a program. One actor stands for `kWarps` of a consumer's four warps.
template <class S>
class Recorder {
 public:
  using P = Places<S>;
  Recorder(int cta, int ctas, int consumer, int arrivals, bool stages)
      : cta_(cta), ctas_(ctas), self_(consumer), weight_(arrivals), stages_(stages) {}

  Program program;

  uint32_t columnBytes() const { return kColumnBytes; }
  int consumer() const { return self_; }
  bool stages() const { return stages_; }

  void wait(int barrier, uint32_t parity) {
    program.push_back({.kind = Kind::kWait, .barrier = barrier, .parity = parity});
  }
  void expect(int barrier, uint32_t bytes) {
    program.push_back({.kind = Kind::kExpect, .barrier = barrier, .arrivals = 1, .bytes = bytes});
  }
  void arrive(int barrier) { program.push_back({.kind = Kind::kArrive, .barrier = barrier, .arrivals = weight_}); }
  void arriveCluster(int barrier) {
    program.push_back({.kind = Kind::kArrive, .barrier = barrier, .arrivals = weight_, .everyCta = true});
  }
  void loadRows(int32_t) {
    Step step = {.kind = Kind::kCopy};
    step.copies.push_back({cta_, Barriers<S>::kRowsFull, SharedMap<S>::kRowsBytes, {P::kRows, segments_++}});
    program.push_back(step);
  }
  /// What it reads is no business of the CTA's; but they are the rows of its own segment, not of the next one.
  void prefetch(int32_t) { check({{P::kRows, segments_++}}); }
  void loadPart(int slot, int part, int32_t) {
    Step step = {.kind = Kind::kCopy};
    const int barrier = Barriers<S>::tileFull(slot, part);
    for (int cta = 0; cta < ctas_; ++cta) {
      // With one CTA alone it fetches the peer's boxes as well.
      for (int source = 0; source < kCluster; ++source) {
        if (ctas_ > 1 && source != cta_) continue;
        uint32_t bytes = 0;
        for (int box = 0; box < S::kBoxesPerPart; ++box) bytes += boxOwner(box) == source ? kBoxBytes : 0;
        step.copies.push_back({cta, barrier, bytes, {P::tile(slot, part, source), loaded_}});
      }
    }
    if (holdsColumns<S>(slot, part)) step.copies.push_back({cta_, barrier, kColumnBytes, {P::columns(slot), loaded_}});
    std::stable_sort(step.copies.begin(), step.copies.end(),
                     [](const Copy& a, const Copy& b) { return a.cta < b.cta; });
    program.push_back(step);
    if (part == S::kParts - 1) ++loaded_;
  }

  void begin(const Segment&) { other_ = begin_ + (begin_ % 2 == self_ ? 1 : 0); }
  void score(int slot, int part) {
    if (part == 0) own_ = nextOwn();
    std::vector<Content> reads = {{P::kRows, segments_}};
    addTile(slot, part, own_, reads);
    issue(reads);
  }
  void addOther(int slot) {
    std::vector<Content> reads = {{P::scores(slot), other_}};
    addTile(slot, self_, other_, reads);
    issue(reads);
    other_ += 2;
    // The scores' consumer waited for the whole tile before it computed them.
    for (auto step = program.rbegin(); step != program.rend(); ++step) {
      if (step->kind == Kind::kWait && step->barrier == Barriers<S>::tileFull(slot, self_)) {
        step->isSpare = true;
        break;
      }
    }
  }
  void addOwn(int slot) {
    std::vector<Content> reads;
    addTile(slot, S::kSeesaw ? self_ : 0, own_, reads);
    issue(reads);
  }
  void retireOther() {
    ASSERT_EQ(flying_.size(), size_t{1 + S::kParts});
    check(flying_.front());
    flying_.erase(flying_.begin());
  }
  void retireAll() {
    for (const auto& reads : flying_) check(reads);
    flying_.clear();
  }
  void exponentials(int slot, int32_t tile) {
    EXPECT_EQ(tile, tileOf_(own_));
    check({{P::columns(slot), own_}});
  }
  void storeScores(int slot) {
    Step step = {.kind = Kind::kWrite};
    step.contents = {{P::scores(slot), own_}};
    program.push_back(step);
  }
  void join() {
    arrive(Barriers<S>::kCount);
    wait(Barriers<S>::kCount, static_cast<uint32_t>(joins_++ % 2));
  }
  void finish(const Segment& segment) {
    EXPECT_TRUE(flying_.empty());
    if (stages_) {
      ASSERT_GE(segment.tiles, 2);
      Step step = {.kind = Kind::kWrite};
      for (int place = P::tile(0, 0, 0); place < P::columns(0); ++place) {
        step.contents.push_back({place, static_cast<uint8_t>(200 + segments_)});
      }
      program.push_back(step);
      check(step.contents);
    }
    begin_ = static_cast<uint8_t>(begin_ + segment.tiles);
    ++segments_;
    started_ = false;
  }
  void setTileOf(std::function<int32_t(int)> tileOf) { tileOf_ = std::move(tileOf); }

 private:
  uint8_t nextOwn() {
    if (!started_) {
      started_ = true;
      return static_cast<uint8_t>(!S::kSeesaw || begin_ % 2 == self_ ? begin_ : begin_ + 1);
    }
    return static_cast<uint8_t>(own_ + (S::kSeesaw ? 2 : 1));
  }
  void addTile(int slot, int part, uint8_t n, std::vector<Content>& reads) {
    for (int source = 0; source < kCluster; ++source) reads.push_back({P::tile(slot, part, source), n});
  }
  void issue(const std::vector<Content>& reads) {
    check(reads);
    flying_.push_back(reads);
  }
  /// Names never come back: what holds at issue and at retirement held all the time between.
  void check(const std::vector<Content>& reads) {
    Step step = {.kind = Kind::kCheck};
    step.contents = reads;
    program.push_back(step);
  }

  int cta_, ctas_, self_, weight_;
  uint8_t segments_ = 0, loaded_ = 0, begin_ = 0, own_ = 0, other_ = 0;
  bool started_ = false;
  bool stages_;
  int joins_ = 0;
  std::vector<std::vector<Content>> flying_;
  std::function<int32_t(int)> tileOf_ = [](int n) { return n; };
};

struct Actor {
  int cta;
  Program program;
};

/// Without the stationary rows, which stay within a CTA: what is left is what crosses the cluster.
template <class S>
Program tilesAlone(const Program& program) {
  Program kept;
  for (Step step : program) {
    const auto isLeftOut = [](const Content& content) { return content.place == Places<S>::kRows; };
    std::erase_if(step.contents, isLeftOut);
    std::erase_if(step.copies, [&](const Copy& copy) { return isLeftOut(copy.content); });
    const bool isEmpty = step.contents.empty() && step.copies.empty();
    const bool isOther = step.kind == Kind::kCopy || step.kind == Kind::kCheck || step.kind == Kind::kWrite;
    const bool isBarrier = step.barrier < Barriers<S>::kTiles;
    if (isOther ? !isEmpty : !isBarrier) kept.push_back(step);
  }
  return kept;
}

struct System {
  int ctas;
  std::vector<Actor> actors;
  std::vector<int> arrivals;  // a phase of each barrier
  int places;
};

/// `actorsPerConsumer` 1: a warpgroup moves as one; 2 or 4: its warps drift apart as far as barriers let them.
template <class S>
System makeSystem(int ctas, const std::vector<int>& tilesOfSegments, int actorsPerConsumer, bool stages = false,
                  bool isTilesAlone = false) {
  System system;
  system.ctas = ctas;
  system.places = Places<S>::kCount;
  for (int barrier = 0; barrier < Barriers<S>::kCount; ++barrier) {
    const bool isAcross = barrier >= Barriers<S>::tileEmpty(0, 0) && barrier < Barriers<S>::kScores;
    system.arrivals.push_back(Barriers<S>::arrivals(barrier) / (isAcross ? kCluster / ctas : 1));
  }
  system.arrivals.push_back(kConsumers * kWarpsPerWarpgroup);  // join; consumers that share nothing join harmlessly
  std::vector<Segment> segments;
  int32_t tile = 100;
  std::vector<int32_t> tileOf;
  for (const int tiles : tilesOfSegments) {
    segments.push_back({0, 0, tile, tiles, false});
    for (int k = 0; k < tiles; ++k) tileOf.push_back(tile + k);
    tile += 50;
  }
  for (int cta = 0; cta < ctas; ++cta) {
    Recorder<S> producer(cta, ctas, -1, 1, stages);
    Progress progress;
    for (const Segment& segment : segments) produceSegment<S>(producer, progress, segment);
    system.actors.push_back({cta, producer.program});
    Recorder<S> prefetcher(cta, ctas, -1, 1, stages);
    Progress seen;
    for (const Segment& segment : segments) prefetchSegment<S>(prefetcher, seen, segment);
    for (int consumer = 0; consumer < kConsumers; ++consumer) {
      Recorder<S> recorder(cta, ctas, consumer, kWarpsPerWarpgroup / actorsPerConsumer, stages);
      recorder.setTileOf([&](int n) { return tileOf.at(static_cast<size_t>(n)); });
      Progress own;
      for (const Segment& segment : segments) consumeSegment<S>(recorder, own, segment);
      for (int n = 0; n < actorsPerConsumer; ++n) system.actors.push_back({cta, recorder.program});
    }
    system.actors.push_back({cta, prefetcher.program});  // last, so that the others keep their numbers in the tests
  }
  if (isTilesAlone) {
    for (Actor& actor : system.actors) actor.program = tilesAlone<S>(actor.program);
  }
  return system;
}

}  // namespace hyperarc::cuda::hopper
