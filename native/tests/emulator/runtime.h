// What every call of the fake runtime API does: one lock, the settings, errors in CUDA's order.
#pragma once

#include <mutex>
#include <utility>

#include "emulator/language.h"
#include "emulator/runtime_api.h"
#include "settings.h"
#include "work.h"

namespace hyperarc::emulator {

inline constexpr int kRuntimeVersion = CUDART_VERSION;

/// Of the calling host thread.
struct HostThread {
  int device = 0;
  cudaError_t lastError = cudaSuccess;
  bool isInHostFunction = false;
};
HostThread& hostThread();

/// One call at a time in a process; work runs in the thread that waits for it.
std::recursive_mutex& runtimeMutex();

/// Remembers the error for cudaGetLastError.
inline cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) hostThread().lastError = error;
  return error;
}

/// Driver and devices are there: cudaSuccess, or what CUDA answers where not.
cudaError_t availability(const Settings& settings);

/// Runs `body(settings)` as an API call: refuses without driver or device, on a device that has failed, inside a host
/// function and inside a kernel.
template <typename Body>
cudaError_t apiCall(Body&& body) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  const Settings settings = readSettings();
  if (hostThread().isInHostFunction) return remember(cudaErrorNotPermitted);
  cudaError_t error = availability(settings);
  if (error == cudaSuccess) error = deviceError(hostThread().device);
  if (error == cudaSuccess) error = body(settings);
  // Work that ran during the call may have failed: its error is the call's.
  if (error == cudaSuccess) error = deviceError(hostThread().device);
  return remember(error);
}

/// The stream behind a handle, or null where it is none of the current device's.
Stream* resolveStream(cudaStream_t stream);

}  // namespace hyperarc::emulator
