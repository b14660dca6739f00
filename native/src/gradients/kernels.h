// The inner loops of the gradient kernels, compiled once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

namespace hyperarc::gradients {

struct Kernels {
  /// sums[r, n] += Σ_p x[p][r]·y[p][n] for r in [0, rows), n in [0, columns); `sums` has row stride `columns`.
  void (*outerSum)(const float* const* x, const float* const* y, int64_t count, int64_t rows, int64_t columns,
                   float* sums);
  /// out[p][n] += Σ_k a[p][k]·b[k, n] for n in [0, columns). `b` is packed in panels by packPanels.
  void (*rowsTimesMatrix)(const float* const* a, const float* packedB, int64_t count, int64_t depth, int64_t columns,
                          float* const* out);
  /// Columns of one panel of packedB; the last panel is padded with zeros.
  int64_t panelColumns;
  /// sums[c·multiplier + q] += Σ_p x[p][c]·y[p][c·multiplier + q].
  void (*depthwiseFilter)(const float* const* x, const float* const* y, int64_t count, int64_t channels,
                          int64_t multiplier, float* sums);
  /// out[p][c] += Σ_q y[p][c·multiplier + q]·filter[c·multiplier + q].
  void (*depthwiseInput)(const float* const* y, const float* filter, int64_t count, int64_t channels,
                         int64_t multiplier, float* const* out);
};

extern const Kernels kPortableKernels;
#ifdef HYPERARC_X86
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

/// The best that this processor runs; HYPERARC_ISA = portable | avx2 | avx512 forces a lower one.
const Kernels& kernels();

}  // namespace hyperarc::gradients
