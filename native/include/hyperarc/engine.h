// The engine's public C++ API: class centres with their optimizer state, the two streaming passes, sampling, plan.
// Implementations: src/cpu, src/cuda. No method throws.
//
// Thread contract: the objects of one Engine are used by one thread at a time (the addon's device thread).
// Different engines are independent.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hyperarc/status.h"
#include "hyperarc/types.h"

namespace hyperarc {

/// What a forward pass remembers of one micro-batch, O(B·D): x̂, labels, target terms, l, U, shift. Pass 2 needs it.
/// The three spans marked "seam" are the only things that cross shards: sum each of them over the shards between the
/// stages of ClassCenters (host memory on the CPU engine).
class Step {
 public:
  virtual ~Step() = default;
  virtual int64_t batch() const = 0;
  /// Version of the centres' weights that the forward pass saw.
  virtual uint64_t weightsVersion() const = 0;
  /// Seam 1, after targetTerms: target logit T_i [B] of labels this shard owns, 0 elsewhere.
  virtual std::span<float> targetLogitsB() = 0;
  /// Seam 1 too, with NegativeThreshold::kTarget only (else empty): each sample's threshold [B] where this shard owns
  /// its label, 0 elsewhere.
  virtual std::span<float> targetThresholdB() = 0;
  /// Seam 2, after negativeSums: l_i = Σ_{j≠y, owned} exp(s_i·N(c_ij) − shift_i) [B].
  virtual std::span<float> sumExpB() = 0;
  /// Per-sample loss [B], after finishForward.
  virtual std::span<const float> lossB() const = 0;
  /// Seam 3, after finishForward: this shard's share of dX [B, D] of the mean loss. Empty where the embeddings were on
  /// the device and one shard owns every class: dX then stays there too.
  virtual std::span<float> embeddingGradientBD() = 0;
  /// The same [B, D] in device memory, complete; null where the host span is the only copy.
  virtual const float* embeddingGradientOnDevice() const { return nullptr; }
  /// Seam 3 too: this shard's share of the gradient of the mean loss with respect to each sample's (s, m1, m2, m3)
  /// [B, 4]. With a negative rule the first column is NaN: the passes do not form Σ q·N(c).
  virtual std::span<float> rowGradientB4() = 0;
  /// cos θ between each embedding and its target centre [B] (winner of K), 0 where not owned.
  virtual std::span<const float> targetCosineB() const = 0;
  virtual int64_t bytes() const = 0;
};

/// W [C, K, D] fp32 (or as `precision` says) with its optimizer's state, owned by an engine.
class ClassCenters {
 public:
  virtual ~ClassCenters() = default;
  virtual const CentersConfig& config() const = 0;
  /// Grows by one at each change of the weights.
  virtual uint64_t weightsVersion() const = 0;
  /// Optimizer::kAdamW: updates so far, the t that the bias corrections of the next one follow. 0 with SGD, which has
  /// no use for it.
  virtual uint64_t updates() const = 0;
  /// Sets that number, to go on from saved moments; E_RANGE for centres moved by SGD.
  virtual Status setUpdates(uint64_t updates) = 0;
  virtual int64_t bytes() const = 0;
  /// Which kernels a step of this batch size over all classes runs, e.g. "cpu-avx512" or "mma-bf16-d512": for records
  /// and `doctor`.
  virtual std::string kernels(int64_t batch) const = 0;
  /// Waits for the work under way.
  virtual StepTimes lastTimes() = 0;

  /// W ~ N(0, stddev²) from a counter-based generator keyed on (seed, global row, element): the same values on every
  /// device, shard layout and thread count. Clears the optimizer's state.
  virtual Status seedNormal(uint64_t seed, float stddev) = 0;
  /// Rows are (class, sub-centre) pairs in order: row r = class·K + k, each of D floats.
  virtual Status writeRows(Buffer buffer, int64_t firstRow, int64_t rowCount, const float* valuesRD) = 0;
  virtual Status readRows(Buffer buffer, int64_t firstRow, int64_t rowCount, float* valuesRD) const = 0;
  /// The rows listed in rows [count], each in [0, C·K); writing wants them distinct.
  virtual Status readRowsAt(Buffer buffer, const int64_t* rows, int64_t count, float* valuesRD) const;
  virtual Status writeRowsAt(Buffer buffer, const int64_t* rows, int64_t count, const float* valuesRD);
  /// Keeps the first min(old, new) classes; new ones are seeded as seedNormal would, with
  /// zero momentum or moments; the number of updates stays.
  virtual Status resize(int64_t classes, uint64_t seed, float stddev) = 0;

  // ---- Forward: weights never move. forward() is the three stages in order, for one shard that owns everything.
  virtual Status forward(const Batch& batch, std::unique_ptr<Step>* step) = 0;
  virtual Status targetTerms(const Batch& batch, std::unique_ptr<Step>* step) = 0;  // validates everything first
  virtual Status negativeSums(Step* step) = 0;
  virtual Status finishForward(Step* step) = 0;

  // ---- Pass 2. The gradient is of the mean loss over all samples of all steps together, so that accumulating
  // micro-batches equals one large batch. E_STALE if the weights moved since a step's forward.
  /// SGD: v ← μ·v + (dW + λ·w); w ← w − η·v (PyTorch's form). AdamW: torch.optim.AdamW, whose t counts the updates of
  /// all rows (common/adamw.h). Fused; dW never reaches memory.
  virtual Status update(std::span<Step* const> steps, const UpdateOptions& options) = 0;
  /// Dense dW [C, K, D] of the same mean loss, for tests and small heads.
  virtual Status gradients(std::span<Step* const> steps, float* gradientCKD) = 0;

  /// Plain cosines x̂·ŵ (maximum over K) [B, C], for small C and inference.
  virtual Status cosines(const float* embeddingsBD, int64_t batch, float* cosinesBC) = 0;
  /// Partial FC: sorted local class indices: the owned positives of `labelsB`, and negatives drawn without replacement
  /// up to max(positives, round(rate·C)). Algorithm and frozen vectors: docs/numerics.md, "Sampler".
  virtual Status sample(const int32_t* labelsB, int64_t batch, const SampleOptions& options,
                        std::vector<int32_t>* classes) const = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual DeviceInfo device() const = 0;
  /// Bytes by part before anything is taken; never allocates.
  virtual Status plan(const CentersConfig& config, int64_t batch, double rate, Plan* plan) const = 0;
  /// E_MEMORY with the plan in the message if it does not fit.
  virtual Status createCenters(const CentersConfig& config, std::unique_ptr<ClassCenters>* centers) = 0;
};

/// Devices of this build on this machine; the CPU is always the first.
std::vector<DeviceInfo> listDevices();
/// Empty when this build has CUDA and a usable driver; else why not, in a sentence.
std::string whyNoCuda();
/// "cuda 13.0 (80 86 ...)" or "cpu-only", compiler and build type.
std::string buildDescription();
/// Whether this processor can run `isa`.
bool isaSupported(CpuIsa isa);

Status createEngine(const EngineConfig& config, std::unique_ptr<Engine>* engine);

}  // namespace hyperarc
