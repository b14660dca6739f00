// A stack of its own for each thread of a block, and the switch between two of them.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace hyperarc::emulator {

class Fiber {
 public:
  /// The stack of the calling operating system thread; only ever switched away from and back to.
  Fiber();
  /// A new stack on which `entry` starts at the first switch to it. `entry` never returns. `number` staggers the
  /// stacks, so that the same frame of 32 lanes does not fall into one set of the cache.
  Fiber(void (*entry)(), size_t number);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Goes on where `to` left off (or starts it); returns when something switches back to this fiber.
  void switchTo(Fiber& to);
  /// To be called first on a new stack.
  static void entered();

 private:
  void* stackPointer_ = nullptr;
  void* mapping_ = nullptr;  // guard page, then the stack
  const void* stackBottom_ = nullptr;
  size_t stackBytes_ = 0;
  void* fakeStack_ = nullptr;  // AddressSanitizer's
#if !defined(__x86_64__)
  ucontext_t context_;
#endif
};

}  // namespace hyperarc::emulator
