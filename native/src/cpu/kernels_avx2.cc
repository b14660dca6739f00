// Kernels for AVX2 and FMA; built with its flags (native/CMakeLists.txt) and called only after cpuid says so. Register
// tile 6×16, with 12 of the 16 registers as accumulators.
#include "cpu/kernels.h"

#ifdef __AVX2__
#define HYPERARC_LANES 8
#define HYPERARC_TILE_ROWS 6
// clang-format off
#include "cpu/kernels_adamw.h"
#include "cpu/kernels_exp.h"
#include "cpu/kernels_multiply.h"
#include "cpu/kernels_negative.h"
#include "cpu/kernels_rows.h"
// clang-format on
#endif

namespace hyperarc::cpu {

const KernelTable* avx2Kernels() {
#ifdef __AVX2__
  static constexpr KernelTable table = makeKernelTable("avx2");
  return &table;
#else
  return nullptr;
#endif
}

}  // namespace hyperarc::cpu
