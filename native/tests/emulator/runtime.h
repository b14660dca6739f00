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
  int device = 0;           // that the runtime takes, or will take, as its current one
  bool hasContext = false;  // the device's is current; else the next call that needs one makes it so
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

/// Makes the context of the calling thread's device current, and opens it where it is the first time, as nearly every
/// call of the runtime does.
void takeContext();
/// Closes all of them. Threads keep what they think is current.
void closeContexts();

/// Runs `body(settings)` as an API call that needs no context: refuses without driver or device and inside a host
/// function.
template <typename Body>
cudaError_t apiQuery(Body&& body) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  const Settings settings = readSettings();
  if (hostThread().isInHostFunction) return remember(cudaErrorNotPermitted);
  const cudaError_t error = availability(settings);
  return remember(error == cudaSuccess ? body(settings) : error);
}

/// Runs `body(settings)` as any other API call: takes the thread's context, and refuses on a device that has failed
/// too.
template <typename Body>
cudaError_t apiCall(Body&& body) {
  const std::lock_guard<std::recursive_mutex> lock(runtimeMutex());
  const Settings settings = readSettings();
  if (hostThread().isInHostFunction) return remember(cudaErrorNotPermitted);
  cudaError_t error = availability(settings);
  if (error == cudaSuccess) takeContext();
  if (error == cudaSuccess) error = deviceError(hostThread().device);
  if (error == cudaSuccess) error = body(settings);
  // Work that ran during the call may have failed: its error is the call's.
  if (error == cudaSuccess) error = deviceError(hostThread().device);
  return remember(error);
}

/// The stream behind a handle, or null where it is none of the current device's.
Stream* resolveStream(cudaStream_t stream);

}  // namespace hyperarc::emulator
