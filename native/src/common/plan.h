// Arithmetic and words of a memory plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hyperarc/types.h"

namespace hyperarc {

/// The plan with its sums filled in: all transient parts live at once at the peak.
Plan summed(std::vector<PlanPart> parts, int64_t availableBytes);
/// "weights 204.8 MB, momentum 204.8 MB, …; 409.9 MB in all, 21.3 GB available".
std::string describe(const Plan& plan);
/// "204.8 MB".
std::string bytesText(int64_t bytes);
/// The arrays [C, K, D] that the optimizer keeps: "momentum", or "first moment" and "second moment", or none.
std::vector<const char*> stateNames(const CentersConfig& config);
/// Classes that take part in a step at `rate`: round half up, at least 1.
int64_t sampleSize(double rate, int64_t classes);

}  // namespace hyperarc
