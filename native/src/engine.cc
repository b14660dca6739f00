// The entry points of the public API: which engine serves a device.
#include "hyperarc/engine.h"

#include <string>

#include "cpu/engine.h"
#if HYPERARC_WITH_CUDA
#include "cuda/engine.h"
#endif

namespace hyperarc {

std::vector<DeviceInfo> listDevices() {
  std::vector<DeviceInfo> devices = {cpu::cpuDevice()};
#if HYPERARC_WITH_CUDA
  for (DeviceInfo& device : cuda::cudaDevices()) devices.push_back(std::move(device));
#endif
  return devices;
}

std::string whyNoCuda() {
#if HYPERARC_WITH_CUDA
  return cuda::whyNoDevice();
#else
  return "this build of HyperArc is CPU-only (it was made without nvcc)";
#endif
}

std::string buildDescription() {
#ifdef __clang__
  const std::string compiler = "clang++ " __clang_version__;
#else
  const std::string compiler = "g++ " __VERSION__;
#endif
  return HYPERARC_BUILD_TEXT ", " + compiler + ", " HYPERARC_BUILD_TYPE;
}

Status createEngine(const EngineConfig& config, std::unique_ptr<Engine>* engine) {
  switch (config.kind) {
    case DeviceKind::kCpu:
      return cpu::createCpuEngine(config, engine);
    case DeviceKind::kCuda:
#if HYPERARC_WITH_CUDA
      return cuda::createCudaEngine(config, engine);
#else
      return {StatusCode::kDevice, "kind: expected cpu, received cuda; " + whyNoCuda() + ", use device 'cpu'"};
#endif
  }
  return {StatusCode::kDevice, "kind: expected cpu or cuda, received " +
                                   std::to_string(static_cast<int32_t>(config.kind)) + "; see DeviceKind"};
}

}  // namespace hyperarc
