#include "dispatch/dispatch.h"

#include <limits>

#include "few_terms.h"
#include "runtime/build.h"
#include "runtime/error.h"

namespace hyperarc::cuda {

namespace {

constexpr int32_t kAny = std::numeric_limits<int32_t>::max();

// wgmma rounds every term alike: few of them are for a line that holds its tolerances there too.
constexpr PassSize kBeyondFew = {kFewSamples + 1, kFewClasses + 1, kFewDimensions};
constexpr PassSize kAnySize = {};  // a shard may have no class of a pass

constexpr KernelRow kTable[] = {
    // family, capabilities, Dp, fp32, bf16, K, mask, rules, AdamW, least, harness suffices, proven on hardware, built
    {Kernels::kWgmma, 90, 90, 512, false, true, 1, false, 0, false, kBeyondFew, false, false, kHasWgmma},
    {Kernels::kWgmma, 90, 90, 256, false, true, 1, false, 0, false, kBeyondFew, false, false, kHasWgmma},
    {Kernels::kWgmma, 90, 90, 128, false, true, 1, false, 0, false, kBeyondFew, false, false, kHasWgmma},
    {Kernels::kMma, 80, kAny, 512, false, true, 1, false, 1, true, kAnySize, true, false, true},
    {Kernels::kMma, 80, kAny, 256, false, true, 1, false, 1, true, kAnySize, true, false, true},
    {Kernels::kMma, 80, kAny, 128, false, true, 1, false, 1, true, kAnySize, true, false, true},
    {Kernels::kPlain, 80, kAny, 0, true, true, 16, true, kAny, true, kAnySize, true, false, true},
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

/// The lines that a build may lack are those of one architecture's own instructions.
Status notBuilt(Kernels family) {
  return {StatusCode::kDevice, std::string("kernels: expected a build with the ") + familyName(family) +
                                   " kernels, received one without sm_90a; use kernels 'auto', or build with 90a-real "
                                   "among HYPERARC_CUDA_ARCHITECTURES"};
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
    if (why.empty() && !row.isBuilt) {
      if (!isAuto) return notBuilt(row.family);
      why = "build without sm_90a";
    }
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

std::unique_ptr<Passes> makePasses(const KernelRow& row, const Device& device) {
  switch (row.family) {
    case Kernels::kPlain:
      return makePlainPasses(device);
    case Kernels::kMma:
      return makeMmaPasses(device, row.dimPadded);
    case Kernels::kWgmma:
      return makeWgmmaPasses(device, row.dimPadded);
    case Kernels::kAuto:
      break;
  }
  throw CudaError(StatusCode::kInternal, "kernel table: expected a line of plain, mma or wgmma, received one of auto");
}

}  // namespace hyperarc::cuda
