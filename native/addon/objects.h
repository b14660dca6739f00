// The three JavaScript classes: NativeEngine, NativeClassCenters, NativeStep of packages/kernels-cuda/src/binding.ts.
#pragma once

#include <napi.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "arguments.h"
#include "convert.h"
#include "cores.h"
#include "environment.h"
#include "errors.h"

namespace hyperarc::addon {

class CentersObject;
class StepObject;

/// The live objects of one engine, so that disposing the engine disposes them.
struct EngineChildren {
  std::set<CentersObject*> centers;
  std::set<StepObject*> steps;
};

/// Node checks the receiver of methods but not that of accessors: a getter borrowed by an object of another class would
/// take one class for another. Nothing of `this` may be touched before. E_RANGE.
inline void requireReceiver(const Napi::CallbackInfo& info, const napi_type_tag& tag) {
  if (!info.This().IsObject() || !info.This().As<Napi::Object>().CheckTypeTag(&tag)) {
    fail(StatusCode::kRange, "this: expected the object that has this property, received another");
  }
}

/// What a child object is made from.
template <typename Core>
struct ChildSeed {
  std::shared_ptr<Core> core;
  std::shared_ptr<EngineChildren> siblings;
};

class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static constexpr napi_type_tag kTag = {0x4f0c86e2a97b41d3, 0xb6d21f7c5e08933a};
  static Napi::Function define(Napi::Env env);
  /// createEngine(config).
  static Napi::Value create(const Napi::CallbackInfo& info);
  explicit EngineObject(const Napi::CallbackInfo& info);
  ~EngineObject() override = default;

 private:
  template <Napi::Value (EngineObject::*method)(const Napi::CallbackInfo&)>
  Napi::Value guarded(const Napi::CallbackInfo& info) {
    return translateErrors(info.Env(), [&] {
      requireReceiver(info, kTag);
      return (this->*method)(info);
    });
  }
  EngineCore& live() const;
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value plan(const Napi::CallbackInfo& info);
  Napi::Value createCenters(const Napi::CallbackInfo& info);
  Napi::Value createStep(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<EngineCore> core_;
  std::shared_ptr<EngineChildren> children_;
  /// The device as it was last seen idle; what `device` answers while an operation runs.
  DeviceInfo lastSeen_;
};

class StepObject : public Napi::ObjectWrap<StepObject> {
 public:
  static constexpr napi_type_tag kTag = {0x9d1f5b1a6c3e4f07, 0x8a4be2c1735d9f60};
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env, ChildSeed<StepCore> seed);
  explicit StepObject(const Napi::CallbackInfo& info);
  ~StepObject() override;

  /// The step behind a JavaScript value: E_RANGE for anything else, E_DISPOSED, E_DEVICE for another engine's.
  static std::shared_ptr<StepCore> require(Napi::Value value, const std::string& name, const EngineCore& engine);
  void release();

 private:
  template <Napi::Value (StepObject::*method)(const Napi::CallbackInfo&)>
  Napi::Value guarded(const Napi::CallbackInfo& info) {
    return translateErrors(info.Env(), [&] {
      requireReceiver(info, kTag);
      return (this->*method)(info);
    });
  }
  Napi::Value id(const Napi::CallbackInfo& info);
  Napi::Value batch(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<Environment> environment_;
  int64_t id_ = 0;
  std::shared_ptr<StepCore> core_;
  std::shared_ptr<EngineChildren> siblings_;
};

class CentersObject : public Napi::ObjectWrap<CentersObject> {
 public:
  static constexpr napi_type_tag kTag = {0x27e3b8d90a5c4614, 0x91f4c06b8d7e2a35};
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env, ChildSeed<CentersCore> seed);
  explicit CentersObject(const Napi::CallbackInfo& info);
  ~CentersObject() override;

  void release();

 private:
  using Steps = std::vector<std::shared_ptr<StepCore>>;
  template <Napi::Value (CentersObject::*method)(const Napi::CallbackInfo&)>
  Napi::Value guarded(const Napi::CallbackInfo& info) {
    return translateErrors(info.Env(), [&] {
      requireReceiver(info, kTag);
      return (this->*method)(info);
    });
  }
  const std::shared_ptr<CentersCore>& live() const;
  /// Tells the garbage collector how much native memory this object stands for.
  void reportMemory(int64_t bytes);
  /// Calls `work` on this thread: E_BUSY if an asynchronous operation uses the centres or one of the steps.
  void runNow(const Steps& steps, const std::function<Status()>& work);
  Steps readSteps(Napi::Value value);

  Napi::Value id(const Napi::CallbackInfo& info);
  Napi::Value config(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);
  Napi::Value weightsVersion(const Napi::CallbackInfo& info);
  Napi::Value updates(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  Napi::Value kernels(const Napi::CallbackInfo& info);
  Napi::Value lastTimes(const Napi::CallbackInfo& info);

  Napi::Value seedNormal(const Napi::CallbackInfo& info);
  Napi::Value setUpdates(const Napi::CallbackInfo& info);
  Napi::Value writeRows(const Napi::CallbackInfo& info);
  Napi::Value readRows(const Napi::CallbackInfo& info);
  Napi::Value writeRowsAt(const Napi::CallbackInfo& info);
  Napi::Value readRowsAt(const Napi::CallbackInfo& info);
  Napi::Value resize(const Napi::CallbackInfo& info);

  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value forwardAsync(const Napi::CallbackInfo& info);
  Napi::Value targetTerms(const Napi::CallbackInfo& info);
  Napi::Value negativeSums(const Napi::CallbackInfo& info);
  Napi::Value finishForward(const Napi::CallbackInfo& info);
  Napi::Value getSeam(const Napi::CallbackInfo& info);
  Napi::Value setSeam(const Napi::CallbackInfo& info);

  Napi::Value update(const Napi::CallbackInfo& info);
  Napi::Value updateAsync(const Napi::CallbackInfo& info);
  Napi::Value gradients(const Napi::CallbackInfo& info);
  Napi::Value gradientsAsync(const Napi::CallbackInfo& info);
  Napi::Value cosines(const Napi::CallbackInfo& info);
  Napi::Value cosinesAsync(const Napi::CallbackInfo& info);
  Napi::Value targetCosines(const Napi::CallbackInfo& info);
  Napi::Value targetCosinesAsync(const Napi::CallbackInfo& info);
  Napi::Value sample(const Napi::CallbackInfo& info);
  Napi::Value sampleAsync(const Napi::CallbackInfo& info);

  std::shared_ptr<Environment> environment_;
  int64_t id_ = 0;
  std::shared_ptr<CentersCore> core_;
  std::shared_ptr<EngineChildren> siblings_;
  CentersConfig config_;  // changes only with resize, on this thread
  int64_t externalBytes_ = 0;
};

}  // namespace hyperarc::addon
