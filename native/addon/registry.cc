#include "hyperarc/registry.h"

#include <algorithm>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "argument_names.h"
#include "cores.h"
#include "device_memory.h"

namespace hyperarc {
namespace addon {
namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<int64_t, std::weak_ptr<CentersCore>> centers;
  std::unordered_map<int64_t, std::weak_ptr<StepCore>> steps;
};

/// Never destroyed: threads may still look something up while the process exits.
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

template <typename Core>
std::shared_ptr<Core> find(std::unordered_map<int64_t, std::weak_ptr<Core>> Registry::*map, int64_t id) {
  std::lock_guard lock(registry().mutex);
  const auto& entries = registry().*map;
  const auto entry = entries.find(id);
  return entry == entries.end() ? nullptr : entry->second.lock();
}

}  // namespace

void registerCenters(const std::shared_ptr<CentersCore>& centers) {
  std::lock_guard lock(registry().mutex);
  registry().centers[centers->id] = centers;
}

void registerStep(const std::shared_ptr<StepCore>& step) {
  std::lock_guard lock(registry().mutex);
  registry().steps[step->id] = step;
}

void withdraw(int64_t id) {
  std::lock_guard lock(registry().mutex);
  registry().centers.erase(id);
  registry().steps.erase(id);
}

}  // namespace addon

namespace {

Status unknown(const char* name, int64_t id) {
  return {StatusCode::kDisposed, std::string(name) + ": expected the id of a live object, received " +
                                     std::to_string(id) + "; it was disposed or never existed"};
}

Status busy(const char* name) {
  return {StatusCode::kBusy,
          std::string(name) + ": expected no asynchronous operation in flight, received one; await it first"};
}

/// The gradient of a step that forward has filled, to host or device memory.
Status copyGradient(Step& step, int64_t dim, const ForwardOutputs& out) {
  const std::span<const float> onHost = step.embeddingGradientBD();
  if (!out.embeddingGradientOnDevice && !onHost.empty()) {
    std::ranges::copy(onHost, out.embeddingGradientBD);
    return Status::ok();
  }
  const float* gradient = step.embeddingGradientOnDevice();
  if (!gradient) gradient = onHost.data();
  return copyMemory(out.embeddingGradientBD, gradient, step.batch() * dim * static_cast<int64_t>(sizeof(float)));
}

}  // namespace

Status describeCenters(int64_t centersId, CentersConfig* config) {
  const auto centers = addon::find(&addon::Registry::centers, centersId);
  if (!centers) return unknown("centers", centersId);
  std::lock_guard lock(centers->engine->use);
  *config = centers->centers->config();
  return Status::ok();
}

Status forwardById(int64_t centersId, int64_t stepId, const Batch& given, const ForwardOutputs& out) {
  const auto centers = addon::find(&addon::Registry::centers, centersId);
  if (!centers) return unknown("centers", centersId);
  const auto step =
      stepId == 0 ? std::make_shared<addon::StepCore>(centers->engine) : addon::find(&addon::Registry::steps, stepId);
  if (!step) return unknown("step", stepId);
  if (step->engine != centers->engine) {
    return {StatusCode::kDevice, "step: expected a step of the class centres' engine, received one of another engine"};
  }
  if (centers->inFlight > 0) return busy("centers");
  if (step->inFlight > 0) return busy("step");

  std::lock_guard lock(centers->engine->use);
  Batch batch = given;
  std::vector<float> onHost;
  if (batch.embeddingsOnDevice) {
    int32_t owner = -1;
    if (Status status = waitForDeviceOf(batch.embeddingsBD, &owner); !status) return status;
    // For the CPU engine, and between GPUs, through the host.
    if (centers->engine->kind == DeviceKind::kCpu || owner != centers->engine->index) {
      onHost.resize(batch.batch * centers->centers->config().dim);
      const auto bytes = static_cast<int64_t>(onHost.size() * sizeof(float));
      if (Status status = copyMemory(onHost.data(), batch.embeddingsBD, bytes); !status) return status;
      batch.embeddingsBD = onHost.data();
      batch.embeddingsOnDevice = false;
    }
  }
  if (Status status = addon::runForward(*centers, *step, batch); !status) {
    return {status.code(), addon::withArgumentNames(status.message())};
  }
  const Step& filled = *step->step;
  if (out.lossB) std::ranges::copy(filled.lossB(), out.lossB);
  if (out.embeddingGradientBD) {
    if (Status status = copyGradient(*step->step, centers->centers->config().dim, out); !status) return status;
  }
  if (out.targetCosineB) std::ranges::copy(filled.targetCosineB(), out.targetCosineB);
  if (out.rowGradientB4) std::ranges::copy(step->step->rowGradientB4(), out.rowGradientB4);
  return Status::ok();
}

}  // namespace hyperarc
