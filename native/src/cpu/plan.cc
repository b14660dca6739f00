#include "cpu/plan.h"

#include <utility>

#include "common/plan.h"
#include "cpu/step.h"

namespace hyperarc::cpu {

Plan makePlan(const Core& core, const CentersConfig& config, int64_t batch, double rate) {
  constexpr int64_t kFloat = sizeof(float);
  const Blocking blocking(core.kernels, config.subCenters, config.dim);
  const int64_t rows = config.classes * config.subCenters;
  const int64_t sampled = sampleSize(rate, config.classes);
  const int64_t sampleBytes = rate < 1.0 ? sampled * static_cast<int64_t>(sizeof(int32_t)) : 0;
  std::vector<PlanPart> parts;
  parts.push_back({"weights", rows * config.dim * kFloat, true});
  for (const char* name : stateNames(config)) parts.push_back({name, rows * config.dim * kFloat, true});
  parts.push_back({"inverse norms", rows * kFloat, true});
  parts.push_back({"class blocks of the threads", core.pool.threads() * BlockScratch::bytes(blocking), false});
  parts.push_back({"partial sums",
                   blocking.chunks(sampled) * blocking.sweepSamples(batch) *
                       (blocking.dimPadded * kFloat + static_cast<int64_t>(sizeof(double))),
                   false});
  parts.push_back({"step", CpuStep::bytesFor(blocking, batch) + sampleBytes, false});
  return summed(std::move(parts), availableMemoryBytes());
}

}  // namespace hyperarc::cpu
