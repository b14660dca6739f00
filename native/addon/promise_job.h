// An asynchronous operation: work on the device thread, then a promise settled on the JavaScript thread.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cores.h"
#include "environment.h"
#include "errors.h"

namespace hyperarc::addon {

class PromiseJob : public SettlingJob {
 public:
  using Work = std::function<Status()>;
  /// Makes the promise's value, on the JavaScript thread.
  using Result = std::function<Napi::Value(Napi::Env)>;

  /// Queues `work` behind what its engine has to do already. The centres and steps count as in flight until the promise
  /// is settled; `work` runs with the engine held.
  static Napi::Value start(Napi::Env env, std::shared_ptr<CentersCore> centers,
                           std::vector<std::shared_ptr<StepCore>> steps, Work work, Result result);

  PromiseJob(Napi::Env env, std::shared_ptr<CentersCore> centers, std::vector<std::shared_ptr<StepCore>> steps,
             Work work, Result result);
  void run() noexcept override;
  void settle(Napi::Env env) override;

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<CentersCore> centers_;
  std::vector<std::shared_ptr<StepCore>> steps_;
  Work work_;
  Result result_;
  Status status_;
};

}  // namespace hyperarc::addon
