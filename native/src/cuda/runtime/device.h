// A CUDA device as the engine knows it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <vector>

#include "hyperarc/status.h"
#include "hyperarc/types.h"

namespace hyperarc::cuda {

/// The oldest architecture the kernels are compiled for.
inline constexpr int kMinCapability = 80;

struct Device {
  int index = 0;
  int major = 0;  // compute capability
  int minor = 0;
  int multiprocessors = 0;
  int64_t sharedBytesPerBlock = 0;  // opt-in limit
  int64_t totalMemoryBytes = 0;
  std::string name;

  /// 80 for compute capability 8.0.
  int capability() const { return 10 * major + minor; }
  /// "sm_90a" where the build has kernels for the architecture's own instructions, else "sm_80".
  std::string architecture() const;
};

/// E_DEVICE unless this build has kernels that run on the device.
Status checkDevice(const Device& device);
/// Empty when there is a device this build can use; else why not, in a sentence without a full stop.
std::string whyNoDevice();
/// Devices of this process (CUDA_VISIBLE_DEVICES numbers them); none without a usable driver. Opens no context.
std::vector<Device> findDevices();
/// Free bytes of the current device; opens a context on it. Throws CudaError.
int64_t freeMemoryBytes();
DeviceInfo describe(const Device& device);
/// E_DEVICE unless `memory` is the device's own, or managed. `name` is the argument's. Throws CudaError.
Status checkDeviceMemory(const char* name, const void* memory, const Device& device);

}  // namespace hyperarc::cuda
