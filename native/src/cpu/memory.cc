#include "cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <utility>

namespace hyperarc::cpu {

namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
constexpr uintptr_t kAlignment = 64;

/// A number alone in a file, as the control groups write them; kUnlimited for "max" or no such file.
int64_t readNumber(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : kUnlimited;
}

/// A "Name: 123 kB" line of /proc/meminfo in bytes.
int64_t memoryInfo(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  int64_t kilobytes = 0;
  while (file >> key >> kilobytes) {
    if (key == name) return kilobytes * 1024;
    std::getline(file, unit);
  }
  return kUnlimited;
}

int64_t inactiveFileBytes(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string key;
  int64_t bytes = 0;
  while (file >> key >> bytes) {
    if (key == name) return bytes;
  }
  return 0;
}

struct ControlGroup {
  int64_t limit = kUnlimited;
  int64_t used = 0;
};

ControlGroup controlGroup() {
  ControlGroup group;
  group.limit = readNumber("/sys/fs/cgroup/memory.max");
  int64_t used = readNumber("/sys/fs/cgroup/memory.current");
  int64_t reclaimable = inactiveFileBytes("/sys/fs/cgroup/memory.stat", "inactive_file");
  if (group.limit == kUnlimited) {  // version 1 of the control groups
    group.limit = readNumber("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    used = readNumber("/sys/fs/cgroup/memory/memory.usage_in_bytes");
    reclaimable = inactiveFileBytes("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file");
  }
  // File pages that nobody uses are counted as the group's, but are given back when memory is asked for.
  group.used = used == kUnlimited ? 0 : std::max<int64_t>(0, used - reclaimable);
  return group;
}

}  // namespace

FloatArray::FloatArray(int64_t count) {
  if (count == 0) return;
  const size_t bytes = static_cast<size_t>(count) * sizeof(float);
  // calloc knows which memory is fresh from the system, so that large arrays cost nothing until they are used.
  block_ = std::calloc(bytes + kAlignment, 1);
  if (block_ == nullptr) throw std::bad_alloc();
  const uintptr_t aligned = (reinterpret_cast<uintptr_t>(block_) + kAlignment - 1) / kAlignment * kAlignment;
  data_ = reinterpret_cast<float*>(aligned);
  size_ = count;
  // Huge pages spare the streaming passes most of their address-translation misses. Only advice: failure is harmless.
  constexpr uintptr_t kHugePage = 2 << 20;
  const uintptr_t begin = (aligned + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (aligned + bytes) / kHugePage * kHugePage;
  if (end > begin) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

FloatArray::~FloatArray() { std::free(block_); }

FloatArray::FloatArray(FloatArray&& other) noexcept
    : block_(std::exchange(other.block_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

FloatArray& FloatArray::operator=(FloatArray&& other) noexcept {
  std::swap(block_, other.block_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

int64_t totalMemoryBytes() { return std::min(memoryInfo("MemTotal:"), controlGroup().limit); }

int64_t availableMemoryBytes() {
  const ControlGroup group = controlGroup();
  const int64_t left = group.limit == kUnlimited ? kUnlimited : std::max<int64_t>(0, group.limit - group.used);
  return std::min(memoryInfo("MemAvailable:"), left);
}

}  // namespace hyperarc::cpu
