// The CPU engine's inner loops as a table of plain functions, one table an instruction set (kernels_*.cc). Only these
// files are compiled with more than the baseline instructions, so the right one is chosen at run time.
//
// Panel matrix: an R×N matrix cut into column panels of `panel` floats, each panel holding all its rows one after the
// other: element (r, n) lies at (n / panel)·rowCapacity·panel + r·panel + n % panel. Every operand and result of the
// two GEMM forms is one, so each inner loop has compile-time strides; columns beyond N are padding that is never read
// as data.
#pragma once

#include <cstdint>

#include "common/adamw.h"

namespace hyperarc::cpu {

/// A panel matrix in memory, 64-byte aligned.
struct Panels {
  float* data;
  int64_t rowCapacity;
};

/// No cosine is below this. A score set to kAbsent stands for a class that is none of the sample's negatives.
inline constexpr float kLowestCosine = -2.0f;
inline constexpr float kAbsent = -4.0f;

/// A negative rule as the inner loop reads it. Arrays [count], padded to whole panels.
struct NegativeTerms {
  const float* scale;
  const float* shift;
  const float* factor;
  const float* threshold;
  // NegativeBranch: value[3], slope[2].
  float above[5];
  float below[5];
};

struct KernelTable {
  const char* name;
  /// Columns of a panel; a multiple of the vector length.
  int64_t panel;

  /// c[m×n] (+)= a[m×k] · b[k×n]. Sums over k run in blocks of 128, each from zero: the error of a long dot product
  /// stays that of a short one. No element's sum depends on where the tiles fall.
  void (*multiply)(Panels a, Panels b, Panels c, int64_t m, int64_t k, int64_t n, bool accumulate);
  /// c[m×n] (+)= aᵀ · b, with a [k×m], b [k×n].
  void (*multiplyTransposed)(Panels a, Panels b, Panels c, int64_t m, int64_t k, int64_t n, bool accumulate);

  /// out(r, ·) = rows[r][0..dim)·inverseNorms[r], padding columns zero.
  void (*packRows)(const float* const* rows, const float* inverseNorms, int64_t count, int64_t dim, Panels out);
  /// out(d, i) = in[i][d]·inverseNorms[i]: the transpose of packRows, for i < count; padding columns zero.
  void (*packTransposed)(const float* in, const float* inverseNorms, int64_t count, int64_t dim, Panels out);

  /// s(r, i) ← exp(scale[i]·s(r, i) − shift[i])·factor[i], for count columns. Error of the exponential: kernels_exp.h.
  void (*exponentiate)(Panels s, int64_t rows, int64_t count, const float* scale, const float* shift,
                       const float* factor);
  /// The same over groups of `group` rows: the largest of a group takes the value (ties to the first), the others 0.
  void (*exponentiateMaximum)(Panels s, int64_t rows, int64_t group, int64_t count, const float* scale,
                              const float* shift, const float* factor);
  /// sums[i] += Σ_r s(r, i).
  void (*sumRows)(Panels s, int64_t rows, int64_t count, double* sums);

  /// Under a rule, over groups of `group` rows: e = exp(scale[i]·N(c) − shift[i])·factor[i] of the group's largest
  /// cosine c, which becomes e·N'(c) where it stands (ties to the first); the others become 0. kAbsent becomes 0 and
  /// has no e. sums[i] += Σ e, unless it is null.
  void (*negativeTerms)(Panels s, int64_t rows, int64_t group, int64_t count, const NegativeTerms& terms, double* sums);

  /// v(r, ·) ← inverseNorm·(v − (v·ŵ)ŵ) at row r of two panel matrices.
  void (*projectRow)(Panels v, Panels unit, int64_t row, int64_t dim, float inverseNorm);
  /// v(r, ·) += factor·x[0..dim).
  void (*addRow)(Panels v, int64_t row, const float* x, int64_t dim, float factor);
  /// gradient(r, ·) → out[0..dim).
  void (*readRow)(Panels v, int64_t row, float* out, int64_t dim);
  /// SGD on one row: m ← μ·m + (g + λ·w); w ← w − η·m; without a momentum row m is not kept. g null means 0.
  void (*sgdRow)(const float* gradient, float* weights, float* momentum, int64_t dim, float learningRate, float mu,
                 float weightDecay);
  /// AdamW on one row with its two moments (common/adamw.h). g null means 0.
  void (*adamwRow)(const float* gradient, float* weights, float* first, float* second, int64_t dim,
                   const AdamWFactors& factors);
  /// Σ x², in a fixed order.
  float (*sumSquares)(const float* x, int64_t dim);
  /// x[i] ← exp(x[i]); the engine's exponential by itself, for its test.
  void (*exponential)(float* x, int64_t count);
};

const KernelTable* portableKernels();
/// Null where the build is for another processor family.
const KernelTable* avx2Kernels();
const KernelTable* avx512Kernels();

}  // namespace hyperarc::cpu
