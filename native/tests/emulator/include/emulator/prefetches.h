// Prefetches to L2: they change nothing that a program sees, so they are checked, and recorded for tests that ask what
// was brought.
#pragma once

#include <cstdint>
#include <vector>

#include "emulator/warp_functions.h"

namespace hyperarc::emulator {

/// prefetch.global.L2: the line that holds the address.
void prefetchLine(const void* global, Site site);
/// cp.async.bulk.prefetch.L2.
void prefetchBulk(const void* global, uint32_t bytes, Site site);

struct Prefetch {
  uintptr_t begin;
  uint32_t bytes;  // 0: a line's
};

/// Records while it lives. One at a time.
class PrefetchRecording {
 public:
  PrefetchRecording();
  ~PrefetchRecording();
  PrefetchRecording(const PrefetchRecording&) = delete;
  PrefetchRecording& operator=(const PrefetchRecording&) = delete;

  const std::vector<Prefetch>& prefetches() const { return prefetches_; }
  void add(const Prefetch& prefetch) { prefetches_.push_back(prefetch); }

 private:
  std::vector<Prefetch> prefetches_;
};

}  // namespace hyperarc::emulator
