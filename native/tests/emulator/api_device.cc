// Devices, versions and errors.
#include <cuda.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "memory.h"
#include "runtime.h"

namespace hyperarc::emulator {

HostThread& hostThread() {
  thread_local HostThread thread;
  return thread;
}

std::recursive_mutex& runtimeMutex() {
  static std::recursive_mutex* mutex = new std::recursive_mutex;  // outlives static destructors that free CUDA objects
  return *mutex;
}

cudaError_t availability(const Settings& settings) {
  // CUDA's minor-version compatibility: a driver of the runtime's major version will do.
  if (settings.driverVersion / 1000 < kRuntimeVersion / 1000) return cudaErrorInsufficientDriver;
  return settings.devices == 0 ? cudaErrorNoDevice : cudaSuccess;
}

Stream* resolveStream(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy) return defaultStream(hostThread().device);
  return isStream(stream) && stream->device == hostThread().device ? stream : nullptr;
}

void reset() {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  for (int device = 0; device < kMostDevices; ++device) resetDevice(device);
  closeContexts();
  restartTurns();
  hostThread() = {};
}

}  // namespace hyperarc::emulator

using namespace hyperarc::emulator;

namespace {

constexpr int kMultiprocessors = 4;
constexpr int kThreadsPerMultiprocessor = 2048;

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorPeerAccessAlreadyEnabled, "cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
};

struct DriverFunction {
  const char* name;
  void* address;
};
const DriverFunction kDriverFunctions[] = {
    {"cuTensorMapEncodeTiled", reinterpret_cast<void*>(&cuTensorMapEncodeTiled)},
    {"cuCtxGetCurrent", reinterpret_cast<void*>(&cuCtxGetCurrent)},
    {"cuCtxSetCurrent", reinterpret_cast<void*>(&cuCtxSetCurrent)},
};

const ErrorText& textOf(cudaError_t error) {
  static constexpr ErrorText kUnknown = {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"};
  for (const ErrorText& text : kErrors) {
    if (text.error == error) return text;
  }
  return kUnknown;
}

int threadsPerMultiprocessor(const Settings& settings) {
  const int capability = settings.computeCapability;
  return capability == 86 || capability == 89 || capability >= 120 ? 1536 : kThreadsPerMultiprocessor;
}

}  // namespace

const char* cudaGetErrorName(cudaError_t error) { return textOf(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return textOf(error).text; }

cudaError_t cudaGetLastError() {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  const cudaError_t failed = deviceError(hostThread().device);
  const cudaError_t last = std::exchange(hostThread().lastError, cudaSuccess);
  return failed != cudaSuccess ? failed : last;
}

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  const cudaError_t failed = deviceError(hostThread().device);
  return failed != cudaSuccess ? failed : hostThread().lastError;
}

cudaError_t cudaDriverGetVersion(int* version) {
  if (version == nullptr) return remember(cudaErrorInvalidValue);
  *version = readSettings().driverVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  return apiQuery([&](const Settings&) {
    const auto* known =
        std::find_if(std::begin(kDriverFunctions), std::end(kDriverFunctions),
                     [symbol](const DriverFunction& function) { return std::strcmp(symbol, function.name) == 0; });
    const bool isKnown = known != std::end(kDriverFunctions);
    *function = isKnown ? known->address : nullptr;
    *result = isKnown ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
  });
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return remember(cudaErrorInvalidValue);
  *version = kRuntimeVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (count == nullptr) return remember(cudaErrorInvalidValue);
  const Settings settings = readSettings();
  const cudaError_t error = availability(settings);
  *count = error == cudaSuccess ? settings.devices : 0;
  return remember(error);
}

cudaError_t cudaSetDevice(int device) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  const Settings settings = readSettings();
  const cudaError_t error = availability(settings);
  if (error != cudaSuccess) return remember(error);
  if (device < 0 || device >= settings.devices) return remember(cudaErrorInvalidDevice);
  hostThread().device = device;
  takeContext();  // since CUDA 12
  return remember(deviceError(device));
}

