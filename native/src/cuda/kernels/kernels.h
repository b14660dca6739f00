// Launchers of every kernel that is not one of the two big passes. All enqueue on `stream`, throw CudaError, and name
// their kernel in it. Pointers are device memory unless said otherwise.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "hyperarc/types.h"
#include "passes.h"
#include "views.h"

namespace hyperarc::cuda {

// ---- kernels/samples.cu: O(B·D), in double where docs/numerics.md says so.

struct TargetTermsArgs {
  CentersView centers;
  int64_t samples;             // B
  const float* embeddings;     // x [B, D]
  const int32_t* localClass;   // [B], −1 where another shard owns it
  const float* rowParameters;  // s, m1, m2, m3 [B, 4], always filled
  MarginRule rule;             // what no row replaces
  float largestNegative;       // of the negative rule (margins/negative.h)
  double logTerms;             // ln(C_global·steepestNegative)
  // Outputs; [Bp] arrays and unitBf16 are written with their padding (views.h).
  float* inverseNormsX;  // 1/‖x_i‖ [B]
  float* unit;           // x̂ [B, D]
  Bf16* unitBf16;        // [Bp, Dp] or null
  float* scale;          // [Bp]
  float* shift;          // [Bp]
  float* threshold;      // of the negative rule [Bp]: the fixed one, or A(θ) − m3 where owned; else 0
  float* targetLogits;   // T_i [B], 0 where not owned
  float* targetCosine;   // [B]
  float* slope;          // h_i [B]
  float* byM1;           // dT_i/dm1 [B], 0 where not owned
  float* byM2;           // dT_i/dm2 [B], likewise
  float* tangentX;       // [B, D]
  float* tangentW;       // [B, D]
  int32_t* winner;       // sub-centre of the largest cosine [B], lowest of equals; 0 where not owned
};
void launchTargetTerms(const TargetTermsArgs& args, cudaStream_t stream);

struct FinishForwardArgs {
  int64_t samples;
  int32_t dim;
  int32_t dimPadded;  // row length of unitBf16
  const float* inverseNormsX;
  const float* unit;
  const Bf16* unitBf16;       // null in fp32: the operands of the cosines behind l and U
  const int32_t* localClass;  // as in TargetTermsArgs
  bool hasNegativeRule;
  float blend;  // MarginRule::blend
  const float* scale;
  const float* shift;
  const float* targetLogits;
  const float* slope;
  const float* byM1;
  const float* byM2;
  const float* tangentX;
  const float* sumExp;       // [B]
  const float* weightedSum;  // [B, D]
  float* loss;               // [B]
  float* targetError;        // 1 − p_i [B]
  float* gradientShift;      // [Bp] with padding
  float* gradientFactor;     // [Bp] with padding
  float* rowGradient;        // d(mean loss)/d(s, m1, m2, m3) [B, 4]; its first column NaN with a negative rule
  float* embeddingGradient;  // [B, D]
};
void launchFinishForward(const FinishForwardArgs& args, cudaStream_t stream);

/// coefficient[i] = −targetError[i]·slope[i]/total.
void launchTargetCoefficients(const float* targetError, const float* slope, int64_t samples, double total,
                              float* coefficient, cudaStream_t stream);

/// Sets *flag to 1 + the lowest index of a NaN or infinity in values [count], or leaves it 0 (caller clears it).
void launchFindNonFinite(const float* values, int64_t count, unsigned long long* flag, cudaStream_t stream);

// ---- kernels/rows.cu: rows of class centres.

/// N(0, stddev²) into rows [firstRow, firstRow + count): docs/numerics.md, "Seeding". Clears the optimizer's state of
/// them; refreshes norms and copies.
void launchSeedRows(const CentersView& centers, uint64_t seed, float stddev, int64_t firstRow, int64_t count,
                    cudaStream_t stream);
/// 1/‖w‖ and (bf16 compute) the bf16 copy of rows [firstRow, firstRow + count).
void launchRefreshRows(const CentersView& centers, int64_t firstRow, int64_t count, cudaStream_t stream);
/// fp32 rows [count, D] ↔ bf16 rows [count, Dp] (bf16 master: written with round to nearest, padding zero).
void launchWidenRows(const Bf16* rows, int32_t dimPadded, int32_t dim, int64_t count, float* out, cudaStream_t stream);
void launchNarrowRows(const float* rows, int32_t dim, int32_t dimPadded, int64_t count, Bf16* out, cudaStream_t stream);
/// The update with dW = 0 of the rows of the classes that are not in `updated` (unsampled: 'decayed').
void launchDecayOthers(const CentersView& centers, const ClassList& updated, const UpdateView& update,
                       cudaStream_t stream);
/// Compaction for partial FC: bf16 rows [count, Dp] and inverse norms [count] of the listed classes (K = 1).
void launchGatherRows(const CentersView& centers, const ClassList& classes, Bf16* rows, float* inverseNorms,
                      cudaStream_t stream);
/// Cosines of samples with the classes [firstClass, firstClass + count), maximum over K: out [B, count].
/// NaN wins over numbers, as on the CPU.
void launchCosines(const CentersView& centers, const float* unit, int64_t samples, int64_t firstClass, int64_t count,
                   float* out, cudaStream_t stream);

// ---- kernels/sampler.cu: docs/numerics.md, "Sampler".

struct SamplerArgs {
  int64_t classes;           // local C
  const int32_t* positives;  // sorted distinct local classes [positiveCount]
  int64_t positiveCount;
  int64_t total;  // classes to return, ≥ positiveCount
  uint64_t seed;
  uint64_t step;
  uint32_t shard;
  int32_t* out;  // sorted [total]
};
/// Scratch it takes from the workspace is O(C/16384), 24 KB at least.
void launchSampler(const SamplerArgs& args, Workspace& workspace, cudaStream_t stream);

}  // namespace hyperarc::cuda
