// Streams, events, host functions and kernel launches.
#include <algorithm>
#include <set>

#include "executor.h"
#include "memory.h"
#include "ptx/library.h"
#include "runtime.h"

namespace hyperarc::emulator {
namespace {

std::set<Event*>& events() {
  static auto* all = new std::set<Event*>;
  return *all;
}

bool isEvent(Event* event) { return events().contains(event); }

cudaError_t makeStream(cudaStream_t* stream, unsigned flags) {
  return apiCall([&](const Settings&) {
    if (stream == nullptr || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    *stream = createStream(hostThread().device, flags == cudaStreamDefault);
    return cudaSuccess;
  });
}

uint64_t product(dim3 size) { return static_cast<uint64_t>(size.x) * size.y * size.z; }

/// What CUDA answers at the launch, from the limits of compute capability 5.0 and up.
cudaError_t checkLaunch(dim3 grid, dim3 block, size_t sharedBytes, const Settings& settings) {
  if (product(grid) == 0 || product(block) == 0 || product(block) > 1024 || block.z > 64 || grid.x > 0x7fffffffu ||
      grid.y > 65535 || grid.z > 65535) {
    return cudaErrorInvalidConfiguration;
  }
  return sharedBytes > static_cast<size_t>(settings.sharedBytes) ? cudaErrorInvalidValue : cudaSuccess;
}

}  // namespace

cudaError_t launch(const char* name, dim3 grid, dim3 block, size_t sharedBytes, cudaStream_t handle,
                   std::function<void()> body, unsigned cluster, const Kernel& kernel) {
  return apiCall([&](const Settings& settings) {
    Stream* stream = resolveStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    const cudaError_t error = checkLaunch(grid, block, sharedBytes, settings);
    if (error != cudaSuccess) return error;
    if (!settings.failKernel.empty() && std::string(name).find(settings.failKernel) != std::string::npos) {
      enqueue(stream, {.run = [] { return cudaErrorLaunchFailure; }});
      return cudaSuccess;
    }
    if (!settings.ptxFolder.empty() && kernel.function != nullptr)
      body = ptx::bodyOf(settings.ptxFolder, settings.ptxLaunched, kernel.function, cluster, kernel.arguments);
    enqueue(stream, {.run = [call = KernelCall{name, grid, block, sharedBytes, std::move(body), cluster},
                             schedule = settings.schedule, device = stream->device] {
              const DeviceMemoryAccess access(device);
              Executor::instance().run(call, schedule);
              return cudaSuccess;
            }});
    return cudaSuccess;
  });
}

}  // namespace hyperarc::emulator

using namespace hyperarc::emulator;

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return makeStream(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) { return makeStream(stream, flags); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return makeStream(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  takeContext();
  if (!isStream(stream) || stream->isDefault) return remember(cudaErrorInvalidResourceHandle);
  const int device = stream->device;
  destroyStream(stream);
  return remember(deviceError(device));
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return apiCall([&](const Settings& settings) {
    Stream* stream = resolveStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    finishStream(stream, settings.schedule);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return apiCall([&](const Settings&) {
    Stream* stream = resolveStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->queue.empty()) return cudaSuccess;
    advance(stream);
    return cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  return apiCall([&](const Settings&) {
    Stream* stream = resolveStream(handle);
    if (stream == nullptr || !isEvent(event)) return cudaErrorInvalidResourceHandle;
    if (event->latest != nullptr) enqueue(stream, {.waitsFor = event->latest});
    return cudaSuccess;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  return apiCall([&](const Settings&) {
    Stream* stream = resolveStream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (function == nullptr) return cudaErrorInvalidValue;
    enqueue(stream, {.run = [function, data] {
              hostThread().isInHostFunction = true;
              function(data);
              hostThread().isInHostFunction = false;
              return cudaSuccess;
            }});
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return apiCall([&](const Settings&) {
    if (event == nullptr || (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0)
      return cudaErrorInvalidValue;
    *event = new Event{hostThread().device, (flags & cudaEventDisableTiming) == 0, nullptr};
    events().insert(*event);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  takeContext();
  if (!isEvent(event)) return remember(cudaErrorInvalidResourceHandle);
  const int device = event->device;
  events().erase(event);
  delete event;  // work that waits for it keeps the record
  return remember(deviceError(device));
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  return apiCall([&](const Settings&) {
    Stream* stream = resolveStream(handle);
    if (stream == nullptr || !isEvent(event) || event->device != stream->device) return cudaErrorInvalidResourceHandle;
    event->latest = std::make_shared<EventRecord>(EventRecord{stream});
    enqueue(stream, {.completes = event->latest});
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return apiCall([&](const Settings&) {
    if (!isEvent(event)) return cudaErrorInvalidResourceHandle;
    if (event->latest == nullptr || event->latest->isDone) return cudaSuccess;
    advance(event->latest->stream);
    return cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return apiCall([&](const Settings& settings) {
    if (!isEvent(event)) return cudaErrorInvalidResourceHandle;
    if (event->latest != nullptr) finishRecord(event->latest, settings.schedule);
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return apiCall([&](const Settings&) {
    if (!isEvent(start) || !isEvent(end) || !start->isTimed || !end->isTimed || start->latest == nullptr ||
        end->latest == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!start->latest->isDone || !end->latest->isDone) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->latest->time - start->latest->time).count();
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  return apiCall([&](const Settings& settings) {
    if (function == nullptr) return cudaErrorInvalidDeviceFunction;
    const bool fits =
        attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || (value >= 0 && value <= settings.sharedBytes);
    return fits ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  return apiCall([&](const Settings& settings) {
    if (function == nullptr) return cudaErrorInvalidDeviceFunction;
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    attributes->ptxVersion = attributes->binaryVersion = settings.computeCapability;
    attributes->maxDynamicSharedSizeBytes = static_cast<int>(settings.sharedBytes);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int blockThreads,
                                                          size_t dynamicSharedBytes) {
  return apiCall([&](const Settings& settings) {
    if (function == nullptr) return cudaErrorInvalidDeviceFunction;
    if (blocks == nullptr || blockThreads < 1) return cudaErrorInvalidValue;
    const int64_t shared = static_cast<int64_t>(dynamicSharedBytes);
    const int64_t byThreads = blockThreads > 1024 ? 0 : 2048 / blockThreads;
    const int64_t byShared = shared > settings.sharedBytes ? 0 : (settings.sharedBytes + 1024) / (shared + 1024);
    *blocks = static_cast<int>(std::min({byThreads, byShared, int64_t{32}}));
    return cudaSuccess;
  });
}