cudaError_t cudaGetDevice(int* device) {
  const cudaError_t error = availability(readSettings());
  if (error != cudaSuccess) return remember(error);
  *device = hostThread().device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return apiQuery([&](const Settings& settings) {
    if (device < 0 || device >= settings.devices) return cudaErrorInvalidDevice;
    *properties = {};
    std::snprintf(properties->name, sizeof properties->name, "HyperArc emulated device %d (sm_%d)", device,
                  settings.computeCapability);
    properties->uuid.bytes[0] = static_cast<char>(device + 1);
    properties->totalGlobalMem = static_cast<size_t>(settings.memoryBytes);
    properties->sharedMemPerBlock = 48 * 1024;
    properties->regsPerBlock = 65536;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = 1024;
    properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
    properties->maxThreadsDim[2] = 64;
    properties->maxGridSize[0] = 0x7fffffff;
    properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
    properties->major = settings.computeCapability / 10;
    properties->minor = settings.computeCapability % 10;
    properties->multiProcessorCount = kMultiprocessors;
    properties->memoryBusWidth = 256;
    properties->l2CacheSize = 4 << 20;
    properties->maxThreadsPerMultiProcessor = threadsPerMultiprocessor(settings);
    properties->sharedMemPerMultiprocessor = static_cast<size_t>(settings.sharedBytes) + 1024;
    properties->sharedMemPerBlockOptin = static_cast<size_t>(settings.sharedBytes);
    properties->pciBusID = device + 1;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return apiQuery([&](const Settings& settings) {
    if (device < 0 || device >= settings.devices) return cudaErrorInvalidDevice;
    switch (attribute) {
      case cudaDevAttrMaxThreadsPerBlock:
        *value = 1024;
        return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = 48 * 1024;
        return cudaSuccess;
      case cudaDevAttrWarpSize:
        *value = 32;
        return cudaSuccess;
      case cudaDevAttrClockRate:
      case cudaDevAttrMemoryClockRate:
        *value = 1000000;  // kHz
        return cudaSuccess;
      case cudaDevAttrMultiProcessorCount:
        *value = kMultiprocessors;
        return cudaSuccess;
      case cudaDevAttrGlobalMemoryBusWidth:
        *value = 256;
        return cudaSuccess;
      case cudaDevAttrL2CacheSize:
        *value = 4 << 20;
        return cudaSuccess;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = threadsPerMultiprocessor(settings);
        return cudaSuccess;
      case cudaDevAttrComputeCapabilityMajor:
        *value = settings.computeCapability / 10;
        return cudaSuccess;
      case cudaDevAttrComputeCapabilityMinor:
        *value = settings.computeCapability % 10;
        return cudaSuccess;
      case cudaDevAttrUnifiedAddressing:
      case cudaDevAttrStreamPrioritiesSupported:
      case cudaDevAttrMemoryPoolsSupported:
        *value = 1;
        return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(settings.sharedBytes) + 1024;
        return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(settings.sharedBytes);
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* leastPriority, int* greatestPriority) {
  return apiCall([&](const Settings&) {
    if (leastPriority != nullptr) *leastPriority = 0;
    if (greatestPriority != nullptr) *greatestPriority = -5;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return apiCall([](const Settings& settings) {
    finishDevice(hostThread().device, settings.schedule);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceReset() {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  resetDevice(hostThread().device);
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* canAccess, int device, int peer) {
  return apiQuery([&](const Settings& settings) {
    if (std::min(device, peer) < 0 || std::max(device, peer) >= settings.devices) return cudaErrorInvalidDevice;
    *canAccess = device != peer;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return apiCall([&](const Settings& settings) {
    if (flags != 0) return cudaErrorInvalidValue;
    return peer < 0 || peer >= settings.devices || peer == hostThread().device ? cudaErrorInvalidDevice : cudaSuccess;
  });
}
