// The plain data that crosses the engine's public API. Shape suffixes: docs/notation.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hyperarc {

/// What replaces cos(φ), φ = m1·θ + m2, where φ > π (θ ≤ (π−m2)/m1 fails). m3 is subtracted in every case.
enum class Fallback : int32_t {
  kHard = 0,  // cosθ − (π−θ0)·sinθ0, θ0 = (π−m2)/m1: for m1 = 1 the published cosθ − m·sin m
  kEasy = 1,  // cosθ wherever cosθ ≤ 0 (the published "easy margin"; the test is on cosθ, not on φ)
  kNone = 2,  // cos φ as it is
  kClip = 3,  // cos(clamp(φ, ε, π−ε)), ε = MarginRule::clipRadians; derivative 0 where clamped
};

/// dT/dcosθ: the true derivative, or the plain scale s (what arcface_torch's no_grad computes; kCircle: s·(1 + m2 − c),
/// its published detached weight).
enum class GradientMode : int32_t { kExact = 0, kStraightThrough = 1 };

/// A(θ), c = cosθ; formulas and sources in src/margins and docs/numerics.md, "Target logit".
enum class MarginFamily : int32_t {
  kCosine = 0,     // cos(m1·θ + m2) with its fallback: NormFace, CosFace, ArcFace, all three combined
  kSphere = 1,     // (−1)^k·cos(m1·θ) − 2k, k = ⌊m1·θ/π⌋: SphereFace
  kQuadratic = 2,  // −m1·(θ − m2)²: X2-Softmax
  kCircle = 3,     // (1 + m2 − c)(c − 1 + m2): Circle loss with class centres
};

/// N(c) of a negative: value[0] + value[1]·c + value[2]·c²; dN/dc as it is back-propagated: slope[0] + slope[1]·c.
struct NegativeBranch {
  float value[3] = {0.0f, 1.0f, 0.0f};
  float slope[2] = {1.0f, 0.0f};
};

enum class NegativeThreshold : int32_t {
  kNone = 0,    // N(c) = c for every negative; the branches are not read
  kFixed = 1,   // one cosine for all
  kTarget = 2,  // each sample's own A(θ) − m3, without fallback and blend: what its target has become
};

/// What a negative's cosine becomes: its logit is s_i·N(c_ij), N the branch `above` where c > threshold, `below`
/// elsewhere. Every number in [−16, 16].
struct NegativeRule {
  NegativeThreshold threshold = NegativeThreshold::kNone;
  float fixed = 0.0f;
  NegativeBranch above = {};
  NegativeBranch below = {};
};

/// The target logit is s·(w·(A(θ) − m3) + (1 − w)·cosθ). s in (0, 1024], m1 in [0.5, 4] (kQuadratic: [0.01, 4],
/// kSphere: [1, 4]), m2 in [−π/2, π/2] radians (kCircle: [0, π/2], kSphere: 0), m3 in [−1, 1].
struct MarginRule {
  float scale = 64.0f;
  float m1 = 1.0f;
  float m2 = 0.5f;
  float m3 = 0.0f;
  Fallback fallback = Fallback::kHard;  // kCosine only; the other families take kNone
  GradientMode gradient = GradientMode::kExact;
  MarginFamily family = MarginFamily::kCosine;
  float blend = 1.0f;         // w in [0, 1]: 1/(1 + λ) of SphereFace's annealing
  float clipRadians = 1e-4f;  // ε of Fallback::kClip, in (0, 0.1]
  NegativeRule negatives = {};
};

enum class Precision : int32_t { kFp32 = 0, kBf16Compute = 1, kBf16Master = 2 };
/// What moves the centres; docs/numerics.md, "Loss and gradients".
enum class Optimizer : int32_t { kSgd = 0, kAdamW = 1 };
enum class Unsampled : int32_t { kFrozen = 0, kDecayed = 1 };
enum class DeviceKind : int32_t { kCpu = 0, kCuda = 1 };
/// Instruction set of the CPU engine; kAuto takes the best the processor has.
enum class CpuIsa : int32_t { kAuto = 0, kPortable = 1, kAvx2 = 2, kAvx512 = 3 };

