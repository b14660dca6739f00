// What the harness says when a kernel breaks a rule.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "executor.h"

namespace hyperarc::emulator {

const char* barrierName(BarrierKind kind) {
  constexpr const char* kNames[] = {"__syncthreads", "__syncthreads_count", "__syncthreads_and", "__syncthreads_or",
                                    "barrier.cluster"};
  return kNames[static_cast<int>(kind)];
}

void fail(const char* format, ...) {
  std::fflush(stdout);
  std::fprintf(stderr, "hyperarc emulator: ");
  const Executor& executor = Executor::instance();
  if (const KernelCall* call = executor.call()) {
    std::fprintf(stderr, "kernel '%s' <<<(%u, %u, %u), (%u, %u, %u), %zu>>>, block (%u, %u, %u), thread (%u, %u, %u): ",
                 call->name.c_str(), call->grid.x, call->grid.y, call->grid.z, call->block.x, call->block.y,
                 call->block.z, call->sharedBytes, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y,
                 threadIdx.z);
  }
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::fflush(stderr);
  std::abort();
}

void Executor::reportDeadlock() {
  std::map<std::string, uint32_t> places;
  for (uint32_t number = 0; number < threadCount_; ++number) {
    const Thread& thread = threads_[number];
    char place[512];
    switch (thread.state) {
      case Thread::State::kAtBarrier:
        std::snprintf(place, sizeof place, "wait at %s (%s:%d)", barrierName(barrierKind_), barrierSite_.file,
                      barrierSite_.line);
        break;
      case Thread::State::kAtWarpFunction:
        std::snprintf(place, sizeof place, "wait at %s (%s:%d) with mask 0x%08x", operationName(thread.operation),
                      thread.site.file, thread.site.line, thread.mask);
        break;
      case Thread::State::kAtObject:
        std::snprintf(place, sizeof place, "wait for %s (%s:%d)", thread.objectName, thread.site.file,
                      thread.site.line);
        break;
      default:
        std::snprintf(place, sizeof place, "have ended");
    }
    ++places[place];
  }
  std::string text;
  for (const auto& [place, count] : places) text += "\n  " + std::to_string(count) + " threads " + place;
  fail("deadlock: no thread of the block can go on%s", text.c_str());
}

}  // namespace hyperarc::emulator
