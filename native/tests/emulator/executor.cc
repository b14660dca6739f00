#include "executor.h"

#include <bit>
#include <cstdlib>
#include <cstring>

#include "cluster.h"
#include "memory.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace hyperarc::emulator {
namespace {

// Never destroyed: a thread may still run a kernel while the process exits.
Executor& executorInstance = *new Executor;

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kSharedGuardBytes = 0;  // the allocation's red zones guard it
#else
constexpr size_t kSharedGuardBytes = 256;
#endif
constexpr unsigned char kGuardByte = 0xa5;

bool sameSite(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

}  // namespace

void* dynamicShared() {
  void* shared = executorInstance.sharedMemory();
  if (shared == nullptr) fail("uses dynamic shared memory, and was launched with none");
  return shared;
}

int blockBarrier(BarrierKind kind, int predicate, Site site) {
  return executorInstance.blockBarrier(kind, predicate, site);
}

uint64_t warpCollective(WarpOperation operation, uint32_t mask, uint64_t value, int sourceLane, Site site) {
  return executorInstance.warpCollective(operation, mask, value, sourceLane, site);
}

unsigned laneIndex() { return executorInstance.lane(); }

void requireWidth(int width) {
  if (width < 1 || width > 32 || (width & (width - 1)) != 0)
    fail("shuffle of width %d; expected a power of two up to 32", width);
}

Executor& Executor::instance() { return executorInstance; }

void Executor::run(const KernelCall& call, uint64_t schedule) {
  Fiber main;
  main_ = &main;
  call_ = &call;
  schedule_ = schedule;
  randomState_ = (schedule + 1) * 0x9E3779B97F4A7C15u;
  blockThreads_ = call.block.x * call.block.y * call.block.z;
  threadCount_ = blockThreads_ * call.cluster;
  if (call.cluster > 1 && (call.cluster > kMaxCluster || call.grid.x % call.cluster != 0 || blockThreads_ % 32 != 0 ||
                           threadCount_ > 1024)) {
    fail(
        "clusters of %u blocks: expected at most %u, that divide the grid, of whole warps, at most 1024 threads in all "
        "(a limit of the harness)",
        call.cluster, kMaxCluster);
  }
  if (threads_.size() < threadCount_) threads_.resize(threadCount_);
  blockDim = call.block;
  gridDim = call.grid;
  prepareShared();
  for (unsigned z = 0; z < call.grid.z; ++z) {
    for (unsigned y = 0; y < call.grid.y; ++y) {
      for (unsigned x = 0; x < call.grid.x; x += call.cluster) {
        blockIdx = {x, y, z};
        firstBlock_ = x;
        startBlock();
        runBlock();
        checkShared();
      }
    }
  }
  checkGuards();
  for (void*& shared : shared_) {
    std::free(shared);
    shared = nullptr;
  }
  call_ = nullptr;
  current_ = nullptr;
  main_ = nullptr;
}

void Executor::prepareShared() {
  if (call_->sharedBytes == 0) return;
  for (unsigned rank = 0; rank < call_->cluster; ++rank) {
    if (posix_memalign(&shared_[rank], 1024, call_->sharedBytes + kSharedGuardBytes) != 0)
      fail("no host memory for its shared memory");
    std::memset(static_cast<unsigned char*>(shared_[rank]) + call_->sharedBytes, kGuardByte, kSharedGuardBytes);
  }
}

void Executor::checkShared() {
  if (call_->sharedBytes == 0) return;
  for (unsigned rank = 0; rank < call_->cluster; ++rank) {
    const unsigned char* guard = static_cast<const unsigned char*>(shared_[rank]) + call_->sharedBytes;
    for (size_t byte = 0; byte < kSharedGuardBytes; ++byte) {
      if (guard[byte] != kGuardByte)
        fail("wrote beyond its %zu bytes of dynamic shared memory (at byte +%zu)", call_->sharedBytes, byte);
    }
  }
}

void Executor::startBlock() {
  for (unsigned rank = 0; rank < call_->cluster; ++rank) {
    // NaN as float and bf16, −1 as an integer
    if (shared_[rank] != nullptr) std::memset(shared_[rank], 0xff, call_->sharedBytes);
  }
  startCluster(threadCount_);
  ++clusterSerial_;
  exited_ = 0;
  arrived_ = 0;
  readyWarps_ = 0;
  uint32_t number = 0;
  for (unsigned rank = 0; rank < call_->cluster; ++rank) {
    for (unsigned z = 0; z < call_->block.z; ++z) {
      for (unsigned y = 0; y < call_->block.y; ++y) {
        for (unsigned x = 0; x < call_->block.x; ++x, ++number) {
          Thread& thread = threads_[number];
          thread.state = Thread::State::kUnstarted;
          thread.index = {x, y, z};
          thread.fiber = nullptr;
          thread.pending.copies.clear();
          thread.pending.groupEnds.clear();
        }
      }
    }
  }
  for (uint32_t warp = 0; warp * 32 < threadCount_; ++warp) {
    const uint32_t lanes = threadCount_ - warp * 32;
    warps_[warp] = {};
    warps_[warp].existing = lanes >= 32 ? 0xffffffffu : (1u << lanes) - 1;
    warps_[warp].ready = warps_[warp].existing;
    readyWarps_ |= 1u << warp;
  }
}

void Executor::runBlock() {
  drawTurns();
  currentNumber_ = threadCount_ - 1;  // so that the first pick in order is thread 0
  Fiber* first = pickNext(nullptr);
  main_->switchTo(*first);
  if (!landings_.empty()) fail("ends with %zu bulk copies under way", landings_.size());
}

Fiber* Executor::takeFreeFiber() {
  if (freeFibers_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(&Executor::fiberMain, fibers_.size()));
    freeFibers_.push_back(fibers_.back().get());
  }
  Fiber* fiber = freeFibers_.back();
  freeFibers_.pop_back();
  return fiber;
}

