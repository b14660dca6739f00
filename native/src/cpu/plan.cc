#include "cpu/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cpu/step.h"

namespace hyperarc::cpu {

namespace {

std::string bytesText(int64_t bytes) {
  const char* units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000.0 && unit < 5; ++unit) value /= 1000.0;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

}  // namespace

Plan makePlan(const Core& core, const CentersConfig& config, int64_t batch, double rate) {
  constexpr int64_t kFloat = sizeof(float);
  const Blocking blocking(core.kernels, config.subCenters, config.dim);
  const int64_t rows = config.classes * config.subCenters;
  const int64_t sampled = std::max<int64_t>(1, std::llround(rate * static_cast<double>(config.classes)));
  const int64_t sampleBytes = rate < 1.0 ? sampled * static_cast<int64_t>(sizeof(int32_t)) : 0;
  Plan plan;
  plan.parts.push_back({"weights", rows * config.dim * kFloat, true});
  if (config.momentum) plan.parts.push_back({"momentum", rows * config.dim * kFloat, true});
  plan.parts.push_back({"inverse norms", rows * kFloat, true});
  plan.parts.push_back({"class blocks of the threads", core.pool.threads() * BlockScratch::bytes(blocking), false});
  plan.parts.push_back({"partial sums",
                        blocking.chunks(sampled) * blocking.sweepSamples(batch) *
                            (blocking.dimPadded * kFloat + static_cast<int64_t>(sizeof(double))),
                        false});
  plan.parts.push_back({"step", CpuStep::bytesFor(blocking, batch) + sampleBytes, false});
  for (const PlanPart& part : plan.parts) {
    plan.peakBytes += part.bytes;
    if (part.persistent) plan.persistentBytes += part.bytes;
  }
  plan.availableBytes = availableMemoryBytes();
  plan.fits = plan.peakBytes <= plan.availableBytes;
  return plan;
}

std::string describe(const Plan& plan) {
  std::string text;
  for (const PlanPart& part : plan.parts) text += (text.empty() ? "" : ", ") + part.name + " " + bytesText(part.bytes);
  return text + "; " + bytesText(plan.peakBytes) + " in all, " + bytesText(plan.availableBytes) + " available";
}

}  // namespace hyperarc::cpu
