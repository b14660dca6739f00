#include "gradients/kernels.h"

#include <cstdlib>
#include <string_view>

namespace hyperarc::gradients {
namespace {

const Kernels& choose() {
#ifdef HYPERARC_X86
  const char* forced = std::getenv("HYPERARC_ISA");
  const std::string_view highest = forced ? forced : "avx512";
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  if (avx512 && highest == "avx512") return kAvx512Kernels;
  if (avx2 && highest != "portable") return kAvx2Kernels;
#endif
  return kPortableKernels;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace hyperarc::gradients
