// Runs one kernel: its blocks one after another, a block's threads on fibers. A thread runs until it waits for others
// (a barrier, a warp function) or ends; so a kernel without either runs as plain calls.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "emulator/warp_functions.h"
#include "fiber.h"

namespace hyperarc::emulator {

struct KernelCall {
  std::string name;
  dim3 grid;
  dim3 block;
  size_t sharedBytes = 0;
  std::function<void()> body;
};

/// cp.async copies of a thread that have not landed.
struct PendingCopies {
  struct Copy {
    void* to;
    const void* from;  // null: zeros
  };
  std::vector<Copy> copies;       // in order of issue
  std::vector<size_t> groupEnds;  // committed groups, as ends in `copies`
};

struct Thread {
  enum class State : uint8_t { kUnstarted, kRunning, kAtBarrier, kAtWarpFunction, kExited };
  State state = State::kUnstarted;
  uint3 index{};
  Fiber* fiber = nullptr;
  // The warp function it waits at.
  WarpOperation operation = WarpOperation::kNone;
  uint32_t mask = 0;
  uint64_t value = 0;
  uint64_t result = 0;
  int sourceLane = 0;
  Site site{};
  PendingCopies pending;
};

struct Warp {
  uint32_t existing = 0;  // lanes that the block has
  uint32_t ready = 0;     // lanes that can run
  uint32_t waiting = 0;   // lanes at a warp function
  uint32_t exited = 0;
};

class Executor {
 public:
  static Executor& instance();

  /// Runs the whole grid. The caller holds the runtime's lock: one kernel runs at a time.
  void run(const KernelCall& call, uint64_t schedule);

  int blockBarrier(BarrierKind kind, int predicate, Site site);
  uint64_t warpCollective(WarpOperation operation, uint32_t mask, uint64_t value, int sourceLane, Site site);

  const KernelCall* call() const { return call_; }  // null outside kernels
  Thread* current() const { return current_; }
  unsigned lane() const { return currentNumber_ & 31u; }
  void* sharedMemory() const { return shared_; }

 private:
  void startBlock();
  void runBlock();
  void prepareShared();
  void checkShared();
  static void fiberMain();
  void threadEnds();
  void suspend();
  /// Makes the next thread current and gives the fiber to go on with; null where none can run.
  Fiber* pickNext(Fiber* freeFiber);
  void makeCurrent(uint32_t number);
  void maybeYield();
  uint32_t random(uint32_t limit);
  Fiber* takeFreeFiber();
  [[noreturn]] void reportDeadlock();

  const KernelCall* call_ = nullptr;
  Thread* current_ = nullptr;
  uint32_t currentNumber_ = 0;
  uint32_t threadCount_ = 0;
  uint32_t exited_ = 0;
  uint32_t readyWarps_ = 0;
  std::vector<Thread> threads_;
  Warp warps_[32];

  // The block's barrier.
  uint32_t arrived_ = 0;
  BarrierKind barrierKind_ = BarrierKind::kPlain;
  Site barrierSite_{};
  int barrierCount_ = 0;
  int barrierResult_ = 0;

  uint64_t schedule_ = 0;  // 0: in order
  uint64_t randomState_ = 1;
  Fiber* main_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> freeFibers_;
  void* shared_ = nullptr;
};

/// What the last of the lanes to arrive does for all of them: fills their results. warp_collectives.cc.
void performCollective(WarpOperation operation, Thread* lanes, uint32_t mask);
const char* operationName(WarpOperation operation);

}  // namespace hyperarc::emulator
