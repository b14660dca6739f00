#include "objects.h"

namespace hyperarc::addon {

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(env, "NativeEngine",
                     {InstanceAccessor<&EngineObject::guarded<&EngineObject::device>>("device"),
                      InstanceAccessor<&EngineObject::guarded<&EngineObject::state>>("state"),
                      InstanceMethod<&EngineObject::guarded<&EngineObject::plan>>("plan"),
                      InstanceMethod<&EngineObject::guarded<&EngineObject::createCenters>>("createCenters"),
                      InstanceMethod<&EngineObject::guarded<&EngineObject::createStep>>("createStep"),
                      InstanceMethod<&EngineObject::guarded<&EngineObject::dispose>>("dispose")});
}

Napi::Value EngineObject::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return translateErrors(env, [&]() -> Napi::Value {
    const EngineConfig config = toEngineConfig(info[0]);
    std::unique_ptr<Engine> engine;
    throwIfFailed(createEngine(config, &engine));
    Environment& environment = *Environment::of(env);
    auto core = std::make_shared<EngineCore>(std::move(engine), environment.startThread());
    environment.constructing = &core;
    return environment.engineConstructor.New({});
  });
}

EngineObject::EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {
  void* seed = std::exchange(Environment::of(info.Env())->constructing, nullptr);
  if (seed == nullptr) {
    throw toJavaScript(info.Env(),
                       {StatusCode::kRange, "NativeEngine: expected createEngine(), received a constructor call"});
  }
  core_ = *static_cast<std::shared_ptr<EngineCore>*>(seed);
  children_ = std::make_shared<EngineChildren>();
  lastSeen_ = core_->engine->device();
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

EngineCore& EngineObject::live() const {
  if (!core_) fail(StatusCode::kDisposed, "engine: expected a live engine, received one that was disposed");
  return *core_;
}

Napi::Value EngineObject::device(const Napi::CallbackInfo& info) {
  if (core_) {
    const std::unique_lock lock(core_->use, std::try_to_lock);
    if (lock.owns_lock()) lastSeen_ = core_->engine->device();
  }
  return fromDeviceInfo(info.Env(), lastSeen_);
}

Napi::Value EngineObject::state(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), core_ ? "live" : "disposed");
}

Napi::Value EngineObject::plan(const Napi::CallbackInfo& info) {
  live();
  const CentersConfig config = toCentersConfig(info[0]);
  const int64_t batch = requireInteger(info[1], "batch", 1, kMaxClasses);
  const double rate = requireFiniteNumber(info[2], "rate");
  EngineCore& core = live();
  Plan plan;
  {
    std::lock_guard lock(core.use);
    throwIfFailed(core.engine->plan(config, batch, rate, &plan));
  }
  return fromPlan(info.Env(), plan);
}

Napi::Value EngineObject::createCenters(const Napi::CallbackInfo& info) {
  live();
  const CentersConfig config = toCentersConfig(info[0]);
  EngineCore& core = live();
  std::unique_ptr<ClassCenters> centers;
  {
    std::lock_guard lock(core.use);
    throwIfFailed(core.engine->createCenters(config, &centers));
  }
  return CentersObject::create(info.Env(), {std::make_shared<CentersCore>(core_, std::move(centers)), children_});
}

Napi::Value EngineObject::createStep(const Napi::CallbackInfo& info) {
  live();
  return StepObject::create(info.Env(), {std::make_shared<StepCore>(core_), children_});
}

Napi::Value EngineObject::dispose(const Napi::CallbackInfo& info) {
  if (core_) {
    // release() takes the object out of the set, so the sets shrink to nothing.
    while (!children_->steps.empty()) (*children_->steps.begin())->release();
    while (!children_->centers.empty()) (*children_->centers.begin())->release();
    core_.reset();
  }
  return info.Env().Undefined();
}

}  // namespace hyperarc::addon
