// The CUDA engine's entry points.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hyperarc/engine.h"

namespace hyperarc::cuda {

/// CUDA devices of this process; empty without a usable driver.
std::vector<DeviceInfo> cudaDevices();
/// E_DEVICE, E_MEMORY.
Status createCudaEngine(const EngineConfig& config, std::unique_ptr<Engine>* engine);

struct KernelRow;  // dispatch/dispatch.h
/// The same with another kernel table, which must live longer: for tests of what lines will do once they are proven.
Status createCudaEngine(const EngineConfig& config, std::span<const KernelRow> table, std::unique_ptr<Engine>* engine);

// runtime/device.h: empty when there is a device this build can use; else why not, in a sentence without a full stop.
std::string whyNoDevice();

}  // namespace hyperarc::cuda
