// Which kernels run a problem: one table, and the choice from it. docs/decisions/0009-kernel-table.md.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "hyperarc/status.h"
#include "hyperarc/types.h"
#include "passes.h"
#include "runtime/device.h"

namespace hyperarc::cuda {

/// More than any line asks for.
inline constexpr int64_t kEnough = std::numeric_limits<int64_t>::max();

/// Of a pass.
struct PassSize {
  int64_t samples;
  int64_t classes;  // that take part
  int64_t dim;
};

/// One line of the table: a family at one row length, and what it can do. Earlier lines are faster.
struct KernelRow {
  Kernels family;
  int32_t minCapability;  // 80 for sm_80
  int32_t maxCapability;
  int32_t dimPadded;  // row length of its bf16 operands, 0 for any
  bool takesFp32;
  bool takesBf16;
  int32_t maxSubCenters;
  bool takesMask;         // CenterGradients::hasClass
  int32_t maxRules;       // different negative rules (NegativeRule) in one pass; 0: none
  bool takesAdamW;        // Optimizer::kAdamW
  PassSize least;         // that `auto` gives it (few_terms.h); asked for by name it takes less
  bool harnessSuffices;   // its tests in the host harness (tests/emulator) are proof enough to run it
  bool provenOnHardware;  // it has passed `run test` on such a device
  bool isBuilt;           // this build has its kernels

  /// The other lines run only when asked for by name.
  constexpr bool isAutomatic() const { return harnessSuffices || provenOnHardware; }
};
/// Fastest first.
using KernelTable = std::span<const KernelRow>;
KernelTable kernelTable();

/// What a pass is asked to do.
struct KernelRequest {
  Kernels asked = Kernels::kAuto;
  Precision precision = Precision::kFp32;
  int32_t subCenters = 1;
  int32_t dim = 0;
  bool needsMask = false;
  int32_t negativeRules = 0;  // different ones in the pass
  int64_t samples = kEnough;
  int64_t classes = kEnough;  // that take part
  Optimizer optimizer = Optimizer::kSgd;
};

struct KernelChoice {
  const KernelRow* row = nullptr;
  std::string name;  // "mma-bf16-d512", "plain-fp32", "plain-bf16 (K = 3)", "mma-bf16-d512 (few samples)"
};

/// The first line of the table that serves the request on a device of `capability`. A family asked for by name is taken
/// or refused: E_DEVICE where the device or this build cannot run it, E_RANGE where the problem is not one of its.
Status chooseKernels(KernelTable table, int32_t capability, const KernelRequest& request, KernelChoice* choice);

/// The passes of a line that this build has. Throws CudaError.
std::unique_ptr<Passes> makePasses(const KernelRow& row, const Device& device);

}  // namespace hyperarc::cuda
