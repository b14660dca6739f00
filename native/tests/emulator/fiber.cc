#include "fiber.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace hyperarc::emulator {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 1024 * 1024;  // red zones widen the frames
#else
constexpr size_t kStackBytes = 256 * 1024;
#endif

}  // namespace

#if defined(__x86_64__)
// void hyperarcSwitchStacks(void** saved, void* next): the registers that a call preserves (System V ABI) go on the old
// stack, and come from the new one.
extern "C" void hyperarcSwitchStacks(void** saved, void* next);
asm(R"(
.text
.p2align 4
.type hyperarcSwitchStacks, @function
hyperarcSwitchStacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size hyperarcSwitchStacks, .-hyperarcSwitchStacks
)");
#endif

Fiber::Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  // Finding the bounds reads /proc/self/maps, so once a thread.
  thread_local const auto bounds = [] {
    std::pair<void*, size_t> found{};
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
      pthread_attr_getstack(&attributes, &found.first, &found.second);
      pthread_attr_destroy(&attributes);
    }
    return found;
  }();
  stackBottom_ = bounds.first;
  stackBytes_ = bounds.second;
#endif
}

Fiber::Fiber(void (*entry)(), size_t number) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  mapping_ =
      mmap(nullptr, kStackBytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED || mprotect(mapping_, page, PROT_NONE) != 0) {
    std::perror("hyperarc emulator: the stack of a fiber");
    std::abort();
  }
  unsigned char* bottom = static_cast<unsigned char*>(mapping_) + page;
  stackBottom_ = bottom;
  stackBytes_ = kStackBytes;
#if defined(__x86_64__)
  void** top = reinterpret_cast<void**>(bottom + kStackBytes - number % 32 * 1088 - 64);  // 16-aligned
  top[-1] = nullptr;                                                                      // entry's return address
  top[-2] = reinterpret_cast<void*>(entry);
  stackPointer_ = top - 8;  // six registers below
#else
  static_cast<void>(number);
  getcontext(&context_);
  context_.uc_stack.ss_sp = bottom;
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
#endif
}

Fiber::~Fiber() {
  if (mapping_ != nullptr) munmap(mapping_, stackBytes_ + static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

void Fiber::switchTo(Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fakeStack_, to.stackBottom_, to.stackBytes_);
#endif
#if defined(__x86_64__)
  hyperarcSwitchStacks(&stackPointer_, to.stackPointer_);
#else
  swapcontext(&context_, &to.context_);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fakeStack_, nullptr, nullptr);
#endif
}

void Fiber::entered() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

}  // namespace hyperarc::emulator
