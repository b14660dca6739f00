// NativeClassCenters: forward with its stages and seams, update, gradients.
#include <algorithm>

#include "device_memory.h"
#include "objects.h"
#include "promise_job.h"

namespace hyperarc::addon {
namespace {

/// The properties of a NativeForwardOutputs, read once.
struct OutputValues {
  Napi::Value loss, embeddingGradient, targetCosine, rowGradient;
};

/// Their elements, with lengths checked. Valid until JavaScript runs again.
struct OutputSpans {
  std::span<float> lossB, embeddingGradientBD, targetCosineB, rowGradientB4;
};

/// The same kept over an asynchronous call. Values wait here, and not in the arrays, because JavaScript may detach
/// those.
struct KeptOutputs {
  KeptOutputs(const OutputValues& values, int64_t batch, int32_t dim)
      : loss(Napi::Persistent(values.loss.As<Napi::Object>())),
        embeddingGradient(Napi::Persistent(values.embeddingGradient.As<Napi::Object>())),
        targetCosine(Napi::Persistent(values.targetCosine.As<Napi::Object>())),
        rowGradient(Napi::Persistent(values.rowGradient.As<Napi::Object>())),
        lossB(batch),
        embeddingGradientBD(batch * dim),
        targetCosineB(batch),
        rowGradientB4(4 * batch) {}
  OutputSpans spans() { return {lossB, embeddingGradientBD, targetCosineB, rowGradientB4}; }
  OutputValues values() const {
    return {loss.Value(), embeddingGradient.Value(), targetCosine.Value(), rowGradient.Value()};
  }

