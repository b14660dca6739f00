#include "convert.h"

#include <string>

#include "arguments.h"

namespace hyperarc::addon {
namespace {

constexpr std::pair<const char*, DeviceKind> kDeviceKinds[] = {{"cpu", DeviceKind::kCpu}, {"cuda", DeviceKind::kCuda}};
constexpr std::pair<const char*, CpuIsa> kIsas[] = {
    {"auto", CpuIsa::kAuto}, {"portable", CpuIsa::kPortable}, {"avx2", CpuIsa::kAvx2}, {"avx512", CpuIsa::kAvx512}};
constexpr std::pair<const char*, Kernels> kKernels[] = {
    {"auto", Kernels::kAuto}, {"plain", Kernels::kPlain}, {"mma", Kernels::kMma}, {"wgmma", Kernels::kWgmma}};
constexpr std::pair<const char*, Precision> kPrecisions[] = {
    {"fp32", Precision::kFp32}, {"bf16", Precision::kBf16Compute}, {"bf16-master", Precision::kBf16Master}};
constexpr std::pair<const char*, Fallback> kFallbacks[] = {
    {"hard", Fallback::kHard}, {"easy", Fallback::kEasy}, {"none", Fallback::kNone}, {"clip", Fallback::kClip}};
constexpr std::pair<const char*, GradientMode> kGradientModes[] = {
    {"exact", GradientMode::kExact}, {"straight-through", GradientMode::kStraightThrough}};
constexpr std::pair<const char*, MarginFamily> kFamilies[] = {{"cosine", MarginFamily::kCosine},
                                                              {"sphere", MarginFamily::kSphere},
                                                              {"quadratic", MarginFamily::kQuadratic},
                                                              {"circle", MarginFamily::kCircle}};
constexpr std::pair<const char*, Optimizer> kOptimizers[] = {{"sgd", Optimizer::kSgd}, {"adamw", Optimizer::kAdamW}};
constexpr std::pair<const char*, Unsampled> kUnsampled[] = {{"frozen", Unsampled::kFrozen},
                                                            {"decayed", Unsampled::kDecayed}};
constexpr std::pair<const char*, Buffer> kBuffers[] = {
    {"weights", Buffer::kWeights}, {"momentum", Buffer::kMomentum}, {"secondMoment", Buffer::kSecondMoment}};

Napi::Number number(Napi::Env env, int64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

bool given(const Napi::Value& value) { return !value.IsUndefined() && !value.IsNull(); }

template <size_t N>
void readFloats(Napi::Value value, const std::string& name, float (&out)[N]) {
  const Napi::Array array = requireArray(value, name);
  if (array.Length() != N) {
    fail(StatusCode::kRange,
         name + ": expected an array of length " + std::to_string(N) + ", received " + describe(value));
  }
  for (uint32_t i = 0; i < N; ++i) out[i] = requireFloat(array.Get(i), name + "[" + std::to_string(i) + "]");
}

NegativeBranch toNegativeBranch(Napi::Value value, const std::string& name) {
  const Napi::Object object = requireObject(value, name);
  NegativeBranch branch;
  readFloats(object.Get("value"), name + ".value", branch.value);
  readFloats(object.Get("slope"), name + ".slope", branch.slope);
  return branch;
}

NegativeRule toNegativeRule(Napi::Value value) {
  NegativeRule rule;
  if (!given(value)) return rule;
  const Napi::Object object = requireObject(value, "rule.negatives");
  const Napi::Value threshold = object.Get("threshold");
  if (threshold.IsString() && threshold.As<Napi::String>().Utf8Value() == "target") {
    rule.threshold = NegativeThreshold::kTarget;
  } else {
    rule.threshold = NegativeThreshold::kFixed;
    rule.fixed = requireFloat(threshold, "rule.negatives.threshold");
  }
  rule.above = toNegativeBranch(object.Get("above"), "rule.negatives.above");
  rule.below = toNegativeBranch(object.Get("below"), "rule.negatives.below");
  return rule;
}

MarginRule toMarginRule(Napi::Value value) {
  const Napi::Object object = requireObject(value, "rule");
  MarginRule rule;
  rule.scale = requireFloat(object.Get("scale"), "rule.scale");
  rule.m1 = requireFloat(object.Get("m1"), "rule.m1");
  rule.m2 = requireFloat(object.Get("m2"), "rule.m2");
  rule.m3 = requireFloat(object.Get("m3"), "rule.m3");
  rule.fallback = requireOneOf(object.Get("fallback"), "rule.fallback", kFallbacks);
  rule.gradient = requireOneOf(object.Get("gradient"), "rule.gradient", kGradientModes);
  rule.family = requireOneOf(object.Get("family"), "rule.family", kFamilies);
  rule.blend = requireFloat(object.Get("blend"), "rule.blend");
  rule.clipRadians = requireFloat(object.Get("clipRadians"), "rule.clipRadians");
  rule.negatives = toNegativeRule(object.Get("negatives"));
  return rule;
}

}  // namespace

CpuIsa toIsa(Napi::Value value, const std::string& name) { return requireOneOf(value, name, kIsas); }
Buffer toBuffer(Napi::Value value, const std::string& name) { return requireOneOf(value, name, kBuffers); }

EngineConfig toEngineConfig(Napi::Value value) {
  const Napi::Object object = requireObject(value, "config");
  EngineConfig config;
  config.kind = requireOneOf(object.Get("kind"), "config.kind", kDeviceKinds);
  config.index = static_cast<int32_t>(requireInteger(object.Get("index"), "config.index", 0, 1023));
  config.isa = toIsa(object.Get("instructionSet"), "config.instructionSet");
  config.threads = static_cast<int32_t>(requireInteger(object.Get("threads"), "config.threads", 0, 1024));
  config.kernels = requireOneOf(object.Get("kernels"), "config.kernels", kKernels);
  return config;
}

CentersConfig toCentersConfig(Napi::Value value) {
  const Napi::Object object = requireObject(value, "config");
  CentersConfig config;
  config.classes = requireInteger(object.Get("classes"), "classes", 1, kMaxClasses);
  config.subCenters = static_cast<int32_t>(requireInteger(object.Get("subCenters"), "subCenters", 1, 16));
  config.dim = static_cast<int32_t>(requireInteger(object.Get("dim"), "dim", 1, 4096));
  config.precision = requireOneOf(object.Get("precision"), "precision", kPrecisions);
  config.firstClass = requireInteger(object.Get("firstClass"), "firstClass", 0, kMaxClasses);
  config.globalClasses = requireInteger(object.Get("globalClasses"), "globalClasses", 0, kMaxClasses);
  config.optimizer = requireOneOf(object.Get("optimizer"), "optimizer", kOptimizers);
  config.momentum = requireBoolean(object.Get("momentum"), "momentum");
  const int64_t global = config.globalClasses == 0 ? config.classes : config.globalClasses;
  if (config.firstClass + config.classes > global) {
    fail(StatusCode::kRange, "firstClass: expected firstClass + classes ≤ globalClasses (" + std::to_string(global) +
                                 "), received " + std::to_string(config.firstClass) + " + " +
                                 std::to_string(config.classes));
  }
  return config;
}

UpdateOptions toUpdateOptions(Napi::Value value) {
  const Napi::Object object = requireObject(value, "options");
  UpdateOptions options;
  options.learningRate = requireFloat(object.Get("learningRate"), "learningRate");
  options.momentum = requireFloat(object.Get("momentum"), "momentum");
  options.weightDecay = requireFloat(object.Get("weightDecay"), "weightDecay");
  options.unsampled = requireOneOf(object.Get("unsampled"), "unsampled", kUnsampled);
  options.roundingStep = requireUint64(object.Get("roundingStep"), "roundingStep");
  options.beta1 = requireFiniteNumber(object.Get("beta1"), "beta1");
  options.beta2 = requireFiniteNumber(object.Get("beta2"), "beta2");
  options.epsilon = requireFiniteNumber(object.Get("epsilon"), "epsilon");
  return options;
}

Napi::Object fromDeviceInfo(Napi::Env env, const DeviceInfo& info) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", info.kind == DeviceKind::kCpu ? "cpu" : "cuda");
  object.Set("index", number(env, info.index));
  object.Set("name", info.name);
  object.Set("instructionSet", info.instructionSet);
  object.Set("totalMemoryBytes", number(env, info.totalMemoryBytes));
  object.Set("freeMemoryBytes", number(env, info.freeMemoryBytes));
  object.Set("threads", number(env, info.threads));
  return object;
}

Napi::Object fromCentersConfig(Napi::Env env, const CentersConfig& config) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("classes", number(env, config.classes));
  object.Set("subCenters", number(env, config.subCenters));
  object.Set("dim", number(env, config.dim));
  for (const auto& [name, precision] : kPrecisions) {
    if (precision == config.precision) object.Set("precision", name);
  }
  object.Set("firstClass", number(env, config.firstClass));
  object.Set("globalClasses", number(env, config.globalClasses));
  for (const auto& [name, optimizer] : kOptimizers) {
    if (optimizer == config.optimizer) object.Set("optimizer", name);
  }
  object.Set("momentum", Napi::Boolean::New(env, config.momentum));
  return object;
}

