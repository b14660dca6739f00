#include "cpu/engine.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>

#include "common/guard.h"
#include "common/plan.h"
#include "common/validation.h"
#include "cpu/class_centers.h"
#include "cpu/core.h"
#include "cpu/isa.h"
#include "cpu/plan.h"

namespace hyperarc::cpu {

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

Status checkConfig(const CentersConfig& config) {
  if (Status status = checkCentersConfig(config); !status) return status;
  if (config.precision != Precision::kFp32)
    return {StatusCode::kDtype, "precision: expected fp32 on the CPU engine, received bf16; use precision 'fp32'"};
  return Status::ok();
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
      if (Status status = checkConfig(config); !status) return status;
      if (Status status = checkPlan(config, batch, rate); !status) return status;
      *plan = makePlan(*core_, config, batch, rate);
      return Status::ok();
    });
  }

  Status createCenters(const CentersConfig& given, std::unique_ptr<ClassCenters>* centers) override {
    const CentersConfig config = completed(given);
    if (Status status = checkConfig(config); !status) return status;
    const Plan plan = makePlan(*core_, config, 1, 1.0);
    const auto refusal = [&]() -> Status {
      return {StatusCode::kMemory,
              "classes: expected class centres that fit in memory, received a plan of " + describe(plan) +
                  "; use fewer classes or a smaller dim, " +
                  (config.optimizer == Optimizer::kAdamW ? "take optimizer sgd" : "drop momentum") +
                  ", or shard the classes"};
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

DeviceInfo cpuDevice() { return describeDevice(CpuIsa::kAuto, usableProcessors()); }

Status createCpuEngine(const EngineConfig& config, std::unique_ptr<Engine>* engine) {
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

}  // namespace hyperarc::cpu