/// Kernel family of the CUDA engine's two passes; kAuto takes the table's choice (src/cuda/dispatch), the others
/// insist.
enum class Kernels : int32_t { kAuto = 0, kPlain = 1, kMma = 2, kWgmma = 3 };

struct DeviceInfo {
  DeviceKind kind = DeviceKind::kCpu;
  int32_t index = 0;
  std::string name;            // e.g. "AMD EPYC ..." or "NVIDIA H200"
  std::string instructionSet;  // "avx512" | "avx2" | "portable", or "sm_90a"
  int64_t totalMemoryBytes = 0;
  int64_t freeMemoryBytes = 0;  // 0 for the CUDA devices of listDevices: asking would open a context on each
  int32_t threads = 0;          // pool size (CPU)
};

struct EngineConfig {
  DeviceKind kind = DeviceKind::kCpu;
  int32_t index = 0;
  CpuIsa isa = CpuIsa::kAuto;
  int32_t threads = 0;               // 0: one for each processor this process may use. Never changes a result.
  Kernels kernels = Kernels::kAuto;  // CUDA only
};

/// Class centres W [C, K, D]. An engine may own only a range (shard) of the classes of the whole problem.
struct CentersConfig {
  int64_t classes = 0;     // C: classes this engine owns, ≥ 1
  int32_t subCenters = 1;  // K in [1, 16]
  int32_t dim = 0;         // D in [1, 4096]
  Precision precision = Precision::kFp32;
  int64_t firstClass = 0;     // global index of the first owned class
  int64_t globalClasses = 0;  // classes of all shards together; 0 means `classes`
  Optimizer optimizer = Optimizer::kSgd;
  bool momentum = true;  // kSgd: hold a momentum buffer. kAdamW holds both moments, and takes no other value.
};

/// A micro-batch, read only during the call. Labels are global class indices in [0, globalClasses).
struct Batch {
  const float* embeddingsBD = nullptr;  // [B, D], finite; on the engine's device where `embeddingsOnDevice`
  const int32_t* labelsB = nullptr;     // [B]
  int64_t batch = 0;                    // B ≥ 1
  MarginRule rule;
  /// Optional per-sample (s, m1, m2, m3) [B, 4] that replaces the rule's four numbers; null for none.
  const float* rowParametersB4 = nullptr;
  /// Optional partial FC: sorted unique local class indices [sampledCount] that take part; null for all classes.
  const int32_t* sampledClasses = nullptr;
  int64_t sampledCount = 0;
  /// CUDA: embeddingsBD is device memory (labels and the rest are always host memory), complete when the call is made.
  bool embeddingsOnDevice = false;
};

struct UpdateOptions {
  float learningRate = 0.1f;
  float momentum = 0.9f;  // kSgd only: μ
  float weightDecay = 5e-4f;
  Unsampled unsampled = Unsampled::kFrozen;
  /// Counter of the stochastic rounding of a bf16 master; give each update its own (the global step), so that a resumed
  /// run rounds as an uninterrupted one.
  uint64_t roundingStep = 0;
  // kAdamW only: β₁ and β₂, ε. In double, for 1 − β loses digits in fp32.
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

struct SampleOptions {
  double rate = 1.0;  // (0, 1]
  uint64_t seed = 0;
  uint64_t step = 0;
  uint32_t shard = 0;
};

/// One line of a memory plan, in bytes.
struct PlanPart {
  std::string name;
  int64_t bytes = 0;
  bool persistent = false;  // lives as long as the centres (else: as long as a step or a call)
};

struct Plan {
  std::vector<PlanPart> parts;
  int64_t persistentBytes = 0;
  int64_t peakBytes = 0;       // persistent + the largest transient set
  int64_t availableBytes = 0;  // what the device has free now
  bool fits = false;
};

/// Time on the device of the latest forward and the latest update that have finished, by device events.
struct StepTimes {
  double forwardMs = 0.0;
  double updateMs = 0.0;
  bool measured = false;  // false on the CPU, whose work is done when a call returns, and before the first of each
};

/// kMomentum is SGD's v, or m, the first moment, of AdamW, which has kSecondMoment too.
enum class Buffer : int32_t { kWeights = 0, kMomentum = 1, kSecondMoment = 2 };

}  // namespace hyperarc