Napi::Object fromPlan(Napi::Env env, const Plan& plan) {
  Napi::Array parts = Napi::Array::New(env, plan.parts.size());
  for (size_t i = 0; i < plan.parts.size(); ++i) {
    Napi::Object part = Napi::Object::New(env);
    part.Set("name", plan.parts[i].name);
    part.Set("bytes", number(env, plan.parts[i].bytes));
    part.Set("persistent", Napi::Boolean::New(env, plan.parts[i].persistent));
    parts.Set(static_cast<uint32_t>(i), part);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("parts", parts);
  object.Set("persistentBytes", number(env, plan.persistentBytes));
  object.Set("peakBytes", number(env, plan.peakBytes));
  object.Set("availableBytes", number(env, plan.availableBytes));
  object.Set("fits", Napi::Boolean::New(env, plan.fits));
  return object;
}

BatchValues readBatch(Napi::Value value) {
  const Napi::Object object = requireObject(value, "batch");
  BatchValues values;
  values.rule = toMarginRule(object.Get("rule"));
  values.embeddings = object.Get("embeddings");
  values.labels = object.Get("labels");
  values.rowParameters = object.Get("rowParameters");
  values.sampled = object.Get("sampled");
  return values;
}

OwnedBatch::OwnedBatch(const BatchValues& values, int32_t dim) : rule_(values.rule) {
  const auto labels = requireInt32(values.labels, "labels");
  const auto batch = static_cast<int64_t>(labels.size());
  if (batch == 0) fail(StatusCode::kShape, "labels: expected at least one label, received none");
  const auto embeddings = requireFloat32(values.embeddings, "embeddings", batch * dim,
                                         "labels.length " + std::to_string(batch) + " × dim " + std::to_string(dim));
  labelsB_.assign(labels.begin(), labels.end());
  embeddingsBD_.assign(embeddings.begin(), embeddings.end());
  if (given(values.rowParameters)) {
    const auto rows = requireFloat32(values.rowParameters, "rowParameters", batch * 4,
                                     "labels.length " + std::to_string(batch) + " × 4");
    rowParametersB4_.assign(rows.begin(), rows.end());
  }
  if (given(values.sampled)) {
    const auto sampled = requireInt32(values.sampled, "sampled");
    if (sampled.empty()) fail(StatusCode::kShape, "sampled: expected at least one class, received none");
    sampled_.assign(sampled.begin(), sampled.end());
    hasSampled_ = true;
  }
}

Batch OwnedBatch::view() const {
  Batch batch;
  batch.embeddingsBD = embeddingsBD_.data();
  batch.labelsB = labelsB_.data();
  batch.batch = size();
  batch.rule = rule_;
  if (!rowParametersB4_.empty()) batch.rowParametersB4 = rowParametersB4_.data();
  if (hasSampled_) {
    batch.sampledClasses = sampled_.data();
    batch.sampledCount = static_cast<int64_t>(sampled_.size());
  }
  return batch;
}

}  // namespace hyperarc::addon
