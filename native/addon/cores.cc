#include "cores.h"

#include <algorithm>
#include <string>
#include <utility>

namespace hyperarc::addon {
namespace {

/// Never zero, never used twice in the process, whatever environment asks.
int64_t nextId() {
  static std::atomic<int64_t> next{1};
  return next.fetch_add(1);
}

Status checkFilledBy(const CentersCore& centers, const StepCore& step, Stage stage, const std::string& name,
                     const char* expected) {
  if (step.stage != stage) {
    return {StatusCode::kRange, name + ": expected a step after " + expected + ", received one that is not"};
  }
  if (step.centersId != centers.id) {
    return {StatusCode::kRange, name + ": expected a step of these class centres, received one of others"};
  }
  if (step.step->weightsVersion() != centers.centers->weightsVersion()) {
    return {StatusCode::kStale, name + ": expected a step computed from the present weights (version " +
                                    std::to_string(centers.centers->weightsVersion()) + "), received one of version " +
                                    std::to_string(step.step->weightsVersion()) + "; run forward again"};
  }
  return Status::ok();
}

Status collectSteps(const CentersCore& centers, std::span<const std::shared_ptr<StepCore>> steps,
                    std::vector<Step*>* out) {
  out->reserve(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string name = "steps[" + std::to_string(i) + "]";
    if (Status status = checkFilledBy(centers, *steps[i], Stage::kReady, name, "a successful forward"); !status) {
      return status;
    }
    out->push_back(steps[i]->step.get());
  }
  return Status::ok();
}

/// A stage that fails leaves a step that nothing but a new forward can use.
Status advance(CentersCore& centers, StepCore& step, Status status, Stage reached) {
  step.stage = status ? reached : Stage::kEmpty;
  step.centersId = centers.id;
  step.refresh();
  centers.refresh();
  return status;
}

void forgetOtherCenters(const CentersCore& centers, StepCore& step) {
  step.stage = Stage::kEmpty;
  if (step.centersId != centers.id) step.step.reset();
}

}  // namespace

EngineCore::EngineCore(std::unique_ptr<Engine> engine, std::shared_ptr<DeviceThread> thread)
    : engine(std::move(engine)),
      kind(this->engine->device().kind),
      index(this->engine->device().index),
      thread(std::move(thread)) {}

EngineCore::~EngineCore() { thread->close(); }

CentersCore::CentersCore(std::shared_ptr<EngineCore> engine, std::unique_ptr<ClassCenters> centers)
    : id(nextId()), engine(std::move(engine)), centers(std::move(centers)) {
  refresh();
}

CentersCore::~CentersCore() {
  withdraw(id);
  std::lock_guard lock(engine->use);
  centers.reset();
}

void CentersCore::refresh() {
  bytes = centers->bytes();
  weightsVersion = centers->weightsVersion();
  updates = centers->updates();
}

StepCore::StepCore(std::shared_ptr<EngineCore> engine) : id(nextId()), engine(std::move(engine)) {}

StepCore::~StepCore() {
  withdraw(id);
  std::lock_guard lock(engine->use);
  step.reset();
}

void StepCore::refresh() {
  const bool filled = step != nullptr && stage != Stage::kEmpty;
  batch = filled ? step->batch() : 0;
  bytes = step ? step->bytes() : 0;
}

Status runForward(CentersCore& centers, StepCore& step, const Batch& batch) {
  forgetOtherCenters(centers, step);
  return advance(centers, step, centers.centers->forward(batch, &step.step), Stage::kReady);
}

Status runTargetTerms(CentersCore& centers, StepCore& step, const Batch& batch) {
  forgetOtherCenters(centers, step);
  return advance(centers, step, centers.centers->targetTerms(batch, &step.step), Stage::kTargetTerms);
}

Status runNegativeSums(CentersCore& centers, StepCore& step) {
  if (Status status = checkFilledBy(centers, step, Stage::kTargetTerms, "step", "targetTerms"); !status) return status;
  return advance(centers, step, centers.centers->negativeSums(step.step.get()), Stage::kNegativeSums);
}

Status runFinishForward(CentersCore& centers, StepCore& step) {
  if (Status status = checkFilledBy(centers, step, Stage::kNegativeSums, "step", "negativeSums"); !status)
    return status;
  return advance(centers, step, centers.centers->finishForward(step.step.get()), Stage::kReady);
}

Status runTargetCosines(CentersCore& centers, const Batch& batch, float* cosinesB) {
  std::unique_ptr<Step> step;
  if (Status status = centers.centers->targetTerms(batch, &step); !status) return status;
  std::ranges::copy(std::as_const(*step).targetCosineB(), cosinesB);
  return Status::ok();
}

Status runUpdate(CentersCore& centers, std::span<const std::shared_ptr<StepCore>> steps, const UpdateOptions& options) {
  std::vector<Step*> engineSteps;
  if (Status status = collectSteps(centers, steps, &engineSteps); !status) return status;
  Status status = centers.centers->update(engineSteps, options);
  centers.refresh();
  return status;
}

Status runGradients(CentersCore& centers, std::span<const std::shared_ptr<StepCore>> steps, float* gradientCKD) {
  std::vector<Step*> engineSteps;
  if (Status status = collectSteps(centers, steps, &engineSteps); !status) return status;
  return centers.centers->gradients(engineSteps, gradientCKD);
}

}  // namespace hyperarc::addon
