// The CPU engine and the entry points of the public API.
#include "hyperarc/engine.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>

#include "cpu/class_centers.h"
#include "cpu/core.h"
#include "cpu/guard.h"
#include "cpu/isa.h"
#include "cpu/plan.h"
#include "cpu/validation.h"

namespace hyperarc {

namespace cpu {
namespace {

constexpr int kMaxThreads = 256;

int usableProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string processorName() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

DeviceInfo describeDevice(CpuIsa isa, int threads) {
  DeviceInfo info;
  info.kind = DeviceKind::kCpu;
  info.name = processorName();
  info.instructionSet = isaName(resolveIsa(isa));
  info.totalMemoryBytes = totalMemoryBytes();
  info.freeMemoryBytes = availableMemoryBytes();
  info.threads = threads;
  return info;
}

/// The configuration with globalClasses filled in.
CentersConfig completed(CentersConfig config) {
  if (config.globalClasses == 0) config.globalClasses = config.classes;
  return config;
}

class CpuEngine final : public Engine {
 public:
  explicit CpuEngine(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  DeviceInfo device() const override {
    DeviceInfo info = core_->device;
    info.freeMemoryBytes = availableMemoryBytes();
    return info;
  }

  Status plan(const CentersConfig& given, int64_t batch, double rate, Plan* plan) const override {
    return guarded("plan", [&]() -> Status {
      const CentersConfig config = completed(given);
      if (Status status = checkCentersConfig(config); !status) return status;
      if (batch < 1 || batch > std::numeric_limits<int32_t>::max())
        return {StatusCode::kShape,
                "batch: expected at least 1 sample, received " + std::to_string(batch) + "; pass the batch size"};
      if (Status status = checkSample({.rate = rate}); !status) return status;
      *plan = makePlan(*core_, config, batch, rate);
      return Status::ok();
    });
  }

  Status createCenters(const CentersConfig& given, std::unique_ptr<ClassCenters>* centers) override {
    const CentersConfig config = completed(given);
    if (Status status = checkCentersConfig(config); !status) return status;
    const Plan plan = makePlan(*core_, config, 1, 1.0);
    const auto refusal = [&]() -> Status {
      return {StatusCode::kMemory, "classes: expected class centres that fit in memory, received a plan of " +
                                       describe(plan) +
                                       "; use fewer classes or a smaller dim, drop momentum, or shard the classes"};
    };
    if (!plan.fits) return refusal();
    Status status = guarded("createCenters", [&]() -> Status {
      *centers = std::make_unique<CpuClassCenters>(core_, config);
      return Status::ok();
    });
    return status.code() == StatusCode::kMemory ? refusal() : status;
  }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace
}  // namespace cpu

std::vector<DeviceInfo> listDevices() { return {cpu::describeDevice(CpuIsa::kAuto, cpu::usableProcessors())}; }

std::string whyNoCuda() { return "this version of HyperArc has no CUDA kernels"; }

std::string buildDescription() {
#ifdef __clang__
  const std::string compiler = "clang++ " __clang_version__;
#else
  const std::string compiler = "g++ " __VERSION__;
#endif
  return "cpu-only, " + compiler + ", " HYPERARC_BUILD_TYPE;
}

Status createEngine(const EngineConfig& config, std::unique_ptr<Engine>* engine) {
  using namespace cpu;
  if (config.kind != DeviceKind::kCpu)
    return {StatusCode::kDevice, "kind: expected cpu, received cuda; " + whyNoCuda() + ", use device 'cpu'"};
  if (config.index != 0)
    return {StatusCode::kDevice, "index: expected 0 for the CPU, received " + std::to_string(config.index) + "; use 0"};
  if (config.threads < 0 || config.threads > kMaxThreads)
    return {StatusCode::kRange, "threads: expected 0 to " + std::to_string(kMaxThreads) + ", received " +
                                    std::to_string(config.threads) + "; 0 uses one for each processor"};
  if (!isaSupported(config.isa))
    return {StatusCode::kDevice, std::string("isa: expected an instruction set of this processor, received ") +
                                     isaName(config.isa) + "; use auto, or portable, which runs anywhere"};
  return guarded("createEngine", [&]() -> Status {
    const int threads = config.threads > 0 ? config.threads : std::min(usableProcessors(), kMaxThreads);
    try {
      auto core = std::make_shared<Core>(kernelsOf(config.isa), threads, describeDevice(config.isa, threads));
      *engine = std::make_unique<CpuEngine>(std::move(core));
    } catch (const std::system_error& error) {
      return {StatusCode::kDevice, "threads: expected to start " + std::to_string(threads) + " threads, received \"" +
                                       error.what() + "\"; ask for fewer"};
    }
    return Status::ok();
  });
}

}  // namespace hyperarc
