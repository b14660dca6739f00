// The barrier protocol of the Hopper kernels: the kernel's own programs (hopper/protocol.h), recorded step by step and
// run in every order that the barriers allow, copies and tensor-core reads in flight included. Found problems:
// deadlock, a read of what has not arrived or was overwritten, more arrivals than a phase takes. Then the same with
// each step broken: the explorer must object.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "cuda/hopper/protocol.h"

namespace hyperarc::cuda::hopper {
namespace {

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

constexpr uint8_t kUnknown = 255;
constexpr uint32_t kColumnBytes = 256;

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
  void score(int slot) {
    own_ = nextOwn();
    std::vector<Content> reads = {{P::kRows, segments_}};
    for (int part = 0; part < S::kParts; ++part) addTile(slot, part, own_, reads);
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
  void retireScores() {
    ASSERT_EQ(flying_.size(), 2u);
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
    for (int consumer = 0; consumer < kConsumers; ++consumer) {
      Recorder<S> recorder(cta, ctas, consumer, kWarpsPerWarpgroup / actorsPerConsumer, stages);
      recorder.setTileOf([&](int n) { return tileOf.at(static_cast<size_t>(n)); });
      Progress own;
      for (const Segment& segment : segments) consumeSegment<S>(recorder, own, segment);
      for (int n = 0; n < actorsPerConsumer; ++n) system.actors.push_back({cta, recorder.program});
    }
  }
  if (isTilesAlone) {
    for (Actor& actor : system.actors) actor.program = tilesAlone<S>(actor.program);
  }
  return system;
}

struct Verdict {
  std::string problem;  // empty: none in any order
  size_t states = 0;
};

/// Whether a step and the one after it count as one, which leaves out orders but no problem: a check only looks, and
/// contents never come back, so it sees at least as much when it is made later, right before the actor's next step; or,
/// behind a wait, when the check at retirement follows; what was announced cannot complete before its own copy is on
/// the way.
bool isOneWithNext(const Step& step, const Step& next, bool isHead) {
  if (step.kind == Kind::kCheck) return isHead || next.kind == Kind::kCheck;
  if (step.kind == Kind::kWait) return next.kind == Kind::kCheck;
  return step.kind == Kind::kExpect && next.kind == Kind::kCopy;
}

/// Depth-first over all states. A state: each actor's next step, barriers, contents, copies in flight.
class Explorer {
 public:
  Explorer(const System& system, size_t limit) : system_(system), limit_(limit) {
    barriers_ = static_cast<int>(system.arrivals.size());
    for (const Actor& actor : system.actors) {
      std::vector<size_t> firstLanding, last;
      for (size_t n = 0; n < actor.program.size(); ++n) {
        firstLanding.push_back(landings_.size());
        // Copies of one step to one barrier land together.
        for (const Copy& copy : actor.program[n].copies) {
          if (landings_.size() == firstLanding.back() || landings_.back().front().cta != copy.cta)
            landings_.emplace_back();
          landings_.back().push_back(copy);
        }
      }
      for (size_t n = 0; n < actor.program.size(); ++n) {
        size_t end = n;
        while (end + 1 < actor.program.size() &&
               isOneWithNext(actor.program[end], actor.program[end + 1], actor.program[n].kind == Kind::kCheck)) {
          ++end;
        }
        last.push_back(end);
      }
      firstLanding_.push_back(firstLanding);
      lastOfMove_.push_back(last);
    }
    const size_t barriers = static_cast<size_t>(system.ctas * barriers_);
    phases_ = system.actors.size();
    pendings_ = phases_ + barriers;
    bytes_ = pendings_ + barriers;
    contents_ = bytes_ + 2 * barriers;
    flights_ = contents_ + static_cast<size_t>(system.ctas * system.places);
  }

  Verdict explore() {
    Verdict verdict;
    State first(flights_ + landings_.size(), '\0');
    for (int cta = 0; cta < system_.ctas; ++cta) {
      for (int b = 0; b < barriers_; ++b)
        pending(first, at(cta, b)) = static_cast<uint8_t>(system_.arrivals[static_cast<size_t>(b)]);
      for (int place = 0; place < system_.places; ++place) content(first, cta, place) = kUnknown;
    }
    std::vector<State> open = {first};
    std::unordered_set<State> seen = {first};
    while (!open.empty()) {
      State state = std::move(open.back());
      open.pop_back();
      bool moved = false;
      bool finished = true;
      const auto visit = [&](State after) {
        moved = true;
        if (seen.insert(after).second) open.push_back(std::move(after));
      };
      for (size_t actor = 0; actor < system_.actors.size(); ++actor) {
        if (next(state, actor) == system_.actors[actor].program.size()) continue;
        finished = false;
        State after = state;
        if (move(actor, after, verdict.problem)) visit(std::move(after));
        if (!verdict.problem.empty()) break;
      }
      for (size_t landing = 0; landing < landings_.size() && verdict.problem.empty(); ++landing) {
        if (flying(state, landing) == 0) continue;
        finished = false;
        State after = state;
        land(landing, after, verdict.problem);
        if (verdict.problem.empty()) visit(std::move(after));
      }
      if (verdict.problem.empty() && !moved && !finished) verdict.problem = "deadlock";
      verdict.states = seen.size();
      if (!verdict.problem.empty()) return verdict;
      if (seen.size() > limit_) {
        verdict.problem = "too many states";
        return verdict;
      }
    }
    return verdict;
  }

