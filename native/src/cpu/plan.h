// Memory of a problem, by part, before it is taken.
#pragma once

#include <cstdint>

#include "cpu/core.h"
#include "hyperarc/types.h"

namespace hyperarc::cpu {

/// `config` must have passed checkCentersConfig.
Plan makePlan(const Core& core, const CentersConfig& config, int64_t batch, double rate);

}  // namespace hyperarc::cpu
