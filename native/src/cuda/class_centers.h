// Class centres on a CUDA device, and the stages of a step over them. Checks come first and on the host; a call that
// answers an error has changed nothing, unless it says that the device failed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core.h"
#include "hyperarc/engine.h"
#include "plan.h"
#include "step.h"
#include "views.h"

namespace hyperarc::cuda {

/// The buffers behind a CentersView.
struct CentersMemory {
  /// Zeros, by work enqueued on `stream`. Throws CudaError.
  CentersMemory(const CentersConfig& config, cudaStream_t stream);
  CentersView view(const CentersConfig& config) const;
  int64_t bytes() const;

  DeviceBuffer weights, momentum, secondMoment, weightsBf16, momentumBf16, secondMomentBf16, inverseNorms;
};

class CudaClassCenters final : public ClassCenters {
 public:
  /// `config` has passed its checks. On the core's device, current. Throws CudaError.
  CudaClassCenters(std::shared_ptr<Core> core, const CentersConfig& config, const KernelChoice& choice);
  ~CudaClassCenters() override;

  const CentersConfig& config() const override { return config_; }
  uint64_t weightsVersion() const override { return version_; }
  uint64_t updates() const override { return updates_; }
  Status setUpdates(uint64_t updates) override;
  int64_t bytes() const override { return memory_.bytes(); }
  std::string kernels(int64_t batch) const override;
  StepTimes lastTimes() override;

  Status seedNormal(uint64_t seed, float stddev) override;
  Status writeRows(Buffer buffer, int64_t firstRow, int64_t rowCount, const float* valuesRD) override;
  Status readRows(Buffer buffer, int64_t firstRow, int64_t rowCount, float* valuesRD) const override;
  Status resize(int64_t classes, uint64_t seed, float stddev) override;

  Status forward(const Batch& batch, std::unique_ptr<Step>* step) override;
  Status targetTerms(const Batch& batch, std::unique_ptr<Step>* step) override;
  Status negativeSums(Step* step) override;
  Status finishForward(Step* step) override;

  Status update(std::span<Step* const> steps, const UpdateOptions& options) override;
  Status gradients(std::span<Step* const> steps, float* gradientCKD) override;
  Status cosines(const float* embeddingsBD, int64_t batch, float* cosinesBC) override;
  Status sample(const int32_t* labelsB, int64_t batch, const SampleOptions& options,
                std::vector<int32_t>* classes) const override;

 private:
  int64_t rowCount() const { return config_.classes * config_.subCenters; }
  CentersView view() const { return memory_.view(config_); }
  bool ownsAllClasses() const { return config_.classes == config_.globalClasses; }
  /// core_->run, with the plan in the text of a failed allocation. `batch` and `rate` are the call's.
  template <typename Body>
  Status run(const char* what, int64_t batch, double rate, Body body) const;
  Status withPlan(const char* what, int64_t batch, double rate, const Status& status) const;
  /// The kernels that serve a pass, or why those asked for do not.
  Status passesFor(const PassNeeds& needs, Passes** passes) const;

  // rows.cc
  /// Marks everything enqueued on the update stream as what the next forward waits for.
  void finishRowWork();

  // forward.cc: the stages' device work, enqueued on the forward stream.
  void enqueueTargets(CudaStep& step);
  void enqueueNegatives(CudaStep& step);
  void enqueueFinish(CudaStep& step);
  /// Repeats pass 1 with smaller shifts where fp32 lost every negative of a sample; waits for its sums. Single shards
  /// only.
  void raiseSmallSums(CudaStep& step);
  /// Whether classes other than the sample's own take part.
  bool expectsSum(const CudaStep& step, int64_t sample) const;
  /// Everything but the values of the embeddings, which are looked at on the device; and the kernels of pass 1.
  Status checkAll(const Batch& batch, Passes** passes) const;
  Status checkValues(const CudaStep& step) const;
  Status checkShardSums(CudaStep& step) const;

  // update.cc
  /// dW of the mean loss over `steps`, row by row to `sink`, enqueued on the update stream. `decayed`: the rows of
  /// other classes move too.
  void enqueueGradient(std::span<Step* const> steps, Passes& passes, const GradientSink& sink, bool decayed);

  std::shared_ptr<Core> core_;
  CentersConfig config_;
  Passes& passes_;  // of a step of many samples and classes
  uint64_t id_;
  uint64_t version_ = 1;
  uint64_t updates_ = 0;  // AdamW: t
  CentersMemory memory_;
  Event forwardBegin_, forwardEnd_, updateBegin_, updateEnd_;  // an end belongs to the begin before it, or is forgotten
};

template <typename Body>
Status CudaClassCenters::run(const char* what, int64_t batch, double rate, Body body) const {
  const Status status = core_->run(what, body);
  return status.code() == StatusCode::kMemory ? withPlan(what, batch, rate, status) : status;
}

}  // namespace hyperarc::cuda