 private:
  /// One byte a number, so that a state is its own key: next steps, then of each barrier parity, arrivals and bytes (in
  /// units of 128, below 0 when they came before they were announced), contents, copies in flight.
  using State = std::string;
  uint8_t& byteOf(State& state, size_t offset) const { return reinterpret_cast<uint8_t&>(state[offset]); }
  uint8_t& next(State& state, size_t actor) const { return byteOf(state, actor); }
  uint8_t& phase(State& state, size_t b) const { return byteOf(state, phases_ + b); }
  uint8_t& pending(State& state, size_t b) const { return byteOf(state, pendings_ + b); }
  int16_t bytes(const State& state, size_t b) const {
    int16_t value;
    std::memcpy(&value, state.data() + bytes_ + 2 * b, sizeof value);
    return value;
  }
  void addBytes(State& state, size_t b, int32_t bytes) const {
    const int16_t value = static_cast<int16_t>(this->bytes(state, b) + bytes / 128);
    std::memcpy(state.data() + bytes_ + 2 * b, &value, sizeof value);
  }
  uint8_t& content(State& state, int cta, int place) const {
    return byteOf(state, contents_ + static_cast<size_t>(cta * system_.places + place));
  }
  uint8_t& flying(State& state, size_t landing) const { return byteOf(state, flights_ + landing); }

  size_t at(int cta, int barrier) const { return static_cast<size_t>(cta * barriers_ + barrier); }
  void completeIfDone(State& state, size_t b) const {
    if (pending(state, b) != 0 || bytes(state, b) != 0) return;
    phase(state, b) ^= 1;
    pending(state, b) = static_cast<uint8_t>(system_.arrivals[b % static_cast<size_t>(barriers_)]);
  }
  void arriveAt(State& state, size_t b, int arrivals, std::string& problem) const {
    if (pending(state, b) < arrivals) {
      problem = "more arrivals than barrier " + std::to_string(b % static_cast<size_t>(barriers_)) + " takes";
      return;
    }
    pending(state, b) = static_cast<uint8_t>(pending(state, b) - arrivals);
    completeIfDone(state, b);
  }

  bool move(size_t actor, State& state, std::string& problem) const {
    for (size_t end = lastOfMove_[actor][next(state, actor)]; next(state, actor) <= end;) {
      if (!take(actor, state, problem)) return false;
    }
    return true;
  }

  bool take(size_t actor, State& state, std::string& problem) const {
    const int cta = system_.actors[actor].cta;
    const size_t position = next(state, actor);
    const Step& step = system_.actors[actor].program[position];
    ++next(state, actor);
    switch (step.kind) {
      case Kind::kWait:
        return phase(state, at(cta, step.barrier)) != step.parity;
      case Kind::kArrive:
        for (int other = 0; other < system_.ctas; ++other) {
          if (other == cta || step.everyCta) arriveAt(state, at(other, step.barrier), step.arrivals, problem);
        }
        return true;
      case Kind::kExpect:
        addBytes(state, at(cta, step.barrier), static_cast<int32_t>(step.bytes));
        arriveAt(state, at(cta, step.barrier), 1, problem);
        return true;
      case Kind::kCopy:
        // From now on until it lands, nobody may rely on the place.
        for (const Copy& copy : step.copies) content(state, copy.cta, copy.content.place) = kUnknown;
        for (size_t n = firstLanding_[actor][position], left = step.copies.size(); left > 0; ++n) {
          flying(state, n) = 1;
          left -= landings_[n].size();
        }
        return true;
      case Kind::kCheck:
        for (const Content& expected : step.contents) {
          const int found = content(state, cta, expected.place);
          if (found == expected.name) continue;
          problem = "place " + std::to_string(expected.place) + " holds " + std::to_string(found) + ", not " +
                    std::to_string(expected.name) + ", at step " + std::to_string(position) + " of actor " +
                    std::to_string(actor);
        }
        return true;
      case Kind::kWrite:
        for (const Content& written : step.contents) content(state, cta, written.place) = written.name;
        return true;
    }
    return false;
  }

