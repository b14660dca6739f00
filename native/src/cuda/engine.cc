#include "engine.h"

#include <string>
#include <utility>

#include "class_centers.h"
#include "common/plan.h"
#include "common/validation.h"
#include "plan.h"
#include "runtime/scope.h"

namespace hyperarc::cuda {

namespace {

Status checkConfig(const Core& core, const CentersConfig& config, KernelChoice* choice) {
  if (Status status = checkCentersConfig(config); !status) return status;
  if (static_cast<int32_t>(config.precision) < 0 || config.precision > Precision::kBf16Master)
    return {StatusCode::kDtype, "precision: expected fp32, bf16 or bf16-master, received " +
                                    std::to_string(static_cast<int32_t>(config.precision)) + "; see Precision"};
  return kernelsFor(core, config, {}, choice);
}

class CudaEngine final : public Engine {
 public:
  explicit CudaEngine(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  DeviceInfo device() const override {
    DeviceInfo info = describe(core_->device);
    (void)core_->run("device", [&]() -> Status {
      info.freeMemoryBytes = freeMemoryBytes();
      return Status::ok();
    });
    return info;
  }

  Status plan(const CentersConfig& given, int64_t batch, double rate, Plan* plan) const override {
    const CentersConfig config = completed(given);
    KernelChoice choice;
    if (Status status = checkPlan(config, batch, rate); !status) return status;
    if (Status status = checkConfig(*core_, config, &choice); !status) return status;
    return core_->run("plan", [&]() -> Status {
      *plan = makePlan(*core_, config, batch, rate);
      return Status::ok();
    });
  }

  Status createCenters(const CentersConfig& given, std::unique_ptr<ClassCenters>* centers) override {
    const CentersConfig config = completed(given);
    KernelChoice choice;
    if (Status status = checkConfig(*core_, config, &choice); !status) return status;
    Plan plan;
    const Status status = core_->run("createCenters", [&]() -> Status {
      plan = makePlan(*core_, config, 1, 1.0);
      // Recycled steps count as taken; they are given back before this is the answer.
      if (!plan.fits) throw CudaError(StatusCode::kMemory, "the plan does not fit");
      *centers = std::make_unique<CudaClassCenters>(core_, config, choice);
      return Status::ok();
    });
    if (status.code() != StatusCode::kMemory) return status;
    return {StatusCode::kMemory,
            "classes: expected class centres that fit in the memory of " + core_->device.name +
                ", received a plan of " + describe(plan) +
                "; use fewer classes, a smaller dim, precision 'bf16-master', or shard the classes"};
  }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace

std::vector<DeviceInfo> cudaDevices() {
  std::vector<DeviceInfo> infos;
  try {
    for (const Device& device : findDevices()) infos.push_back(describe(device));
  } catch (const CudaError&) {
    // A device that cannot be described cannot be used: whyNoDevice() or createEngine say more.
    return {};
  }
  return infos;
}

Status createCudaEngine(const EngineConfig& config, std::unique_ptr<Engine>* engine) {
  return createCudaEngine(config, kernelTable(), engine);
}

Status createCudaEngine(const EngineConfig& config, KernelTable table, std::unique_ptr<Engine>* engine) {
  if (const std::string why = whyNoDevice(); !why.empty())
    return {StatusCode::kDevice, "kind: expected a usable CUDA device for cuda, received none: " + why};
  return guarded("createEngine", [&]() -> Status {
    try {
      const std::vector<Device> devices = findDevices();
      const int32_t count = static_cast<int32_t>(devices.size());
      if (config.index < 0 || config.index >= count)
        return {StatusCode::kDevice, "index: expected a CUDA device in [0, " + std::to_string(count) + "), received " +
                                         std::to_string(config.index) + "; see listDevices()"};
      if (static_cast<int32_t>(config.kernels) < 0 || config.kernels > Kernels::kWgmma)
        return {StatusCode::kRange, "kernels: expected 0 to 3, received " +
                                        std::to_string(static_cast<int32_t>(config.kernels)) + "; see Kernels"};
      const Device& device = devices[config.index];
      if (Status status = checkDevice(device); !status) return status;
      const DeviceScope scope(config.index);
      *engine = std::make_unique<CudaEngine>(std::make_shared<Core>(device, config.kernels, table));
      return Status::ok();
    } catch (const CudaError& error) {
      return {error.code(), std::string("createEngine: ") + error.what() + "; check nvidia-smi"};
    }
  });
}

}  // namespace hyperarc::cuda
