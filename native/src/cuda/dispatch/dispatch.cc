#include "dispatch/dispatch.h"

#include <limits>

#include "few_terms.h"

namespace hyperarc::cuda {

namespace {

constexpr int32_t kAny = std::numeric_limits<int32_t>::max();

// wgmma rounds every term alike: few of them are for a line that holds its tolerances there too.
constexpr PassSize kBeyondFew = {kFewSamples + 1, kFewClasses + 1, kFewDimensions};
constexpr PassSize kAnySize = {};  // a shard may have no class of a pass

constexpr KernelRow kTable[] = {
    // family, capabilities, Dp, fp32, bf16, K, mask, negative rules, AdamW, least, harness suffices, proven on hardware
    {Kernels::kWgmma, 90, 90, 512, false, true, 1, false, 0, false, kBeyondFew, false, false},
    {Kernels::kWgmma, 90, 90, 256, false, true, 1, false, 0, false, kBeyondFew, false, false},
    {Kernels::kWgmma, 90, 90, 128, false, true, 1, false, 0, false, kBeyondFew, false, false},
    {Kernels::kMma, 80, kAny, 512, false, true, 1, false, 1, true, kAnySize, true, false},
    {Kernels::kMma, 80, kAny, 256, false, true, 1, false, 1, true, kAnySize, true, false},
    {Kernels::kMma, 80, kAny, 128, false, true, 1, false, 1, true, kAnySize, true, false},
    {Kernels::kPlain, 80, kAny, 0, true, true, 16, true, kAny, true, kAnySize, true, false},
};

const char* familyName(Kernels family) {
  switch (family) {
    case Kernels::kPlain:
      return "plain";
    case Kernels::kMma:
      return "mma";
    case Kernels::kWgmma:
      return "wgmma";
    case Kernels::kAuto:
      break;
  }
  return "auto";
}

const char* precisionName(Precision precision) { return precision == Precision::kFp32 ? "fp32" : "bf16"; }

/// Why the line cannot serve the problem on any device; empty if it can.
std::string misfit(const KernelRow& row, const KernelRequest& request) {
  const bool isFp32 = request.precision == Precision::kFp32;
  if (isFp32 ? !row.takesFp32 : !row.takesBf16) return precisionName(request.precision);
  if (request.subCenters > row.maxSubCenters) return "K = " + std::to_string(request.subCenters);
  if (row.dimPadded != 0 && row.dimPadded != paddedDim(request.dim)) return "D = " + std::to_string(request.dim);
  if (request.optimizer == Optimizer::kAdamW && !row.takesAdamW) return "AdamW";
  if (request.needsMask && !row.takesMask) return "steps of different samples";
  if (request.negativeRules > row.maxRules)
    return request.negativeRules == 1 ? "negative rule" : "steps of different negative rules";
  return "";
}

/// Why `auto` gives the line no pass of this size; empty if it does.
std::string fewTerms(const PassSize& least, const KernelRequest& request) {
  if (request.samples < least.samples) return "few samples";
  if (request.classes < least.classes) return "few classes";
  if (request.dim < least.dim) return "few dimensions";
  return "";
}

bool runsOn(const KernelRow& row, int32_t capability) {
  return capability >= row.minCapability && capability <= row.maxCapability;
}

std::string nameOf(const KernelRow& row, const KernelRequest& request) {
  std::string name = std::string(familyName(row.family)) + "-" + precisionName(request.precision);
  if (row.dimPadded != 0) name += "-d" + std::to_string(row.dimPadded);
  return name;
}

}  // namespace

KernelTable kernelTable() { return kTable; }

Status chooseKernels(KernelTable table, int32_t capability, const KernelRequest& request, KernelChoice* choice) {
  const bool isAuto = request.asked == Kernels::kAuto;
  bool familyRuns = false;
  std::string reason;  // why a faster line was passed over
  Kernels passedOver = Kernels::kAuto;
  for (const KernelRow& row : table) {
    if (!isAuto && row.family != request.asked) continue;
    if (!runsOn(row, capability) || (isAuto && !row.isAutomatic())) continue;
    familyRuns = true;
    std::string why = misfit(row, request);
    if (why.empty() && isAuto) why = fewTerms(row.least, request);
    if (!why.empty()) {
      // Of a family's lines the first says it best, unless it is only of another row length.
      if (reason.empty() || reason.starts_with("D = ")) {
        reason = why;
        passedOver = row.family;
      }
      continue;
    }
    choice->row = &row;
    choice->name = nameOf(row, request);
    // fp32 is the plain family's own; a bf16 problem that a faster family does not take has a reason.
    const bool isFallback = isAuto && row.family != passedOver && request.precision != Precision::kFp32;
    if (isFallback && !reason.empty()) choice->name += " (" + reason + ")";
    return Status::ok();
  }
  const std::string family = familyName(request.asked);
  if (!familyRuns)
    return {StatusCode::kDevice, "kernels: expected a family that runs on sm_" + std::to_string(capability) +
                                     ", received " + family + "; use kernels 'auto'"};
  return {StatusCode::kRange, "kernels: expected a problem that " + family +
                                  " serves (bf16, K = 1, D up to 512, accumulated steps of one sample and one negative "
                                  "rule; for wgmma no rule, and SGD), received " +
                                  reason + "; use kernels 'auto', which takes others for it"};
}

Status makePasses(const KernelRow& row, const Device& device, std::unique_ptr<Passes>* passes) {
  switch (row.family) {
    case Kernels::kPlain:
      *passes = makePlainPasses(device);
      break;
    case Kernels::kMma:
      *passes = makeMmaPasses(device, row.dimPadded);
      break;
    case Kernels::kWgmma:
      *passes = makeWgmmaPasses(device, row.dimPadded);
      break;
    case Kernels::kAuto:
      break;
  }
  if (*passes != nullptr) return Status::ok();
  return {StatusCode::kDevice, std::string("kernels: expected a build with the ") + familyName(row.family) +
                                   " kernels, received one without; use kernels 'auto', or build with nvcc for sm_90a"};
}

}  // namespace hyperarc::cuda
