// NativeClassCenters: cosines without a loss, to every class or to each sample's own.
#include "objects.h"
#include "promise_job.h"

namespace hyperarc::addon {
namespace {

int64_t countEmbeddings(std::span<const float> embeddings, int32_t dim) {
  if (embeddings.empty() || embeddings.size() % static_cast<size_t>(dim) != 0) {
    fail(StatusCode::kShape, "embeddings: expected a positive multiple of dim " + std::to_string(dim) +
                                 " elements, received " + std::to_string(embeddings.size()));
  }
  return static_cast<int64_t>(embeddings.size()) / dim;
}

/// No margin moves a target's cosine: any rule will do.
BatchValues withoutMargin(const Napi::CallbackInfo& info) {
  const Napi::Value none = info.Env().Undefined();
  return {info[0], info[1], none, none, MarginRule{}};
}

}  // namespace

Napi::Value CentersObject::cosines(const Napi::CallbackInfo& info) {
  const auto core = live();
  const std::span<const float> embeddings = requireFloat32(info[0], "embeddings");
  const int64_t batch = countEmbeddings(embeddings, config_.dim);
  const std::vector<float> embeddingsBD(embeddings.begin(), embeddings.end());
  Napi::Float32Array result =
      environment_->newFloat32Array(resultLength(batch, config_.classes, 1, "cosines"), "cosines");
  float* cosinesBC = requireFloat32(result, "cosines").data();
  runNow({}, [&] { return core->centers->cosines(embeddingsBD.data(), batch, cosinesBC); });
  return result;
}

Napi::Value CentersObject::cosinesAsync(const Napi::CallbackInfo& info) {
  const auto core = live();
  const std::span<const float> embeddings = requireFloat32(info[0], "embeddings");
  const int64_t batch = countEmbeddings(embeddings, config_.dim);
  std::vector<float> embeddingsBD(embeddings.begin(), embeddings.end());
  Napi::Float32Array result =
      environment_->newFloat32Array(resultLength(batch, config_.classes, 1, "cosines"), "cosines");
  float* cosinesBC = requireFloat32(result, "cosines").data();
  const auto kept = std::make_shared<Napi::ObjectReference>(Napi::Persistent(result.As<Napi::Object>()));
  return PromiseJob::start(
      info.Env(), core, {},
      [core = core.get(), embeddingsBD = std::move(embeddingsBD), batch, cosinesBC] {
        return core->centers->cosines(embeddingsBD.data(), batch, cosinesBC);
      },
      [kept](Napi::Env) -> Napi::Value { return kept->Value(); });
}

Napi::Value CentersObject::targetCosines(const Napi::CallbackInfo& info) {
  const auto core = live();
  const OwnedBatch batch(withoutMargin(info), config_.dim);
  Napi::Float32Array result = environment_->newFloat32Array(batch.size(), "targetCosines");
  float* cosinesB = requireFloat32(result, "targetCosines").data();
  runNow({}, [&] { return runTargetCosines(*core, batch.view(), cosinesB); });
  return result;
}

Napi::Value CentersObject::targetCosinesAsync(const Napi::CallbackInfo& info) {
  const auto core = live();
  const auto batch = std::make_shared<const OwnedBatch>(withoutMargin(info), config_.dim);
  Napi::Float32Array result = environment_->newFloat32Array(batch->size(), "targetCosines");
  float* cosinesB = requireFloat32(result, "targetCosines").data();
  const auto kept = std::make_shared<Napi::ObjectReference>(Napi::Persistent(result.As<Napi::Object>()));
  return PromiseJob::start(
      info.Env(), core, {},
      [core = core.get(), batch, cosinesB] { return runTargetCosines(*core, batch->view(), cosinesB); },
      [kept](Napi::Env) -> Napi::Value { return kept->Value(); });
}

}  // namespace hyperarc::addon
