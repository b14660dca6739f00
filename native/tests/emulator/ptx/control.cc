// bra, ret, call, and the barriers of a block. PTX ISA, "Control Flow", "Parallel Synchronization".
#include "../executor.h"
#include "emulator/hopper_functions.h"
#include "emulator/warp_functions.h"
#include "frame.h"
#include "operations.h"

namespace hyperarc::emulator::ptx {
namespace {

void branch(Frame& frame, const Instruction& i) { frame.next = i.target; }
void end(Frame& frame, const Instruction&) { frame.next = frame.function.instructions.size(); }

/// call (results), function, (arguments): operands are addresses of the caller's parameter space, results first,
/// `number` of them.
void call(Frame& frame, const Instruction& i) {
  Frame inner(frame.module, *i.callee);
  const size_t arguments = i.operands.size() - i.number;
  if (arguments != i.callee->parameters.size() || i.number != i.callee->results.size())
    refuse(frame, i, "another number of arguments than the function has");
  for (size_t n = 0; n < arguments; ++n) {
    const Parameter& parameter = i.callee->parameters[n];
    const uint64_t from = bitsOf(frame, i.operands[i.number + n]);
    std::memcpy(inner.parameters.data() + parameter.offset,
                place(frame, i, Space::kParameter, from, parameter.bytes, 1), parameter.bytes);
  }
  run(inner);
  for (uint32_t n = 0; n < i.number; ++n) {
    const Parameter& result = i.callee->results[n];
    const uint64_t to = bitsOf(frame, i.operands[n]);
    std::memcpy(place(frame, i, Space::kParameter, to, result.bytes, 1), inner.parameters.data() + result.offset,
                result.bytes);
  }
}

/// bar.sync a{, b}: of all threads of the block, or of b.
void barrier(Frame& frame, const Instruction& i) {
  const Site site = siteOf(frame, i);
  const int number = static_cast<int>(get<uint32_t>(frame, i, 0));
  const KernelCall& launched = *Executor::instance().call();
  const unsigned threads = launched.block.x * launched.block.y * launched.block.z;
  if (i.operands.size() > 1) {
    joinThreads(number, static_cast<int>(get<uint32_t>(frame, i, 1)), site);
  } else if (launched.cluster > 1) {
    joinThreads(number, static_cast<int>(threads), site);
  } else if (number == 0) {
    blockBarrier(BarrierKind::kPlain, 0, site);
  } else {
    refuse(frame, i, "a numbered barrier without a count, which is not known here");
  }
}

/// bar.red.OP.pred p, a, q (`number`: the BarrierKind).
void reduceAtBarrier(Frame& frame, const Instruction& i) {
  const bool result =
      blockBarrier(static_cast<BarrierKind>(i.number), holds(frame, i.operands[2]), siteOf(frame, i)) != 0;
  put<uint32_t>(frame, i, 0, result ? 1 : 0);
}

}  // namespace

Handler controlHandler(const Words& words, Instruction& instruction) {
  const std::string& name = words[0];
  if (name == "bra") return branch;
  if (name == "ret" || name == "exit") return end;
  if (name == "call") return call;
  if (name == "bar" && words.size() == 2 && words[1] == "sync") return barrier;
  if (name == "bar" && words.size() == 4 && words[1] == "red" && words[3] == "pred") {
    instruction.number = static_cast<uint32_t>(words[2] == "or" ? BarrierKind::kOr : BarrierKind::kAnd);
    return reduceAtBarrier;
  }
  return nullptr;
}

}  // namespace hyperarc::emulator::ptx
