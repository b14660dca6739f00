#include "common/tracked_step.h"

#include <atomic>
#include <string>

namespace hyperarc {

uint64_t nextCentersId() {
  static std::atomic<uint64_t> next{1};
  return next++;
}

Status checkStep(Step* step, TrackedStep::Stage stage, uint64_t centersId, uint64_t version) {
  auto* tracked = dynamic_cast<TrackedStep*>(step);
  if (tracked == nullptr || tracked->ownerId != centersId)
    return {StatusCode::kDevice,
            "step: expected a step of these class centres, received another's; pass the step their forward made"};
  if (tracked->stage != stage)
    return {StatusCode::kBusy,
            std::string("step: expected ") +
                (stage == TrackedStep::Stage::kFinished ? "a finished forward" : "the stage before this one") +
                ", received another; call targetTerms, negativeSums, finishForward in order"};
  if (tracked->version != version)
    return {StatusCode::kStale, "step: expected one made from weights version " + std::to_string(version) +
                                    ", received version " + std::to_string(tracked->version) +
                                    "; the weights have moved since, run forward again"};
  return Status::ok();
}

Status checkFinished(std::span<Step* const> steps, uint64_t centersId, uint64_t version) {
  if (steps.empty()) return {StatusCode::kShape, "steps: expected at least one step, received none; run forward first"};
  for (Step* step : steps) {
    if (Status status = checkStep(step, TrackedStep::Stage::kFinished, centersId, version); !status) return status;
  }
  return Status::ok();
}

}  // namespace hyperarc
