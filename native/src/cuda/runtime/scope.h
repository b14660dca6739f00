// Which device a thread is on. The engine's objects are made, used and destroyed by threads that others own, and a
// process may have reason to stay away from a device: cudaSetDevice opens its context, which takes hundreds of
// megabytes, and so does nearly every other call of a thread without one, cudaFree too, on device 0.
#pragma once

#include <cuda.h>

#include "runtime/error.h"

namespace hyperarc::cuda {

/// Makes a device the calling thread's current one, and gives the thread back the context it had, or none. Throws
/// CudaError.
class DeviceScope {
 public:
  explicit DeviceScope(int index);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  CUcontext before_ = nullptr;
};

/// The device that an object was made on: its destructor may run on any thread.
class HomeDevice {
 public:
  /// The calling thread's. Throws CudaError.
  HomeDevice() { check(cudaGetDevice(&index_), "device"); }

  /// Runs `call` (returning cudaError_t) there. What fails has nobody to report to: the error that caused it was
  /// reported where it happened.
  template <typename Call>
  void run(Call call) const noexcept {
    try {
      const DeviceScope scope(index_);
      ignore(call());
    } catch (const CudaError&) {
      // A failed device: the process keeps what it has of it until its end.
    }
  }

 private:
  int index_ = 0;
};

}  // namespace hyperarc::cuda