void Executor::fiberMain() {
  Fiber::entered();
  Executor& executor = executorInstance;
  while (true) {
    Fiber* own = executor.current_->fiber;
    executor.call_->body();
    executor.threadEnds();
    Fiber* next = executor.pickNext(own);
    if (next == own) continue;
    executor.freeFibers_.push_back(own);
    own->switchTo(next == nullptr ? *executor.main_ : *next);
  }
}

void Executor::threadEnds() {
  const uint32_t number = currentNumber_;
  Warp& warp = warps_[number / 32];
  if (arrived_ > 0) {
    fail("ends while %u of %u threads wait at %s (%s:%d)", arrived_, threadCount_, barrierName(barrierKind_),
         barrierSite_.file, barrierSite_.line);
  }
  for (uint32_t waiting = warp.waiting; waiting != 0; waiting &= waiting - 1) {
    const Thread& other = threads_[number / 32 * 32 + std::countr_zero(waiting)];
    if (other.mask >> (number % 32) & 1u) {
      fail("ends while lane %d waits for it at %s (%s:%d) with mask 0x%08x", std::countr_zero(waiting),
           operationName(other.operation), other.site.file, other.site.line, other.mask);
    }
  }
  current_->state = Thread::State::kExited;
  current_->fiber = nullptr;
  warp.exited |= 1u << (number % 32);
  ++exited_;
}

uint32_t Executor::random(uint32_t limit) {
  randomState_ ^= randomState_ << 13;
  randomState_ ^= randomState_ >> 7;
  randomState_ ^= randomState_ << 17;
  return static_cast<uint32_t>((randomState_ >> 32) * limit >> 32);
}

void Executor::makeCurrent(uint32_t number) {
  currentNumber_ = number;
  current_ = &threads_[number];
  current_->state = Thread::State::kRunning;
  threadIdx = current_->index;
  blockIdx.x = firstBlock_ + rank();
}

