// The samples of one update: those of a single step where they lie, or of several steps one after another in the update
// stream's arena, so that accumulating micro-batches equals one large batch.
#pragma once

#include <cstdint>
#include <span>

#include "core.h"
#include "plan.h"
#include "step.h"
#include "views.h"

namespace hyperarc::cuda {

struct Accumulated {
  SamplesView samples;
  TargetsView targets;
  ClassList classes;  // that any of the steps used
  bool isPartial;     // classes are not all
  // As in CenterGradients.
  const uint8_t* hasClass;
  const int32_t* stepOfSample;
  NegativeRule rule;
  const NegativeRule* ruleOfStep;
};

/// What pass 2 over the steps asks of its kernels: a mask where they used different classes, their negative rules, and
/// how many samples and classes they have together.
PassNeeds needsOf(std::span<Step* const> steps, int64_t classes);

/// Enqueues on the update stream what pass 2 over the steps needs: coefficients, and for several steps the copies.
/// The result is valid until the next call. Throws CudaError.
Accumulated accumulate(Core& core, std::span<Step* const> steps, int64_t classes);

}  // namespace hyperarc::cuda
