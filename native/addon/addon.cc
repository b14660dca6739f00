// The addon's exports: NativeAddon of packages/kernels-cuda/src/binding.ts.
#include <napi.h>

#include "environment.h"
#include "errors.h"
#include "gradient_functions.h"
#include "objects.h"
#include "tensorflow/register.h"

namespace hyperarc::addon {
namespace {

/// Raised when binding.ts changes in a way that an older build cannot serve.
constexpr int kAbi = 4;

Napi::Value devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return translateErrors(env, [&]() -> Napi::Value {
    const std::vector<DeviceInfo> found = listDevices();
    Napi::Array array = Napi::Array::New(env, found.size());
    for (size_t i = 0; i < found.size(); ++i) array.Set(static_cast<uint32_t>(i), fromDeviceInfo(env, found[i]));
    return array;
  });
}

/// A function, since it asks the driver: what never uses CUDA need not wait for that.
Napi::Value explainNoCuda(const Napi::CallbackInfo& info) {
  return translateErrors(info.Env(), [&]() -> Napi::Value { return Napi::String::New(info.Env(), whyNoCuda()); });
}

Napi::Value supportsIsa(const Napi::CallbackInfo& info) {
  return translateErrors(
      info.Env(), [&]() -> Napi::Value { return Napi::Boolean::New(info.Env(), isaSupported(toIsa(info[0], "isa"))); });
}

Napi::Value registerOps(const Napi::CallbackInfo& info) {
  return translateErrors(info.Env(),
                         [&]() -> Napi::Value { return Napi::String::New(info.Env(), registerTensorFlowOps()); });
}

Napi::Object load(Napi::Env env, Napi::Object exports) {
  Environment::install(env);
  Environment& environment = *Environment::of(env);
  environment.engineConstructor = Napi::Persistent(EngineObject::define(env));
  environment.centersConstructor = Napi::Persistent(CentersObject::define(env));
  environment.stepConstructor = Napi::Persistent(StepObject::define(env));

  exports.Set("abi", Napi::Number::New(env, kAbi));
  exports.Set("buildDescription", buildDescription());
  exports.Set("whyNoCuda", Napi::Function::New<&explainNoCuda>(env, "whyNoCuda"));
  exports.Set("listDevices", Napi::Function::New<&devices>(env, "listDevices"));
  exports.Set("isaSupported", Napi::Function::New<&supportsIsa>(env, "isaSupported"));
  exports.Set("createEngine", Napi::Function::New<&EngineObject::create>(env, "createEngine"));
  exports.Set("registerTensorFlowOps", Napi::Function::New<&registerOps>(env, "registerTensorFlowOps"));
  exportGradientFunctions(env, exports);
  return exports;
}

}  // namespace
}  // namespace hyperarc::addon

static Napi::Object InitHyperArc(Napi::Env env, Napi::Object exports) { return hyperarc::addon::load(env, exports); }

NODE_API_MODULE(hyperarc, InitHyperArc)