namespace {

/// The lowest set bit above `position`, else the lowest.
uint32_t nextBit(uint32_t bits, uint32_t position) {
  const uint32_t above = position >= 31 ? 0 : bits & (0xffffffffu << (position + 1));
  return std::countr_zero(above != 0 ? above : bits);
}

uint32_t nthBit(uint32_t bits, uint32_t n) {
  for (; n > 0; --n) bits &= bits - 1;
  return std::countr_zero(bits);
}

}  // namespace

Fiber* Executor::pickNext(Fiber* freeFiber) {
  while (readyWarps_ == 0) {
    if (exited_ == threadCount_) return nullptr;
    if (landings_.empty()) reportDeadlock();
    landOne();
  }
  // The lanes of a warp first: they are likely to wait for one another.
  uint32_t warp = currentNumber_ / 32;
  uint32_t lane;
  if (schedule_ == 0) {
    const bool stays = readyWarps_ >> warp & 1u;
    if (!stays) warp = nextBit(readyWarps_, warp);
    lane = stays ? nextBit(warps_[warp].ready, currentNumber_ % 32) : std::countr_zero(warps_[warp].ready);
  } else {
    uint32_t warps = readyWarps_;
    if (turns_ == Turns::kStarve && (warps & ~(1u << starvedWarp_)) != 0) warps &= ~(1u << starvedWarp_);
    const bool stays = (warps >> warp & 1u) && (turns_ == Turns::kStay || random(8) != 0);
    if (!stays) warp = nthBit(warps, random(std::popcount(warps)));
    lane = nthBit(warps_[warp].ready, random(std::popcount(warps_[warp].ready)));
  }
  warps_[warp].ready &= ~(1u << lane);
  if (warps_[warp].ready == 0) readyWarps_ &= ~(1u << warp);
  makeCurrent(warp * 32 + lane);
  if (current_->fiber == nullptr) current_->fiber = freeFiber != nullptr ? freeFiber : takeFreeFiber();
  return current_->fiber;
}

void Executor::suspend() {
  Fiber* own = current_->fiber;
  Fiber* next = pickNext(nullptr);
  if (next != own) own->switchTo(*next);
}

void Executor::landOne() {
  const size_t index = schedule_ == 0 ? 0 : random(static_cast<uint32_t>(landings_.size()));
  const std::function<void()> landing = std::move(landings_[index]);
  landings_.erase(landings_.begin() + static_cast<ptrdiff_t>(index));
  landing();
}

void Executor::maybeLand() {
  if (schedule_ != 0 && !landings_.empty() && random(2) == 0) landOne();
}

void Executor::sleepAt(uint64_t object, const char* name, Site site) {
  current_->state = Thread::State::kAtObject;
  current_->object = object;
  current_->objectName = name;
  current_->site = site;
  suspend();
}

void Executor::wake(uint64_t object) {
  for (uint32_t number = 0; number < threadCount_; ++number) {
    Thread& thread = threads_[number];
    if (thread.state != Thread::State::kAtObject || thread.object != object) continue;
    thread.state = Thread::State::kRunning;
    warps_[number / 32].ready |= 1u << (number % 32);
    readyWarps_ |= 1u << (number / 32);
  }
}

void Executor::drawTurns() {
  if (schedule_ == 0) return;
  turns_ = static_cast<Turns>(random(3));
  starvedWarp_ = random((threadCount_ + 31) / 32);
}

void Executor::maybeYield() {
  if (schedule_ == 0 || random(4) != 0) return;
  warps_[currentNumber_ / 32].ready |= 1u << (currentNumber_ % 32);
  readyWarps_ |= 1u << (currentNumber_ / 32);
  suspend();
}

