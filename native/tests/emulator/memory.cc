#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <map>

#include "emulator/language.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes) (static_cast<void>(begin), static_cast<void>(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(begin, bytes) (static_cast<void>(begin), static_cast<void>(bytes))
#endif

namespace hyperarc::emulator {
namespace {

constexpr size_t kAlignment = 256;  // of cudaMalloc
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kGuardBytes = 0;
#else
constexpr size_t kGuardBytes = kAlignment;
#endif
constexpr unsigned char kGuardByte = 0xa5;

std::map<uintptr_t, Allocation>& allocations() {
  static auto* all = new std::map<uintptr_t, Allocation>;  // outlives static destructors that free CUDA objects
  return *all;
}

uintptr_t addressOf(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

void requireGuard(const unsigned char* guard, const Allocation& allocation) {
  for (size_t byte = 0; byte < kGuardBytes; ++byte) {
    if (guard[byte] == kGuardByte) continue;
    fail("wrote outside an allocation of %zu bytes at %p: at byte %td of it", allocation.bytes,
         static_cast<void*>(allocation.begin), guard + byte - allocation.begin);
  }
}

void checkGuard(const Allocation& allocation) {
  if (allocation.heap == nullptr || kGuardBytes == 0) return;
  requireGuard(allocation.begin - kGuardBytes, allocation);
  requireGuard(allocation.begin + allocation.bytes, allocation);
}

}  // namespace

void* allocate(size_t bytes, MemoryKind kind, int device) {
  void* heap = nullptr;
  if (bytes > SIZE_MAX - 2 * kGuardBytes || posix_memalign(&heap, kAlignment, bytes + 2 * kGuardBytes) != 0)
    return nullptr;
  unsigned char* begin = static_cast<unsigned char*>(heap) + kGuardBytes;
  std::memset(heap, kGuardByte, kGuardBytes);
  std::memset(begin + bytes, kGuardByte, kGuardBytes);
  std::memset(begin, 0xff, bytes);
  if (kind == MemoryKind::kDevice) ASAN_POISON_MEMORY_REGION(begin, bytes);
  allocations()[addressOf(begin)] = {begin, bytes, kind, device, heap};
  return begin;
}

void registerHost(void* begin, size_t bytes, int device) {
  allocations()[addressOf(begin)] = {static_cast<unsigned char*>(begin), bytes, MemoryKind::kRegistered, device,
                                     nullptr};
}

bool release(void* begin, MemoryKind kind) {
  const auto found = allocations().find(addressOf(begin));
  if (found == allocations().end() || found->second.kind != kind) return false;
  checkGuard(found->second);
  std::free(found->second.heap);
  allocations().erase(found);
  return true;
}

const Allocation* findAllocation(const void* address) {
  auto after = allocations().upper_bound(addressOf(address));
  if (after == allocations().begin()) return nullptr;
  const Allocation& allocation = (--after)->second;
  return addressOf(address) < addressOf(allocation.begin) + allocation.bytes ? &allocation : nullptr;
}

bool isDeviceMemory(const void* address) {
  const Allocation* allocation = findAllocation(address);
  return allocation != nullptr && allocation->kind == MemoryKind::kDevice;
}

bool isDeviceRange(const void* address, size_t bytes) {
  const Allocation* allocation = findAllocation(address);
  return allocation != nullptr && allocation->kind == MemoryKind::kDevice &&
         bytes <= allocation->bytes - (addressOf(address) - addressOf(allocation->begin));
}

int64_t deviceBytesInUse(int device) {
  int64_t bytes = 0;
  for (const auto& [begin, allocation] : allocations()) {
    if (allocation.kind == MemoryKind::kDevice && allocation.device == device)
      bytes += static_cast<int64_t>(allocation.bytes);
  }
  return bytes;
}

DeviceMemoryAccess::DeviceMemoryAccess(int device) : device_(device) {
  for (const auto& [address, allocation] : allocations()) {
    const bool isMeant =
        allocation.kind == MemoryKind::kDevice && (device == kAllDevices || device == allocation.device);
    if (isMeant) ASAN_UNPOISON_MEMORY_REGION(allocation.begin, allocation.bytes);
  }
}

DeviceMemoryAccess::~DeviceMemoryAccess() {
  for (const auto& [address, allocation] : allocations()) {
    const bool isMeant =
        allocation.kind == MemoryKind::kDevice && (device_ == kAllDevices || device_ == allocation.device);
    if (isMeant) ASAN_POISON_MEMORY_REGION(allocation.begin, allocation.bytes);
  }
}

void checkGuards() {
  for (const auto& [begin, allocation] : allocations()) checkGuard(allocation);
}

}  // namespace hyperarc::emulator
