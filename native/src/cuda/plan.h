// Memory of a problem on a device, by part, before it is taken.
#pragma once

#include <cstdint>

#include "core.h"
#include "hyperarc/types.h"

namespace hyperarc::cuda {

/// What a pass asks of its kernels beyond the centres. By itself: one of many samples and classes.
struct PassNeeds {
  bool mask = false;          // steps of different samples
  int32_t negativeRules = 0;  // different ones
  int64_t samples = kEnough;
  int64_t classes = kEnough;  // that take part
};
/// The kernels that serve a problem, or why those asked for do not.
Status kernelsFor(const Core& core, const CentersConfig& config, const PassNeeds& needs, KernelChoice* choice);
/// `config` must have passed checkCentersConfig and kernelsFor. On the core's device, current. Throws CudaError.
Plan makePlan(Core& core, const CentersConfig& config, int64_t batch, double rate);
/// The parts that live as long as the centres.
std::vector<PlanPart> centersParts(const CentersConfig& config);

}  // namespace hyperarc::cuda
