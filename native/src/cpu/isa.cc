#include "cpu/isa.h"

#include "hyperarc/engine.h"

namespace hyperarc {

bool isaSupported(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAuto:
    case CpuIsa::kPortable:
      return true;
#ifdef HYPERARC_X86
    // __builtin_cpu_supports also asks the operating system (XCR0) whether it saves the wide registers.
    case CpuIsa::kAvx2:
      return cpu::avx2Kernels() != nullptr && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CpuIsa::kAvx512:
      return cpu::avx512Kernels() != nullptr && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#endif
    default:
      return false;
  }
}

namespace cpu {

CpuIsa resolveIsa(CpuIsa isa) {
  if (isa != CpuIsa::kAuto) return isa;
  if (isaSupported(CpuIsa::kAvx512)) return CpuIsa::kAvx512;
  return isaSupported(CpuIsa::kAvx2) ? CpuIsa::kAvx2 : CpuIsa::kPortable;
}

const KernelTable& kernelsOf(CpuIsa isa) {
  switch (resolveIsa(isa)) {
    case CpuIsa::kAvx512:
      return *avx512Kernels();
    case CpuIsa::kAvx2:
      return *avx2Kernels();
    default:
      return *portableKernels();
  }
}

const char* isaName(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAvx512:
      return "avx512";
    case CpuIsa::kAvx2:
      return "avx2";
    case CpuIsa::kPortable:
      return "portable";
    default:
      return "auto";
  }
}

}  // namespace cpu
}  // namespace hyperarc
