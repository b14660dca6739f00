#include "common/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace hyperarc {

std::string bytesText(int64_t bytes) {
  const char* units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000.0 && unit < 5; ++unit) value /= 1000.0;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

Plan summed(std::vector<PlanPart> parts, int64_t availableBytes) {
  Plan plan;
  plan.parts = std::move(parts);
  for (const PlanPart& part : plan.parts) {
    plan.peakBytes += part.bytes;
    if (part.persistent) plan.persistentBytes += part.bytes;
  }
  plan.availableBytes = availableBytes;
  plan.fits = plan.peakBytes <= plan.availableBytes;
  return plan;
}

std::string describe(const Plan& plan) {
  std::string text;
  for (const PlanPart& part : plan.parts) text += (text.empty() ? "" : ", ") + part.name + " " + bytesText(part.bytes);
  return text + "; " + bytesText(plan.peakBytes) + " in all, " + bytesText(plan.availableBytes) + " available";
}

std::vector<const char*> stateNames(const CentersConfig& config) {
  if (config.optimizer == Optimizer::kAdamW) return {"first moment", "second moment"};
  if (config.momentum) return {"momentum"};
  return {};
}

int64_t sampleSize(double rate, int64_t classes) {
  return std::clamp<int64_t>(static_cast<int64_t>(std::floor(rate * static_cast<double>(classes) + 0.5)), 1, classes);
}

}  // namespace hyperarc
