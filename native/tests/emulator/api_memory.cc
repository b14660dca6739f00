// Allocations, copies and fills.
#include <atomic>
#include <cstring>
#include <vector>

#include "emulator/copies.h"
#include "memory.h"
#include "runtime.h"

using namespace hyperarc::emulator;

namespace {

std::atomic<int64_t> toHost{0};

struct Region {
  unsigned char* begin;
  size_t pitch;
};

struct Extent {
  size_t widthBytes;
  size_t height;
  size_t span(size_t pitch) const { return pitch * (height - 1) + widthBytes; }
};

bool isPinned(const void* address) {
  const Allocation* allocation = findAllocation(address);
  return allocation != nullptr && allocation->kind != MemoryKind::kDevice;
}

void copyRows(Region to, Region from, Extent extent) {
  const DeviceMemoryAccess access(DeviceMemoryAccess::kAllDevices);
  for (size_t row = 0; row < extent.height; ++row) {
    std::memmove(to.begin + row * to.pitch, from.begin + row * from.pitch, extent.widthBytes);
  }
}

/// Both sides are the memory that `kind` says, whole.
cudaError_t checkCopy(Region to, Region from, Extent extent, cudaMemcpyKind kind) {
  if (to.begin == nullptr || from.begin == nullptr) return cudaErrorInvalidValue;
  if (extent.height > 1 && (extent.widthBytes > to.pitch || extent.widthBytes > from.pitch))
    return cudaErrorInvalidPitchValue;
  const bool toDevice = isDeviceMemory(to.begin);
  const bool fromDevice = isDeviceMemory(from.begin);
  if (kind != cudaMemcpyDefault) {
    const bool wantsToDevice = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool wantsFromDevice = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (toDevice != wantsToDevice || fromDevice != wantsFromDevice) return cudaErrorInvalidValue;
  }
  if (toDevice && !isDeviceRange(to.begin, extent.span(to.pitch))) return cudaErrorInvalidValue;
  if (fromDevice && !isDeviceRange(from.begin, extent.span(from.pitch))) return cudaErrorInvalidValue;
  return cudaSuccess;
}

/// Pinned host memory is read and written when the copy runs. Pageable memory is read at once (CUDA stages it), and
/// written before the call returns. What a blocking copy waits for: CUDA runtime API, "API synchronization behavior".
cudaError_t copy(Region to, Region from, Extent extent, cudaMemcpyKind kind, cudaStream_t handle, bool isBlocking) {
  return apiCall([&](const Settings& settings) {
    if (extent.widthBytes == 0 || extent.height == 0) return cudaSuccess;
    Stream* stream = resolveStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    const cudaError_t error = checkCopy(to, from, extent, kind);
    if (error != cudaSuccess) return error;
    const bool fromDevice = isDeviceMemory(from.begin);
    const bool toDevice = isDeviceMemory(to.begin);
    if (fromDevice && !toDevice) toHost += static_cast<int64_t>(extent.widthBytes * extent.height);
    Work work;
    const bool readsPageable = !fromDevice && !isPinned(from.begin);
    const bool writesPageable = !toDevice && !isPinned(to.begin);
    if (isBlocking && readsPageable) finishStream(stream, settings.schedule);
    if (readsPageable) {
      std::vector<unsigned char> staged(extent.widthBytes * extent.height);
      copyRows({staged.data(), extent.widthBytes}, from, extent);
      work.run = [to, extent, staged = std::move(staged)]() mutable {
        copyRows(to, {staged.data(), extent.widthBytes}, extent);
        return cudaSuccess;
      };
    } else {
      work.run = [to, from, extent] {
        copyRows(to, from, extent);
        return cudaSuccess;
      };
    }
    enqueue(stream, std::move(work));
    // To a device, a blocking copy waits for its end from pinned memory alone.
    const bool mayLandLater = toDevice && (fromDevice || readsPageable);
    if (writesPageable || (isBlocking && !mayLandLater)) finishStream(stream, settings.schedule);
    return cudaSuccess;
  });
}

cudaError_t fill(Region to, int value, Extent extent, cudaStream_t handle) {
  return apiCall([&](const Settings&) {
    if (extent.widthBytes == 0 || extent.height == 0) return cudaSuccess;
    Stream* stream = resolveStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (extent.height > 1 && extent.widthBytes > to.pitch) return cudaErrorInvalidPitchValue;
    if (!isDeviceRange(to.begin, extent.span(to.pitch))) return cudaErrorInvalidValue;
    enqueue(stream, {.run = [to, value, extent] {
              const DeviceMemoryAccess access(DeviceMemoryAccess::kAllDevices);
              for (size_t row = 0; row < extent.height; ++row)
                std::memset(to.begin + row * to.pitch, value, extent.widthBytes);
              return cudaSuccess;
            }});
    return cudaSuccess;
  });
}

Region region(const void* begin, size_t pitch) {
  return {static_cast<unsigned char*>(const_cast<void*>(begin)), pitch};
}

cudaError_t allocateDevice(void** pointer, size_t bytes, const Settings& settings) {
  const int device = hostThread().device;
  if (pointer == nullptr) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  const int64_t left = settings.memoryBytes - deviceBytesInUse(device);
  if (left < 0 || bytes > static_cast<size_t>(left)) return cudaErrorMemoryAllocation;
  *pointer = allocate(bytes, MemoryKind::kDevice, device);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

}  // namespace

int64_t hyperarc::emulator::bytesCopiedToHost() { return toHost; }

cudaError_t cudaMemGetInfo(size_t* freeBytes, size_t* totalBytes) {
  return apiCall([&](const Settings& settings) {
    const int64_t left = settings.memoryBytes - deviceBytesInUse(hostThread().device);
    *freeBytes = left < 0 ? 0 : static_cast<size_t>(left);
    *totalBytes = static_cast<size_t>(settings.memoryBytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return apiCall([&](const Settings& settings) { return allocateDevice(pointer, bytes, settings); });
}

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  return apiCall([&](const Settings& settings) {
    return resolveStream(stream) == nullptr ? cudaErrorInvalidResourceHandle : allocateDevice(pointer, bytes, settings);
  });
}

cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  takeContext();
  const Allocation* allocation = findAllocation(pointer);
  if (allocation == nullptr || allocation->begin != pointer || allocation->kind != MemoryKind::kDevice) {
    return remember(cudaErrorInvalidValue);
  }
  const int device = allocation->device;
  finishDevice(device, readSettings().schedule);  // as cudaFree does
  release(pointer, MemoryKind::kDevice);          // also on a failed device: the host's heap is whole
  return remember(deviceError(device));
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle) {
  return apiCall([&](const Settings&) {
    Stream* stream = resolveStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (pointer == nullptr) return cudaSuccess;
    if (!isDeviceMemory(pointer)) return cudaErrorInvalidValue;
    enqueue(stream,
            {.run = [pointer] { return release(pointer, MemoryKind::kDevice) ? cudaSuccess : cudaErrorInvalidValue; }});
    return cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) { return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault); }

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  return apiCall([&](const Settings&) {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    *pointer = allocate(bytes, MemoryKind::kPinned, hostThread().device);
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  takeContext();
  const Allocation* allocation = findAllocation(pointer);
  if (allocation == nullptr || allocation->begin != pointer || allocation->kind != MemoryKind::kPinned) {
    return remember(cudaErrorInvalidValue);
  }
  const int device = allocation->device;
  finishDevice(device, readSettings().schedule);
  release(pointer, MemoryKind::kPinned);
  return remember(deviceError(device));
}

cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned) {
  return apiCall([&](const Settings&) {
    if (pointer == nullptr || bytes == 0) return cudaErrorInvalidValue;
    if (findAllocation(pointer) != nullptr) return cudaErrorHostMemoryAlreadyRegistered;
    registerHost(pointer, bytes, hostThread().device);
    return cudaSuccess;
  });
}

cudaError_t cudaHostUnregister(void* pointer) {
  return apiCall([&](const Settings& settings) {
    finishDevice(hostThread().device, settings.schedule);
    return release(pointer, MemoryKind::kRegistered) ? cudaSuccess : cudaErrorHostMemoryNotRegistered;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return apiQuery([&](const Settings&) {
    const Allocation* allocation = findAllocation(pointer);
    void* address = const_cast<void*>(pointer);
    if (allocation == nullptr) {
      *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, address};
    } else if (allocation->kind == MemoryKind::kDevice) {
      *attributes = {cudaMemoryTypeDevice, allocation->device, address, nullptr};
    } else {
      *attributes = {cudaMemoryTypeHost, allocation->device, address, address};
    }
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return copy(region(to, bytes), region(from, bytes), {bytes, 1}, kind, nullptr, true);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return copy(region(to, bytes), region(from, bytes), {bytes, 1}, kind, stream, false);
}

cudaError_t cudaMemcpy2D(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t widthBytes, size_t height,
                         cudaMemcpyKind kind) {
  return copy(region(to, toPitch), region(from, fromPitch), {widthBytes, height}, kind, nullptr, true);
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t widthBytes,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return copy(region(to, toPitch), region(from, fromPitch), {widthBytes, height}, kind, stream, false);
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
  return fill(region(pointer, bytes), value, {bytes, 1}, nullptr);
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  return fill(region(pointer, bytes), value, {bytes, 1}, stream);
}

cudaError_t cudaMemset2D(void* pointer, size_t pitch, int value, size_t widthBytes, size_t height) {
  return fill(region(pointer, pitch), value, {widthBytes, height}, nullptr);
}

cudaError_t cudaMemset2DAsync(void* pointer, size_t pitch, int value, size_t widthBytes, size_t height,
                              cudaStream_t stream) {
  return fill(region(pointer, pitch), value, {widthBytes, height}, stream);
}
