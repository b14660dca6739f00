// Runs one kernel: its blocks (or clusters of them) one after another, their threads on fibers. A thread runs until it
// waits for others (a barrier, a warp function) or ends; so a kernel without either runs as plain calls.
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
  std::function<void()> body{};
  unsigned cluster = 1;  // blocks, neighbours along x, that run together
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
  enum class State : uint8_t { kUnstarted, kRunning, kAtBarrier, kAtWarpFunction, kAtObject, kExited };
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
  // The object in shared memory that it waits at, and how messages call it.
  uint64_t object = 0;
  const char* objectName = nullptr;
};

struct Warp {
  uint32_t existing = 0;  // lanes that the block has
  uint32_t ready = 0;     // lanes that can run
  uint32_t waiting = 0;   // lanes at a warp function
  uint32_t exited = 0;
};

/// Blocks of a cluster that CUDA promises on every device.
inline constexpr unsigned kMaxCluster = 8;

class Executor {
 public:
  static Executor& instance();

  /// Runs the whole grid. The caller holds the runtime's lock: one kernel runs at a time.
  void run(const KernelCall& call, uint64_t schedule);

  int blockBarrier(BarrierKind kind, int predicate, Site site);
  uint64_t warpCollective(WarpOperation operation, uint32_t mask, uint64_t value, int sourceLane, Site site);
  /// Puts the current thread to sleep until wake() names the same object.
  void sleepAt(uint64_t object, const char* name, Site site);
  void wake(uint64_t object);
  void maybeLand();
  /// Work of the kernel that happens on its own some time later (bulk copies): as late as can be, or with a seed at odd
  /// moments and in any order.
  void addLanding(std::function<void()> landing) { landings_.push_back(std::move(landing)); }

  /// Of the cluster under way, from 1 on, over all kernels.
  uint64_t clusterSerial() const { return clusterSerial_; }
  const KernelCall* call() const { return call_; }  // null outside kernels
  Thread* current() const { return current_; }
  unsigned lane() const { return currentNumber_ & 31u; }
  unsigned rank() const { return currentNumber_ / blockThreads_; }  // of the block in its cluster
  unsigned threadNumber() const { return currentNumber_; }          // in the cluster
  /// Of the current thread's block, or of another one of its cluster.
  void* sharedMemory() const { return shared_[current_ == nullptr ? 0 : rank()]; }
  void* sharedMemoryOf(unsigned rank) const { return shared_[rank]; }

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
  void drawTurns();
  void landOne();
  uint32_t random(uint32_t limit);
  Fiber* takeFreeFiber();
  [[noreturn]] void reportDeadlock();

  const KernelCall* call_ = nullptr;
  Thread* current_ = nullptr;
  uint32_t currentNumber_ = 0;
  uint32_t threadCount_ = 0;   // of a cluster
  uint32_t blockThreads_ = 1;  // of a block
  unsigned firstBlock_ = 0;    // of the cluster, along x
  std::vector<std::function<void()>> landings_;
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

  uint64_t clusterSerial_ = 0;
  uint64_t schedule_ = 0;  // 0: in order
  uint64_t randomState_ = 1;
  /// With a seed, how warps take turns until the next barrier: one as far as it goes, then another; changing at odd
  /// moments; or one of them last.
  enum class Turns : uint8_t { kStay, kMix, kStarve };
  Turns turns_ = Turns::kMix;
  uint32_t starvedWarp_ = 0;
  Fiber* main_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> freeFibers_;
  void* shared_[kMaxCluster] = {};
};

/// What the last of the lanes to arrive does for all of them: fills their results. warp_collectives.cc.
void performCollective(WarpOperation operation, Thread* lanes, uint32_t mask);
const char* operationName(WarpOperation operation);
const char* barrierName(BarrierKind kind);

}  // namespace hyperarc::emulator
