#include "hyperarc/registry.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "cores.h"

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

}  // namespace

Status describeCenters(int64_t centersId, CentersConfig* config) {
  const auto centers = addon::find(&addon::Registry::centers, centersId);
  if (!centers) return unknown("centers", centersId);
  std::lock_guard lock(centers->engine->use);
  *config = centers->centers->config();
  return Status::ok();
}

Status forwardById(int64_t centersId, int64_t stepId, const Batch& batch, const ForwardOutputs& out) {
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
  if (Status status = addon::runForward(*centers, *step, batch); !status) return status;
  const Step& filled = *step->step;
  if (out.lossB) std::ranges::copy(filled.lossB(), out.lossB);
  if (out.embeddingGradientBD) std::ranges::copy(step->step->embeddingGradientBD(), out.embeddingGradientBD);
  if (out.targetCosineB) std::ranges::copy(filled.targetCosineB(), out.targetCosineB);
  return Status::ok();
}

}  // namespace hyperarc
