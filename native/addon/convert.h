// The plain data of hyperarc/types.h from and to the JavaScript shapes of packages/kernels-cuda/src/binding.ts.
#pragma once

#include <napi.h>

#include <vector>

#include "hyperarc/types.h"

namespace hyperarc::addon {

/// Labels and row indices are int32, so no problem has more classes.
inline constexpr int64_t kMaxClasses = 2147483647;

EngineConfig toEngineConfig(Napi::Value value);
CentersConfig toCentersConfig(Napi::Value value);
UpdateOptions toUpdateOptions(Napi::Value value);
CpuIsa toIsa(Napi::Value value, const std::string& name);
Buffer toBuffer(Napi::Value value, const std::string& name);

Napi::Object fromDeviceInfo(Napi::Env env, const DeviceInfo& info);
Napi::Object fromCentersConfig(Napi::Env env, const CentersConfig& config);
Napi::Object fromPlan(Napi::Env env, const Plan& plan);

/// The properties of a NativeBatch, read once; nothing has been copied or measured yet.
struct BatchValues {
  Napi::Value embeddings, labels, rowParameters, sampled;
  MarginRule rule;
};
BatchValues readBatch(Napi::Value value);

/// A batch with its own memory: what JavaScript does to its arrays afterwards changes nothing.
class OwnedBatch {
 public:
  /// E_DTYPE or E_SHAPE where an array does not fit [B] labels and `dim`.
  OwnedBatch(const BatchValues& values, int32_t dim);
  Batch view() const;
  int64_t size() const { return static_cast<int64_t>(labelsB_.size()); }

 private:
  std::vector<float> embeddingsBD_;
  std::vector<int32_t> labelsB_;
  std::vector<float> rowParametersB4_;
  std::vector<int32_t> sampled_;
  bool hasSampled_ = false;
  MarginRule rule_;
};

}  // namespace hyperarc::addon
