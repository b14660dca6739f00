#include "emulator/prefetches.h"

#include "memory.h"

namespace hyperarc::emulator {
namespace {

PrefetchRecording* recording = nullptr;

}  // namespace

PrefetchRecording::PrefetchRecording() {
  if (recording != nullptr) fail("prefetches are being recorded already: end the other PrefetchRecording first");
  recording = this;
}

PrefetchRecording::~PrefetchRecording() { recording = nullptr; }

void prefetchLine(const void* global, Site site) {
  if (!isDeviceRange(global, 1)) {
    fail("prefetch.global.L2 (%s:%d) at %p: expected an address in an allocation of device memory", site.file,
         site.line, global);
  }
  if (recording != nullptr) recording->add({reinterpret_cast<uintptr_t>(global), 0});
}

void prefetchBulk(const void* global, uint32_t bytes, Site site) {
  if (reinterpret_cast<uintptr_t>(global) % 16 != 0 || bytes % 16 != 0) {
    fail("cp.async.bulk.prefetch (%s:%d) of %u bytes at %p: expected multiples of 16", site.file, site.line, bytes,
         global);
  }
  if (!isDeviceRange(global, bytes)) {
    fail("cp.async.bulk.prefetch (%s:%d) of %u bytes at %p: expected bytes of one allocation of device memory",
         site.file, site.line, bytes, global);
  }
  if (recording != nullptr) recording->add({reinterpret_cast<uintptr_t>(global), bytes});
}

}  // namespace hyperarc::emulator
