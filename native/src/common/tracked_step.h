// What every engine's step knows of its making, and the checks that follow from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hyperarc/engine.h"

namespace hyperarc {

/// Identifies the class centres of this process; never used twice.
uint64_t nextCentersId();

class TrackedStep : public Step {
 public:
  enum class Stage { kTargets, kSums, kFinished };

  TrackedStep(uint64_t centersId, uint64_t weights) : ownerId(centersId), version(weights) {}
  uint64_t weightsVersion() const override { return version; }

  const uint64_t ownerId;
  const uint64_t version;
  Stage stage = Stage::kTargets;
};

/// Whether `step` is one of the centres `centersId`, at `stage`, of weights `version`. Only then may it be cast to
/// their own class.
Status checkStep(Step* step, TrackedStep::Stage stage, uint64_t centersId, uint64_t version);
/// At least one step, and each of them finished.
Status checkFinished(std::span<Step* const> steps, uint64_t centersId, uint64_t version);

}  // namespace hyperarc