int Executor::blockBarrier(BarrierKind kind, int predicate, Site site) {
  if (current_ == nullptr) fail("%s outside a kernel (%s:%d)", barrierName(kind), site.file, site.line);
  if (kind != BarrierKind::kCluster && call_->cluster > 1) {
    fail("%s (%s:%d) in a cluster: the harness knows numbered and cluster barriers there", barrierName(kind), site.file,
         site.line);
  }
  if (exited_ > 0) {
    fail("waits at %s (%s:%d), and %u of %u threads have ended", barrierName(kind), site.file, site.line, exited_,
         threadCount_);
  }
  if (arrived_ == 0) {
    barrierKind_ = kind;
    barrierSite_ = site;
    barrierCount_ = 0;
  } else if (kind != barrierKind_ || !sameSite(site, barrierSite_)) {
    fail("waits at %s (%s:%d), and %u of %u threads at %s (%s:%d)", barrierName(kind), site.file, site.line, arrived_,
         threadCount_, barrierName(barrierKind_), barrierSite_.file, barrierSite_.line);
  }
  barrierCount_ += predicate != 0;
  if (++arrived_ < threadCount_) {
    current_->state = Thread::State::kAtBarrier;
    suspend();
    return barrierResult_;
  }
  const int all = static_cast<int>(threadCount_);
  barrierResult_ = kind == BarrierKind::kAnd  ? barrierCount_ == all
                   : kind == BarrierKind::kOr ? barrierCount_ > 0
                                              : barrierCount_;
  arrived_ = 0;
  for (uint32_t warp = 0; warp * 32 < threadCount_; ++warp) {
    warps_[warp].ready = warps_[warp].existing;
    readyWarps_ |= 1u << warp;
  }
  Warp& own = warps_[currentNumber_ / 32];
  own.ready &= ~(1u << (currentNumber_ % 32));
  if (own.ready == 0) readyWarps_ &= ~(1u << (currentNumber_ / 32));
  const int result = barrierResult_;
  drawTurns();
  maybeYield();
  return result;
}

uint64_t Executor::warpCollective(WarpOperation operation, uint32_t mask, uint64_t value, int sourceLane, Site site) {
  if (current_ == nullptr) fail("%s outside a kernel (%s:%d)", operationName(operation), site.file, site.line);
  const uint32_t laneBit = 1u << lane();
  Warp& warp = warps_[currentNumber_ / 32];
  if ((mask & laneBit) == 0 || (mask & ~warp.existing) != 0 || (mask & warp.exited) != 0) {
    fail("calls %s (%s:%d) with mask 0x%08x: it names %s", operationName(operation), site.file, site.line, mask,
         (mask & laneBit) == 0       ? "other lanes than the caller's"
         : (mask & warp.exited) != 0 ? "lanes that have ended"
                                     : "lanes that the block lacks");
  }
  Thread& thread = *current_;
  thread.operation = operation;
  thread.mask = mask;
  thread.value = value;
  thread.sourceLane = sourceLane;
  thread.site = site;
  warp.waiting |= laneBit;
  if ((warp.waiting & mask) != mask) {
    thread.state = Thread::State::kAtWarpFunction;
    suspend();
    return thread.result;
  }
  Thread* lanes = &threads_[currentNumber_ / 32 * 32];
  for (uint32_t rest = mask & ~laneBit; rest != 0; rest &= rest - 1) {
    const Thread& other = lanes[std::countr_zero(rest)];
    if (other.operation != operation || other.mask != mask || !sameSite(other.site, site)) {
      fail("calls %s (%s:%d) with mask 0x%08x, and lane %d waits at %s (%s:%d) with mask 0x%08x",
           operationName(operation), site.file, site.line, mask, std::countr_zero(rest), operationName(other.operation),
           other.site.file, other.site.line, other.mask);
    }
  }
  performCollective(operation, lanes, mask);
  warp.waiting &= ~mask;
  warp.ready |= mask & ~laneBit;
  if (warp.ready != 0) readyWarps_ |= 1u << (currentNumber_ / 32);
  const uint64_t result = thread.result;
  maybeYield();
  return result;
}

}  // namespace hyperarc::emulator
