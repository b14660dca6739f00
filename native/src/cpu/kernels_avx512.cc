// Kernels for AVX-512 and FMA; built with its flags (native/CMakeLists.txt) and called only after cpuid says so.
// Register tile 14×32, with 28 of the 32 registers as accumulators.
#include "cpu/kernels.h"

#ifdef __AVX512F__
#define HYPERARC_LANES 16
#define HYPERARC_TILE_ROWS 14
// clang-format off
#include "cpu/kernels_adamw.h"
#include "cpu/kernels_exp.h"
#include "cpu/kernels_multiply.h"
#include "cpu/kernels_negative.h"
#include "cpu/kernels_rows.h"
// clang-format on
#endif

namespace hyperarc::cpu {

const KernelTable* avx512Kernels() {
#ifdef __AVX512F__
  static constexpr KernelTable table = makeKernelTable("avx512");
  return &table;
#else
  return nullptr;
#endif
}

}  // namespace hyperarc::cpu