  Napi::ObjectReference loss, embeddingGradient, targetCosine, rowGradient;
  std::vector<float> lossB, embeddingGradientBD, targetCosineB, rowGradientB4;
};

OutputValues readOutputs(Napi::Value value) {
  const Napi::Object object = requireObject(value, "out");
  return {object.Get("loss"), object.Get("embeddingGradient"), object.Get("targetCosine"), object.Get("rowGradient")};
}

OutputSpans checkOutputs(const OutputValues& values, int64_t batch, int32_t dim) {
  return {requireFloat32(values.loss, "out.loss", batch, "batch"),
          requireFloat32(values.embeddingGradient, "out.embeddingGradient", batch * dim, "batch × dim"),
          requireFloat32(values.targetCosine, "out.targetCosine", batch, "batch"),
          requireFloat32(values.rowGradient, "out.rowGradient", 4 * batch, "batch × 4")};
}

void copyOutputs(Step& step, const OutputSpans& out) {
  std::ranges::copy(std::as_const(step).lossB(), out.lossB.begin());
  std::ranges::copy(step.embeddingGradientBD(), out.embeddingGradientBD.begin());
  std::ranges::copy(std::as_const(step).targetCosineB(), out.targetCosineB.begin());
  std::ranges::copy(step.rowGradientB4(), out.rowGradientB4.begin());
}

void copyOutputs(const OutputSpans& from, const OutputSpans& to) {
  std::ranges::copy(from.lossB, to.lossB.begin());
  std::ranges::copy(from.embeddingGradientBD, to.embeddingGradientBD.begin());
  std::ranges::copy(from.targetCosineB, to.targetCosineB.begin());
  std::ranges::copy(from.rowGradientB4, to.rowGradientB4.begin());
}

enum class Seam { kTargetLogits, kTargetThreshold, kSumExp, kEmbeddingGradient, kRowGradient };
constexpr std::pair<const char*, Seam> kSeams[] = {{"targetLogits", Seam::kTargetLogits},
                                                   {"targetThreshold", Seam::kTargetThreshold},
                                                   {"sumExp", Seam::kSumExp},
                                                   {"embeddingGradient", Seam::kEmbeddingGradient},
                                                   {"rowGradient", Seam::kRowGradient}};

/// The stage that fills the seam.
Stage stageOf(Seam seam) {
  switch (seam) {
    case Seam::kTargetLogits:
    case Seam::kTargetThreshold:
      return Stage::kTargetTerms;
    case Seam::kSumExp:
      return Stage::kNegativeSums;
    default:
      return Stage::kReady;
  }
}

/// The seam's memory; E_RANGE before the stage that fills it, and for a step of other centres.
std::span<float> seamOf(const CentersCore& centers, StepCore& core, Seam seam) {
  if (core.stage.load() < stageOf(seam)) {
    fail(StatusCode::kRange,
         "seam: expected a step whose forward pass has come to this seam, received one that has not");
  }
  if (core.centersId != centers.id) {
    fail(StatusCode::kRange, "step: expected a step of these class centres, received one of others");
  }
  switch (seam) {
    case Seam::kTargetLogits:
      return core.step->targetLogitsB();
    case Seam::kTargetThreshold:
      return core.step->targetThresholdB();
    case Seam::kSumExp:
      return core.step->sumExpB();
    case Seam::kRowGradient:
      return core.step->rowGradientB4();
    case Seam::kEmbeddingGradient:
      break;
  }
  return core.step->embeddingGradientBD();
}

/// A copy of the seam. A gradient that has stayed on the device, as the TensorFlow op's embeddings did, comes from
/// there.
Status copySeam(const CentersCore& centers, StepCore& core, Seam seam, std::vector<float>* values) {
  const std::span<const float> memory = seamOf(centers, core, seam);
  values->assign(memory.begin(), memory.end());
  const float* onDevice = core.step->embeddingGradientOnDevice();
  if (seam != Seam::kEmbeddingGradient || !memory.empty() || onDevice == nullptr) return Status::ok();
  values->resize(core.step->batch() * centers.centers->config().dim);
  return copyMemory(values->data(), onDevice, static_cast<int64_t>(values->size() * sizeof(float)));
}

}  // namespace

CentersObject::Steps CentersObject::readSteps(Napi::Value value) {
  const Napi::Array array = requireArray(value, "steps");
  const uint32_t count = array.Length();
  if (count == 0) fail(StatusCode::kShape, "steps: expected at least one step, received none");
  std::vector<Napi::Value> values;
  for (uint32_t i = 0; i < count; ++i) values.push_back(array.Get(i));
  Steps steps;
  std::set<StepCore*> seen;
  for (uint32_t i = 0; i < count; ++i) {
    const std::string name = "steps[" + std::to_string(i) + "]";
    steps.push_back(StepObject::require(values[i], name, *live()->engine));
    if (!seen.insert(steps.back().get()).second) {
      fail(StatusCode::kRange, name + ": expected each step once, received one that is in the list already");
    }
  }
  return steps;
}

Napi::Value CentersObject::forward(const Napi::CallbackInfo& info) {
  live();
  const BatchValues values = readBatch(info[0]);
  const OutputValues outputs = readOutputs(info[2]);
  const auto core = live();
  const auto step = StepObject::require(info[1], "step", *core->engine);
  const OwnedBatch batch(values, config_.dim);
  const OutputSpans out = checkOutputs(outputs, batch.size(), config_.dim);
  runNow({step}, [&] {
    Status status = runForward(*core, *step, batch.view());
    if (status) copyOutputs(*step->step, out);
    return status;
  });
  return info.Env().Undefined();
}

Napi::Value CentersObject::forwardAsync(const Napi::CallbackInfo& info) {
  live();
  const BatchValues values = readBatch(info[0]);
  const OutputValues outputs = readOutputs(info[2]);
  const auto core = live();
  const auto step = StepObject::require(info[1], "step", *core->engine);
  const auto batch = std::make_shared<const OwnedBatch>(values, config_.dim);
  checkOutputs(outputs, batch->size(), config_.dim);
  const auto kept = std::make_shared<KeptOutputs>(outputs, batch->size(), config_.dim);
  return PromiseJob::start(
      info.Env(), core, {step},
      [core = core.get(), step = step.get(), batch, kept] {
        Status status = runForward(*core, *step, batch->view());
        if (status) copyOutputs(*step->step, kept->spans());
        return status;
      },
      [kept, size = batch->size(), dim = config_.dim](Napi::Env env) -> Napi::Value {
        copyOutputs(kept->spans(), checkOutputs(kept->values(), size, dim));
        return env.Undefined();
      });
}

Napi::Value CentersObject::targetTerms(const Napi::CallbackInfo& info) {
  live();
  const BatchValues values = readBatch(info[0]);
  const auto core = live();
  const auto step = StepObject::require(info[1], "step", *core->engine);
  const OwnedBatch batch(values, config_.dim);
  runNow({step}, [&] { return runTargetTerms(*core, *step, batch.view()); });
  return info.Env().Undefined();
}

Napi::Value CentersObject::negativeSums(const Napi::CallbackInfo& info) {
  const auto core = live();
  const auto step = StepObject::require(info[0], "step", *core->engine);
  runNow({step}, [&] { return runNegativeSums(*core, *step); });
  return info.Env().Undefined();
}

Napi::Value CentersObject::finishForward(const Napi::CallbackInfo& info) {
  live();
  const OutputValues outputs = readOutputs(info[1]);
  const auto core = live();
  const auto step = StepObject::require(info[0], "step", *core->engine);
  OutputSpans out;
  if (step->stage == Stage::kNegativeSums) out = checkOutputs(outputs, step->batch, config_.dim);
  runNow({step}, [&] {
    Status status = runFinishForward(*core, *step);
    if (status) copyOutputs(*step->step, out);
    return status;
  });
  return info.Env().Undefined();
}

Napi::Value CentersObject::getSeam(const Napi::CallbackInfo& info) {
  const auto core = live();
  const auto step = StepObject::require(info[0], "step", *core->engine);
  const Seam seam = requireOneOf(info[1], "seam", kSeams);
  std::vector<float> values;
  runNow({step}, [&] { return copySeam(*core, *step, seam, &values); });
  Napi::Float32Array array = environment_->newFloat32Array(static_cast<int64_t>(values.size()), "seam");
  std::ranges::copy(values, requireFloat32(array, "seam").begin());
  return array;
}

Napi::Value CentersObject::setSeam(const Napi::CallbackInfo& info) {
  const auto core = live();
  const auto step = StepObject::require(info[0], "step", *core->engine);
  const Seam seam = requireOneOf(info[1], "seam", kSeams);
  runNow({step}, [&] {
    const std::span<float> memory = seamOf(*core, *step, seam);
    const auto length = static_cast<int64_t>(memory.size());
    std::ranges::copy(requireFloat32(info[2], "values", length, "length of the seam"), memory.begin());
    return Status::ok();
  });
  return info.Env().Undefined();
}

Napi::Value CentersObject::update(const Napi::CallbackInfo& info) {
  live();
  const UpdateOptions options = toUpdateOptions(info[1]);
  const Steps steps = readSteps(info[0]);
  const auto core = live();
  runNow(steps, [&] { return runUpdate(*core, steps, options); });
  return info.Env().Undefined();
}

Napi::Value CentersObject::updateAsync(const Napi::CallbackInfo& info) {
  live();
  const UpdateOptions options = toUpdateOptions(info[1]);
  const Steps steps = readSteps(info[0]);
  const auto core = live();
  return PromiseJob::start(
      info.Env(), core, steps, [core = core.get(), steps, options] { return runUpdate(*core, steps, options); },
      [](Napi::Env env) { return env.Undefined(); });
}

Napi::Value CentersObject::gradients(const Napi::CallbackInfo& info) {
  live();
  const Steps steps = readSteps(info[0]);
  const auto core = live();
  const int64_t length = resultLength(config_.classes, config_.subCenters, config_.dim, "gradients");
  Napi::Float32Array result = environment_->newFloat32Array(length, "gradients");
  float* gradientCKD = requireFloat32(result, "gradients").data();
  runNow(steps, [&] { return runGradients(*core, steps, gradientCKD); });
  return result;
}

Napi::Value CentersObject::gradientsAsync(const Napi::CallbackInfo& info) {
  live();
  const Steps steps = readSteps(info[0]);
  const auto core = live();
  const int64_t length = resultLength(config_.classes, config_.subCenters, config_.dim, "gradients");
  // JavaScript sees the array only when the promise is settled, so nothing can detach it before.
  Napi::Float32Array result = environment_->newFloat32Array(length, "gradients");
  float* gradientCKD = requireFloat32(result, "gradients").data();
  const auto kept = std::make_shared<Napi::ObjectReference>(Napi::Persistent(result.As<Napi::Object>()));
  return PromiseJob::start(
      info.Env(), core, steps,
      [core = core.get(), steps, gradientCKD] { return runGradients(*core, steps, gradientCKD); },
      [kept](Napi::Env) -> Napi::Value { return kept->Value(); });
}

}  // namespace hyperarc::addon
