// Which instruction sets this processor and operating system can run.
#pragma once

#include "cpu/kernels.h"
#include "hyperarc/types.h"

namespace hyperarc::cpu {

/// kAuto resolved to the best supported set; others unchanged.
CpuIsa resolveIsa(CpuIsa isa);
/// Kernels of a set that isaSupported() accepts.
const KernelTable& kernelsOf(CpuIsa isa);
const char* isaName(CpuIsa isa);

}  // namespace hyperarc::cpu
