// NativeClassCenters: life cycle and sampling. Rows, passes and cosines are in centers_*.cc.
#include "objects.h"
#include "promise_job.h"

namespace hyperarc::addon {
namespace {

struct SampleArguments {
  Napi::Value labels;
  SampleOptions options;
};

SampleArguments readSample(const Napi::CallbackInfo& info) {
  SampleArguments arguments{info[0], {}};
  arguments.options.rate = requireFiniteNumber(info[1], "rate");
  arguments.options.seed = requireUint64(info[2], "seed");
  arguments.options.step = requireUint64(info[3], "step");
  arguments.options.shard = static_cast<uint32_t>(requireInteger(info[4], "shard", 0, 4294967295));
  return arguments;
}

Napi::Value toInt32Array(Napi::Env env, const std::vector<int32_t>& classes) {
  Napi::Int32Array array = Environment::of(env)->newInt32Array(static_cast<int64_t>(classes.size()), "sample");
  std::ranges::copy(classes, requireInt32(array, "sample").begin());
  return array;
}

}  // namespace

Napi::Function CentersObject::define(Napi::Env env) {
  using Self = CentersObject;
  return DefineClass(env, "NativeClassCenters",
                     {InstanceAccessor<&Self::guarded<&Self::id>>("id"),
                      InstanceAccessor<&Self::guarded<&Self::config>>("config"),
                      InstanceAccessor<&Self::guarded<&Self::bytes>>("bytes"),
                      InstanceAccessor<&Self::guarded<&Self::weightsVersion>>("weightsVersion"),
                      InstanceAccessor<&Self::guarded<&Self::updates>>("updates"),
                      InstanceAccessor<&Self::guarded<&Self::state>>("state"),
                      InstanceMethod<&Self::guarded<&Self::dispose>>("dispose"),
                      InstanceMethod<&Self::guarded<&Self::kernels>>("kernels"),
                      InstanceMethod<&Self::guarded<&Self::lastTimes>>("lastTimes"),
                      InstanceMethod<&Self::guarded<&Self::seedNormal>>("seedNormal"),
                      InstanceMethod<&Self::guarded<&Self::setUpdates>>("setUpdates"),
                      InstanceMethod<&Self::guarded<&Self::writeRows>>("writeRows"),
                      InstanceMethod<&Self::guarded<&Self::readRows>>("readRows"),
                      InstanceMethod<&Self::guarded<&Self::writeRowsAt>>("writeRowsAt"),
                      InstanceMethod<&Self::guarded<&Self::readRowsAt>>("readRowsAt"),
                      InstanceMethod<&Self::guarded<&Self::resize>>("resize"),
                      InstanceMethod<&Self::guarded<&Self::forward>>("forward"),
                      InstanceMethod<&Self::guarded<&Self::forwardAsync>>("forwardAsync"),
                      InstanceMethod<&Self::guarded<&Self::targetTerms>>("targetTerms"),
                      InstanceMethod<&Self::guarded<&Self::negativeSums>>("negativeSums"),
                      InstanceMethod<&Self::guarded<&Self::finishForward>>("finishForward"),
                      InstanceMethod<&Self::guarded<&Self::getSeam>>("getSeam"),
                      InstanceMethod<&Self::guarded<&Self::setSeam>>("setSeam"),
                      InstanceMethod<&Self::guarded<&Self::update>>("update"),
                      InstanceMethod<&Self::guarded<&Self::updateAsync>>("updateAsync"),
                      InstanceMethod<&Self::guarded<&Self::gradients>>("gradients"),
                      InstanceMethod<&Self::guarded<&Self::gradientsAsync>>("gradientsAsync"),
                      InstanceMethod<&Self::guarded<&Self::cosines>>("cosines"),
                      InstanceMethod<&Self::guarded<&Self::cosinesAsync>>("cosinesAsync"),
                      InstanceMethod<&Self::guarded<&Self::targetCosines>>("targetCosines"),
                      InstanceMethod<&Self::guarded<&Self::targetCosinesAsync>>("targetCosinesAsync"),
                      InstanceMethod<&Self::guarded<&Self::sample>>("sample"),
                      InstanceMethod<&Self::guarded<&Self::sampleAsync>>("sampleAsync")});
}

Napi::Value CentersObject::create(Napi::Env env, ChildSeed<CentersCore> seed) {
  Environment& environment = *Environment::of(env);
  environment.constructing = &seed;
  return environment.centersConstructor.New({});
}

CentersObject::CentersObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<CentersObject>(info), environment_(Environment::of(info.Env())) {
  void* pointer = std::exchange(environment_->constructing, nullptr);
  if (pointer == nullptr) {
    throw toJavaScript(
        info.Env(), {StatusCode::kRange, "NativeClassCenters: expected createCenters(), received a constructor call"});
  }
  auto& seed = *static_cast<ChildSeed<CentersCore>*>(pointer);
  core_ = std::move(seed.core);
  siblings_ = std::move(seed.siblings);
  id_ = core_->id;
  config_ = core_->centers->config();
  siblings_->centers.insert(this);
  registerCenters(core_);
  reportMemory(core_->bytes);
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

CentersObject::~CentersObject() { release(); }

void CentersObject::reportMemory(int64_t bytes) {
  // Not Napi::MemoryManagement, which throws, while this also runs in a finalizer.
  int64_t adjusted = 0;
  napi_adjust_external_memory(Env(), bytes - externalBytes_, &adjusted);
  externalBytes_ = bytes;
}

void CentersObject::release() {
  if (!core_) return;
  siblings_->centers.erase(this);
  withdraw(id_);
  environment_->release(std::move(core_));
  core_.reset();
  reportMemory(0);
}

const std::shared_ptr<CentersCore>& CentersObject::live() const {
  if (!core_) fail(StatusCode::kDisposed, "class centres: expected live centres, received ones that were disposed");
  return core_;
}

void CentersObject::runNow(const Steps& steps, const std::function<Status()>& work) {
  if (core_->inFlight > 0) {
    fail(StatusCode::kBusy,
         "class centres: expected no asynchronous operation in flight, received one; await it first, or use the Async "
         "form");
  }
  for (const auto& step : steps) {
    if (step->inFlight > 0) {
      fail(StatusCode::kBusy,
           "step: expected no asynchronous operation in flight, received one; await it first, or use the Async form");
    }
  }
  std::lock_guard lock(core_->engine->use);
  throwIfFailed(work());
  core_->refresh();
}

Napi::Value CentersObject::id(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(id_));
}

Napi::Value CentersObject::config(const Napi::CallbackInfo& info) { return fromCentersConfig(info.Env(), config_); }

Napi::Value CentersObject::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), core_ ? static_cast<double>(core_->bytes) : 0);
}