  void land(size_t landing, State& state, std::string& problem) const {
    flying(state, landing) = 0;
    const size_t b = at(landings_[landing].front().cta, landings_[landing].front().barrier);
    for (const Copy& copy : landings_[landing]) {
      content(state, copy.cta, copy.content.place) = copy.content.name;
      addBytes(state, b, -static_cast<int32_t>(copy.bytes));
    }
    if (bytes(state, b) < 0 && pending(state, b) == 0) problem = "more bytes than announced";
    completeIfDone(state, b);
  }

  System system_;
  size_t limit_;
  int barriers_;
  size_t phases_, pendings_, bytes_, contents_, flights_;  // offsets in a state
  std::vector<std::vector<Copy>> landings_;
  std::vector<std::vector<size_t>> firstLanding_;  // of each actor's steps
  std::vector<std::vector<size_t>> lastOfMove_;
};

Verdict explore(const System& system, size_t limit = 3000000) { return Explorer(system, limit).explore(); }

/// The other family with few slots, so that they are used again soon.
struct TwoSlots : Shape<256> {
  static constexpr int kSlots = 2;
};

void expectSound(const System& system, const std::string& name) {
  const Verdict verdict = explore(system);
  EXPECT_EQ(verdict.problem, "") << name << " after " << verdict.states << " states";
}

TEST(HopperProtocol, SharedRowsAreSoundInEveryOrder) {
  const std::vector<std::vector<int>> cases = {{1},    {2},    {3},       {4},       {7},
                                               {3, 2}, {2, 3}, {1, 1, 2}, {1, 2, 1}, {5, 1, 4}};
  for (const auto& tiles : cases)
    expectSound(makeSystem<Shape<512>>(1, tiles, 1), "segments from " + std::to_string(tiles[0]));
}

TEST(HopperProtocol, SharedRowsThatHoldTilesAreSoundInEveryOrder) {
  for (const auto& tiles : std::vector<std::vector<int>>{{2}, {3}, {2, 2}, {3, 2}, {2, 3, 2}, {4, 2, 4}}) {
    expectSound(makeSystem<Shape<512>>(1, tiles, 1, true), "segments from " + std::to_string(tiles[0]));
  }
  expectSound(makeSystem<Shape<512>>(1, {2, 2}, 2, true), "warps apart");
}

TEST(HopperProtocol, SharedRowsAreSoundWithWarpsApart) {
  for (const auto& tiles : std::vector<std::vector<int>>{{1}, {2}, {5}, {1, 2}}) {
    expectSound(makeSystem<Shape<512>>(1, tiles, 2), "segments from " + std::to_string(tiles[0]));
  }
}

TEST(HopperProtocol, OwnRowsAreSoundInEveryOrder) {
  for (const auto& tiles : std::vector<std::vector<int>>{{1}, {3}, {5}, {2, 3}, {1, 1, 3}}) {
    expectSound(makeSystem<TwoSlots>(1, tiles, 1), "two slots");
    expectSound(makeSystem<Shape<256>>(1, tiles, 1), "four slots");
  }
}

TEST(HopperProtocol, ClusterIsSoundInEveryOrder) {
  for (const int tiles : {1, 3}) expectSound(makeSystem<Shape<512>>(2, {tiles}, 1, false, true), std::to_string(tiles));
  for (const int tiles : {1, 3}) expectSound(makeSystem<TwoSlots>(2, {tiles}, 1, false, true), std::to_string(tiles));
}

TEST(HopperProtocol, ClusterThatHoldsTilesIsSoundInEveryOrder) {
  expectSound(makeSystem<Shape<512>>(2, {2, 2}, 1, true, true), "held by both CTAs");
}

// ---- Broken protocols.

struct Mutation {
  std::string name;
  std::function<bool(Step&)> apply;  // false: does not fit the step. A kCheck without contents is no step at all.
};

std::vector<Mutation> mutations() {
  const auto drop = [](Kind kind) {
    return [kind](Step& step) {
      if (step.kind != kind) return false;
      step = {.kind = Kind::kCheck};
      return true;
    };
  };
  return {
      {"no wait", drop(Kind::kWait)},
      {"no arrival", drop(Kind::kArrive)},
      {"no announcement", drop(Kind::kExpect)},
      {"no copy", drop(Kind::kCopy)},
      {"other parity",
       [](Step& step) {
         step.parity ^= 1u;
         return step.kind == Kind::kWait;
       }},
      {"one arrival more",
       [](Step& step) {
         ++step.arrivals;
         return step.kind == Kind::kArrive;
       }},
      {"fewer bytes",
       [](Step& step) {
         step.bytes -= std::min(step.bytes, 128u);
         return step.kind == Kind::kExpect;
       }},
      {"arrival at the own CTA alone",
       [](Step& step) {
         const bool fits = step.kind == Kind::kArrive && step.everyCta;
         step.everyCta = false;
         return fits;
       }},
  };
}

/// Whether a step has no successor at its barrier in the program: nobody waits for the arrivals of the last use.
bool isLastAt(const Program& program, size_t n) {
  return std::none_of(program.begin() + static_cast<ptrdiff_t>(n) + 1, program.end(), [&](const Step& step) {
    return step.kind == program[n].kind && step.barrier == program[n].barrier;
  });
}
bool isFirstAt(const Program& program, size_t n) {
  return std::none_of(program.begin(), program.begin() + static_cast<ptrdiff_t>(n), [&](const Step& step) {
    return step.kind == program[n].kind && step.barrier == program[n].barrier;
  });
}

/// The mutations of single steps that the explorer has nothing against, without those that by definition change
/// nothing: a slot is free before its first use, and nobody asks whether it is free after its last.
template <class S>
std::vector<std::string> survivors(const System& system) {
  std::vector<std::string> found;
  for (const Mutation& mutation : mutations()) {
    for (size_t actor = 0; actor < system.actors.size(); ++actor) {
      const Program& program = system.actors[actor].program;
      if (system.actors[actor].cta > 0) continue;  // the peer is the same
      for (size_t n = 0; n < program.size(); ++n) {
        System broken = system;
        if (!mutation.apply(broken.actors[actor].program[n])) continue;
        const bool isEmpty =
            program[n].barrier == Barriers<S>::kRowsEmpty ||
            (program[n].barrier >= Barriers<S>::tileEmpty(0, 0) && program[n].barrier < Barriers<S>::kScores);
        const bool isWait = program[n].kind == Kind::kWait;
        const bool isLess = mutation.name.substr(0, 3) == "no " || mutation.name == "arrival at the own CTA alone";
        if (isLess && isEmpty && (isWait ? isFirstAt(program, n) : isLastAt(program, n))) continue;
        if (system.ctas == 1 && mutation.name == "arrival at the own CTA alone") continue;
        if (isWait && program[n].isSpare && mutation.name == "no wait") continue;
        const Verdict verdict = explore(broken);
        if (verdict.problem.empty() || verdict.problem == "too many states") {
          found.push_back(mutation.name + ": actor " + std::to_string(actor) + " step " + std::to_string(n) +
                          " barrier " + std::to_string(program[n].barrier) + verdict.problem);
        }
      }
    }
  }
  return found;
}

using Names = std::vector<std::string>;

// Some waits are implied by a longer chain; they are kept, because they are cheap and say what is meant. All others are
// needed.

TEST(HopperProtocol, EveryBrokenStepOfSharedRowsIsFound) {
  // Scores of tile 1: consumer 0 has seen tile 2, whose place consumer 1 freed after it had handed them over.
  const Names implied = {"no wait: actor 1 step 15 barrier 11"};
  EXPECT_EQ(survivors<Shape<512>>(makeSystem<Shape<512>>(1, {3, 2}, 1)), implied);
}

TEST(HopperProtocol, EveryBrokenStepOfSharedRowsThatHoldTilesIsFound) {
  const Names implied = {
      // The producer: part 0 of slot 1 was given back, so both consumers had joined and the held tiles are free.
      "no wait: actor 0 step 27 barrier 9", "no wait: actor 0 step 30 barrier 6", "no wait: actor 0 step 33 barrier 7",
      "no wait: actor 1 step 15 barrier 11",  // as above
      // The second join: the producer waits for consumer 0's part first; and after the last segment nothing follows.
      "no wait: actor 1 step 53 barrier 12", "no wait: actor 2 step 25 barrier 12",
      "no wait: actor 2 step 48 barrier 12"};
  EXPECT_EQ(survivors<Shape<512>>(makeSystem<Shape<512>>(1, {3, 2}, 1, true)), implied);
}

TEST(HopperProtocol, EveryBrokenStepOfOwnRowsIsFound) {
  // Slot 1 is known to be free when the second segment starts: its consumers gave the rows back after tile 1.
  const Names implied = {"no wait: actor 0 step 15 barrier 5"};
  EXPECT_EQ(survivors<TwoSlots>(makeSystem<TwoSlots>(1, {3, 2}, 1)), implied);
}

TEST(HopperProtocol, EveryBrokenStepOfAClusterIsFound) {
  const Names implied = {"no wait: actor 1 step 14 barrier 11"};  // as above
  EXPECT_EQ(survivors<Shape<512>>(makeSystem<Shape<512>>(2, {3}, 1, false, true)), implied);
}

}  // namespace
}  // namespace hyperarc::cuda::hopper
