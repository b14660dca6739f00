#include "plan.h"

#include <utility>

#include "common/plan.h"
#include "step.h"

namespace hyperarc::cuda {

Status kernelsFor(const Core& core, const CentersConfig& config, const PassNeeds& needs, KernelChoice* choice) {
  return chooseKernels(core.table, core.device.capability(),
                       {.asked = core.kernels,
                        .precision = config.precision,
                        .subCenters = config.subCenters,
                        .dim = config.dim,
                        .needsMask = needs.mask,
                        .negativeRules = needs.negativeRules,
                        .samples = needs.samples,
                        .classes = needs.classes,
                        .optimizer = config.optimizer},
                       choice);
}

std::vector<PlanPart> centersParts(const CentersConfig& config) {
  const int64_t rows = config.classes * config.subCenters;
  const int64_t floats = rows * config.dim * static_cast<int64_t>(sizeof(float));
  const int64_t halves = rows * paddedDim(config.dim) * static_cast<int64_t>(sizeof(Bf16));
  const bool isBf16Master = config.precision == Precision::kBf16Master;
  std::vector<PlanPart> parts;
  parts.push_back({"weights", isBf16Master ? halves : floats, true});
  for (const char* name : stateNames(config)) parts.push_back({name, isBf16Master ? halves : floats, true});
  if (config.precision == Precision::kBf16Compute) parts.push_back({"bf16 copy of the weights", halves, true});
  parts.push_back({"inverse norms", rows * static_cast<int64_t>(sizeof(float)), true});
  return parts;
}

Plan makePlan(Core& core, const CentersConfig& config, int64_t batch, double rate) {
  CentersView view = {};
  view.precision = config.precision;
  view.rows = config.classes * config.subCenters;
  view.subCenters = config.subCenters;
  view.dim = config.dim;
  view.dimPadded = paddedDim(config.dim);
  const bool isPartial = rate < 1.0;
  const int64_t classes = isPartial ? sampleSize(rate, config.classes) : config.classes;
  KernelChoice choice;
  if (Status status = kernelsFor(core, config, {.samples = batch, .classes = classes}, &choice); !status)
    throw CudaError(status.code(), status.message());
  const StepLayout step(batch, config.dim, config.precision != Precision::kFp32, true, isPartial ? classes : 0);
  const int64_t scratch = core.passes(*choice.row).workspaceBytes(view, classes, isPartial, batch);
  std::vector<PlanPart> parts = centersParts(config);
  parts.push_back({"step", step.deviceBytes, false});
  parts.push_back({"scratch of the forward pass", scratch, false});
  parts.push_back({"scratch of the update", scratch, false});
  return summed(std::move(parts), freeMemoryBytes());
}

}  // namespace hyperarc::cuda
