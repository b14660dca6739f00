#include "objects.h"

namespace hyperarc::addon {

Napi::Function StepObject::define(Napi::Env env) {
  return DefineClass(env, "NativeStep",
                     {InstanceAccessor<&StepObject::guarded<&StepObject::id>>("id"),
                      InstanceAccessor<&StepObject::guarded<&StepObject::batch>>("batch"),
                      InstanceAccessor<&StepObject::guarded<&StepObject::bytes>>("bytes"),
                      InstanceAccessor<&StepObject::guarded<&StepObject::state>>("state"),
                      InstanceMethod<&StepObject::guarded<&StepObject::dispose>>("dispose")});
}

Napi::Value StepObject::create(Napi::Env env, ChildSeed<StepCore> seed) {
  Environment& environment = *Environment::of(env);
  environment.constructing = &seed;
  return environment.stepConstructor.New({});
}

StepObject::StepObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<StepObject>(info), environment_(Environment::of(info.Env())) {
  void* pointer = std::exchange(environment_->constructing, nullptr);
  if (pointer == nullptr) {
    throw toJavaScript(info.Env(),
                       {StatusCode::kRange, "NativeStep: expected createStep(), received a constructor call"});
  }
  auto& seed = *static_cast<ChildSeed<StepCore>*>(pointer);
  core_ = std::move(seed.core);
  siblings_ = std::move(seed.siblings);
  id_ = core_->id;
  siblings_->steps.insert(this);
  registerStep(core_);
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

StepObject::~StepObject() { release(); }

void StepObject::release() {
  if (!core_) return;
  siblings_->steps.erase(this);
  withdraw(id_);
  environment_->release(std::move(core_));
  core_.reset();
}

std::shared_ptr<StepCore> StepObject::require(Napi::Value value, const std::string& name, const EngineCore& engine) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) {
    fail(StatusCode::kRange, name + ": expected a step made by createStep(), received " + describe(value));
  }
  const std::shared_ptr<StepCore>& core = Unwrap(value.As<Napi::Object>())->core_;
  if (!core) fail(StatusCode::kDisposed, name + ": expected a live step, received one that was disposed");
  if (core->engine.get() != &engine) {
    fail(StatusCode::kDevice, name + ": expected a step of the class centres' engine, received one of another engine");
  }
  return core;
}

Napi::Value StepObject::id(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(id_));
}

Napi::Value StepObject::batch(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), core_ ? static_cast<double>(core_->batch) : 0);
}

Napi::Value StepObject::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), core_ ? static_cast<double>(core_->bytes) : 0);
}

Napi::Value StepObject::state(const Napi::CallbackInfo& info) {
  const char* state = "disposed";
  if (core_) state = core_->inFlight > 0 ? "in-flight" : core_->stage == Stage::kReady ? "ready" : "empty";
  return Napi::String::New(info.Env(), state);
}

Napi::Value StepObject::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

}  // namespace hyperarc::addon
