// Pass 2: the fused update, or a dense gradient. The update is only enqueued; what fails in it is reported by the next
// call.
#include <algorithm>
#include <cstring>

#include "accumulated.h"
#include "class_centers.h"
#include "common/validation.h"
#include "kernels/kernels.h"

namespace hyperarc::cuda {

namespace {

int64_t samplesOf(std::span<Step* const> steps) {
  int64_t samples = 0;
  for (const Step* step : steps) samples += step == nullptr ? 0 : step->batch();
  return std::max<int64_t>(1, samples);
}

}  // namespace

void CudaClassCenters::enqueueGradient(std::span<Step* const> steps, Passes& passes, const GradientSink& sink,
                                       bool decayed) {
  const Accumulated all = accumulate(*core_, steps, config_.classes);
  CenterGradients args = {};
  args.centers = view();
  args.classes = all.classes;
  args.samples = all.samples;
  args.inverseTotal = static_cast<float>(1.0 / static_cast<double>(all.samples.samples));
  args.hasClass = all.hasClass;
  args.stepOfSample = all.stepOfSample;
  args.targets = all.targets;
  args.sink = sink;
  args.rule = all.rule;
  args.ruleOfStep = all.ruleOfStep;
  const cudaStream_t stream = core_->updateStream.get();
  // Scratch is had before anything moves: where memory is short nothing has changed.
  core_->updateScratch.take(passes.workspaceBytes(args.centers, all.classes.count, all.isPartial, all.samples.samples));
  try {
    if (all.classes.count > 0) passes.centerGradients(args, core_->updateScratch, stream);
    if (decayed && all.isPartial) launchDecayOthers(view(), all.classes, sink.update, stream);
  } catch (const CudaError& error) {
    // Some rows may have moved and others not: whatever it was, it lasts.
    if (sink.isUpdate) throw CudaError(StatusCode::kDevice, error.what(), true);
    throw;
  }
}

Status CudaClassCenters::update(std::span<Step* const> steps, const UpdateOptions& options) {
  return run("update", samplesOf(steps), 1.0, [&]() -> Status {
    if (Status status = checkUpdate(options, config_); !status) return status;
    if (Status status = checkFinished(steps, id_, version_); !status) return status;
    const bool isAdamW = config_.optimizer == Optimizer::kAdamW;
    Passes* passes = nullptr;
    if (Status status = passesFor(needsOf(steps, config_.classes), &passes); !status) return status;
    GradientSink sink = {};
    sink.isUpdate = true;
    sink.update = {options.learningRate, options.momentum, options.weightDecay, options.roundingStep, isAdamW, {}};
    if (isAdamW) sink.update.adamw = adamwFactors(options, updates_ + 1);
    const cudaStream_t stream = core_->updateStream.get();
    updateEnd_.forget();
    updateBegin_.record(stream);
    enqueueGradient(steps, *passes, sink, options.unsampled == Unsampled::kDecayed);
    updateEnd_.record(stream);
    core_->updated.record(stream);
    if (isAdamW) ++updates_;
    ++version_;
    return Status::ok();
  });
}

Status CudaClassCenters::gradients(std::span<Step* const> steps, float* gradientCKD) {
  return run("gradients", samplesOf(steps), 1.0, [&]() -> Status {
    if (Status status = checkFinished(steps, id_, version_); !status) return status;
    if (gradientCKD == nullptr)
      return {StatusCode::kShape, "gradientCKD: expected a buffer [C, K, D], received none; pass one"};
    Passes* passes = nullptr;
    if (Status status = passesFor(needsOf(steps, config_.classes), &passes); !status) return status;
    const cudaStream_t stream = core_->updateStream.get();
    const int64_t bytes = rowCount() * config_.dim * static_cast<int64_t>(sizeof(float));
    const DeviceBuffer dense(bytes);
    // Rows of classes that took no part have no gradient.
    check(cudaMemsetAsync(dense.as(), 0, static_cast<size_t>(bytes), stream), "clearing device memory");
    GradientSink sink = {};
    sink.dense = dense.as<float>();
    enqueueGradient(steps, *passes, sink, false);
    core_->updated.record(stream);
    for (int64_t done = 0; done < bytes; done += RowStaging::kBytes) {
      const int64_t some = std::min(RowStaging::kBytes, bytes - done);
      Staging& staging = core_->rowStaging.next();
      void* host = staging.take(some);
      check(cudaMemcpyAsync(host, dense.as<char>(done), static_cast<size_t>(some), cudaMemcpyDeviceToHost, stream),
            "copy from the device");
      staging.release(stream);
      std::memcpy(reinterpret_cast<char*>(gradientCKD) + done, staging.arrived(), static_cast<size_t>(some));
    }
    core_->updateStream.synchronize();
    return Status::ok();
  });
}

}  // namespace hyperarc::cuda
