// The two streaming passes behind one interface. Families: plain (any shape, any precision), mma (sm_80 and up, bf16),
// wgmma (sm_90a, bf16). All are deterministic: fixed splits, ordered sums. Every method only enqueues on `stream`.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <string>

#include "views.h"

namespace hyperarc::cuda {

/// Scratch on the device for one call. Grows on demand (then it synchronises); the owner of a stream has one.
/// Memory of an earlier call is free to be overwritten by a later one of the same stream.
class Workspace {
 public:
  virtual ~Workspace() = default;
  /// At least `bytes`, aligned to 1024. Throws (runtime/error.h) when it cannot be had. Valid until the next take().
  virtual void* take(int64_t bytes) = 0;
};

struct Device;  // runtime/device.h

// In both passes `rule` says what a negative's cosine becomes, N(c) (margins/negative.h), with the samples' thresholds;
// NegativeThreshold::kNone for N(c) = c. Not every family takes one (dispatch/dispatch.h).

struct NegativeSums {
  CentersView centers;
  ClassList classes;
  SamplesView samples;
  float* sumExp;       // l_i [B]
  float* weightedSum;  // U_i = Σ_j e_ij·N'(c_ij)·ŵ_j [B, D]
  NegativeRule rule;
};

struct CenterGradients {
  CentersView centers;
  ClassList classes;
  SamplesView samples;
  float inverseTotal;  // 1/B_total: multiplies gradientFactor
  /// Steps that sampled other classes than the union: hasClass[stepOfSample[i]·classes.count + position]; null where
  /// all steps have all of them. Only the plain family takes a mask (`Passes::supportsMask`).
  const uint8_t* hasClass;
  const int32_t* stepOfSample;
  TargetsView targets;
  GradientSink sink;
  NegativeRule rule;
  /// Steps with other rules than `rule`: ruleOfStep[stepOfSample[i]] is the sample's. Null where all have `rule`; only
  /// the plain family takes it.
  const NegativeRule* ruleOfStep = nullptr;
};

class Passes {
 public:
  virtual ~Passes() = default;
  /// e.g. "plain-fp32", "mma-bf16-d512".
  virtual std::string name() const = 0;
  virtual bool supportsMask() const = 0;
  /// Device bytes that one call may take from its workspace, for plans.
  virtual int64_t workspaceBytes(const CentersView& centers, int64_t classes, bool isList, int64_t samples) const = 0;
  /// Pass 1 over the negatives: l and U. classes.count may be 0.
  virtual void negativeSums(const NegativeSums& args, Workspace& workspace, cudaStream_t stream) = 0;
  /// Pass 2: dW of whole rows formed on chip, projected, target terms added, handed to the sink; a row's 1/‖w‖ and bf16
  /// copy are refreshed with it. Rows of classes that are not in the list are left alone.
  virtual void centerGradients(const CenterGradients& args, Workspace& workspace, cudaStream_t stream) = 0;
};

/// Any D in [1, 4096], K, precision; fp32 arithmetic on fp32 or bf16 rows. kernels/plain/.
std::unique_ptr<Passes> makePlainPasses(const Device& device);
/// bf16 precisions, K = 1, D ≤ 512, compute capability ≥ 8.0. kernels/mma/.
std::unique_ptr<Passes> makeMmaPasses(const Device& device, int32_t dimPadded);
/// bf16 precisions, K = 1, D ≤ 512, compute capability 9.0. kernels/wgmma/. Throws in builds without sm_90a.
std::unique_ptr<Passes> makeWgmmaPasses(const Device& device, int32_t dimPadded);

}  // namespace hyperarc::cuda
