// Partial FC's sampler: docs/numerics.md, "Sampler".
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/thread_pool.h"
#include "hyperarc/types.h"

namespace hyperarc::cpu {

/// Sorted local classes: `positives` (sorted, distinct) and the other classes with the smallest (key, class), up to
/// max(positives, round-half-up(rate·classes), 1) in all. Memory: O(result) and 256 KiB a thread.
std::vector<int32_t> sampleClasses(ThreadPool& pool, const std::vector<int32_t>& positives, int64_t classes,
                                   const SampleOptions& options);

}  // namespace hyperarc::cpu
