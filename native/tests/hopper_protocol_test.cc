// The barrier protocol of the Hopper kernels: the kernel's own programs in every order (hopper_explorer.h). Then the
// same with each step broken: the explorer must object.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "hopper_explorer.h"
#include "sanitized.h"

namespace hyperarc::cuda::hopper {
namespace {

/// The other family with few slots, so that they are used again soon.
struct TwoSlots : Shape<256> {
  static constexpr int kSlots = 2;
};

const char* const kManyOrders = "millions of orders, by the code that the other tests run under the sanitizer";

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
  for (const int tiles : {1, 3}) {
    if (tiles > 1 && test::kIsSanitized) break;
    expectSound(makeSystem<Shape<512>>(2, {tiles}, 1, false, true), std::to_string(tiles));
    expectSound(makeSystem<TwoSlots>(2, {tiles}, 1, false, true), std::to_string(tiles));
  }
}

TEST(HopperProtocol, ClusterThatHoldsTilesIsSoundInEveryOrder) {
  if (test::kIsSanitized) GTEST_SKIP() << kManyOrders;
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
  const Names implied = {
      // The producer, tile 3: consumer 0 freed its half of tile 1 before it gave the rows back.
      "no wait: actor 0 step 24 barrier 8",
      // The rows: who does not own a segment's first tile starts with its scores, which the other computed from them.
      "no wait: actor 1 step 31 barrier 0", "no wait: actor 2 step 0 barrier 0"};
  EXPECT_EQ(survivors<Shape<512>>(makeSystem<Shape<512>>(1, {3, 2}, 1)), implied);
}

TEST(HopperProtocol, EveryBrokenStepOfSharedRowsThatHoldTilesIsFound) {
  const Names implied = {
      // The producer: part 0 of slot 1 was given back, so both consumers had joined and the held tiles are free.
      "no wait: actor 0 step 27 barrier 9", "no wait: actor 0 step 30 barrier 6", "no wait: actor 0 step 33 barrier 7",
      // The rows, as above; the second join: the producer waits for consumer 0's part first, and after the last segment
      // nothing follows.
      "no wait: actor 1 step 37 barrier 0", "no wait: actor 1 step 59 barrier 12", "no wait: actor 2 step 0 barrier 0",
      "no wait: actor 2 step 27 barrier 12", "no wait: actor 2 step 52 barrier 12"};
  EXPECT_EQ(survivors<Shape<512>>(makeSystem<Shape<512>>(1, {3, 2}, 1, true)), implied);
}

TEST(HopperProtocol, EveryBrokenStepOfOwnRowsIsFound) {
  // Slot 1 is known to be free when the second segment starts: its consumers gave the rows back after tile 1.
  const Names implied = {"no wait: actor 0 step 15 barrier 5"};
  EXPECT_EQ(survivors<TwoSlots>(makeSystem<TwoSlots>(1, {3, 2}, 1)), implied);
}

TEST(HopperProtocol, EveryBrokenStepOfAClusterIsFound) {
  if (test::kIsSanitized) GTEST_SKIP() << kManyOrders;
  EXPECT_EQ(survivors<Shape<512>>(makeSystem<Shape<512>>(2, {3}, 1, false, true)), Names{});
}

}  // namespace
}  // namespace hyperarc::cuda::hopper
