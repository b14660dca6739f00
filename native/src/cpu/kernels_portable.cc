// Kernels for any processor: vectors of four floats in GCC's vector extension (SSE2 on x86-64, NEON on AArch64).
#define HYPERARC_LANES 4
#define HYPERARC_TILE_ROWS 6
// clang-format off
#include "cpu/kernels_adamw.h"
#include "cpu/kernels_exp.h"
#include "cpu/kernels_multiply.h"
#include "cpu/kernels_negative.h"
#include "cpu/kernels_rows.h"
// clang-format on

namespace hyperarc::cpu {

const KernelTable* portableKernels() {
  static constexpr KernelTable table = makeKernelTable("portable");
  return &table;
}

}  // namespace hyperarc::cpu
