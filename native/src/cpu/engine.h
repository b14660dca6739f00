// The CPU engine's entry points.
#pragma once

#include <memory>

#include "hyperarc/engine.h"

namespace hyperarc::cpu {

/// This machine's processor, with the best instruction set and every usable thread.
DeviceInfo cpuDevice();
/// E_DEVICE, E_RANGE.
Status createCpuEngine(const EngineConfig& config, std::unique_ptr<Engine>* engine);

}  // namespace hyperarc::cpu
