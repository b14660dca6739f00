// Device memory and pinned host memory: allocations of the host's heap, each on its own, so that AddressSanitizer sees
// its edges; without it, guard bytes around each are looked at after every kernel.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hyperarc::emulator {

enum class MemoryKind : uint8_t { kDevice, kPinned, kRegistered };

struct Allocation {
  unsigned char* begin;
  size_t bytes;
  MemoryKind kind;
  int device;
  void* heap;  // what to free; null for registered host memory
};

/// Device memory is filled with 0xFF (NaN). Null when the host has none left.
void* allocate(size_t bytes, MemoryKind kind, int device);
void registerHost(void* begin, size_t bytes, int device);
/// False where no allocation of that kind begins there.
bool release(void* begin, MemoryKind kind);
/// The allocation that holds the address, or null.
const Allocation* findAllocation(const void* address);
bool isDeviceMemory(const void* address);
/// [address, address + bytes) lies in one allocation of device memory.
bool isDeviceRange(const void* address, size_t bytes);
int64_t deviceBytesInUse(int device);

/// Device memory is open to loads and stores while one of these lives: for queued work, not for the host's own code.
/// Only AddressSanitizer keeps the door.
class DeviceMemoryAccess {
 public:
  static constexpr int kAllDevices = -1;
  explicit DeviceMemoryAccess(int device);
  ~DeviceMemoryAccess();
  DeviceMemoryAccess(const DeviceMemoryAccess&) = delete;
  DeviceMemoryAccess& operator=(const DeviceMemoryAccess&) = delete;

 private:
  int device_;
};

/// Aborts where something was written outside an allocation.
void checkGuards();

}  // namespace hyperarc::emulator
