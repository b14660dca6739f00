// Memory of a problem, by part, before it is taken.
#pragma once

#include <cstdint>
#include <string>

#include "cpu/core.h"
#include "hyperarc/types.h"

namespace hyperarc::cpu {

/// `config` must have passed checkCentersConfig.
Plan makePlan(const Core& core, const CentersConfig& config, int64_t batch, double rate);
/// "weights 204.8 MB, momentum 204.8 MB, …; 409.9 MB in all, 21.3 GB available".
std::string describe(const Plan& plan);

}  // namespace hyperarc::cpu
