#include "gradients/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace hyperarc::gradients {
namespace {

/// Work that takes about a millisecond, twenty times what starting a thread costs.
constexpr double kFlopsPerThread = 3e7;

/// Processors that this process may use.
int64_t processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

void parallelFor(int64_t count, double flops, const std::function<void(int64_t)>& body) {
  static const int64_t available = processors();
  const auto worthwhile = static_cast<int64_t>(flops / kFlopsPerThread) + 1;
  const int64_t threads = std::min({available, count, worthwhile});
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::thread> others;
  others.reserve(std::max<int64_t>(threads - 1, 0));
  try {
    while (static_cast<int64_t>(others.size()) < threads - 1) others.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: those there are do the work.
  }
  work();
  for (std::thread& thread : others) thread.join();
}

}  // namespace hyperarc::gradients