Napi::Value CentersObject::weightsVersion(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), core_ ? static_cast<double>(core_->weightsVersion) : 0);
}

Napi::Value CentersObject::updates(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), core_ ? static_cast<double>(core_->updates) : 0);
}

Napi::Value CentersObject::state(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), !core_ ? "disposed" : core_->inFlight > 0 ? "in-flight" : "live");
}

Napi::Value CentersObject::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

Napi::Value CentersObject::kernels(const Napi::CallbackInfo& info) {
  live();
  const int64_t batch = requireInteger(info[0], "batch", 1, kMaxClasses);
  std::string names;
  runNow({}, [&] {
    names = core_->centers->kernels(batch);
    return Status::ok();
  });
  return Napi::String::New(info.Env(), names);
}

Napi::Value CentersObject::lastTimes(const Napi::CallbackInfo& info) {
  live();
  StepTimes times;
  runNow({}, [&] {
    times = core_->centers->lastTimes();
    return Status::ok();
  });
  if (!times.measured) return info.Env().Undefined();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("forwardMs", Napi::Number::New(info.Env(), times.forwardMs));
  object.Set("updateMs", Napi::Number::New(info.Env(), times.updateMs));
  return object;
}

Napi::Value CentersObject::sample(const Napi::CallbackInfo& info) {
  live();
  const SampleArguments arguments = readSample(info);
  const std::span<const int32_t> given = requireInt32(arguments.labels, "labels");
  const std::vector<int32_t> labels(given.begin(), given.end());
  std::vector<int32_t> classes;
  runNow({}, [&] {
    return core_->centers->sample(labels.data(), static_cast<int64_t>(labels.size()), arguments.options, &classes);
  });
  return toInt32Array(info.Env(), classes);
}

Napi::Value CentersObject::sampleAsync(const Napi::CallbackInfo& info) {
  live();
  const SampleArguments arguments = readSample(info);
  const std::span<const int32_t> given = requireInt32(arguments.labels, "labels");
  auto classes = std::make_shared<std::vector<int32_t>>();
  return PromiseJob::start(
      info.Env(), live(), {},
      [core = core_.get(), labels = std::vector<int32_t>(given.begin(), given.end()), options = arguments.options,
       classes] {
        return core->centers->sample(labels.data(), static_cast<int64_t>(labels.size()), options, classes.get());
      },
      [classes](Napi::Env env) { return toInt32Array(env, *classes); });
}

}  // namespace hyperarc::addon
