// Runs the recorded programs of a system in every order that its barriers, its copies in flight and its unretired
// tensor-core reads allow. Found problems: deadlock, a read of what has not arrived or was overwritten, more arrivals
// or bytes than a phase takes.
#pragma once

#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>

#include "hopper_programs.h"

namespace hyperarc::cuda::hopper {

struct Verdict {
  std::string problem;  // empty: none in any order
  size_t states = 0;
};

/// Whether a step and the one after it count as one, which leaves out orders but no problem: a check only looks, and
/// contents never come back, so it sees at least as much when it is made later, right before the actor's next step; or,
/// behind a wait, when the check at retirement follows; what was announced cannot complete before its own copy is on
/// the way.
inline bool isOneWithNext(const Step& step, const Step& next, bool isHead) {
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

inline Verdict explore(const System& system, size_t limit = 3000000) { return Explorer(system, limit).explore(); }

}  // namespace hyperarc::cuda::hopper
