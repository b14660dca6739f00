#include "promise_job.h"

namespace hyperarc::addon {

PromiseJob::PromiseJob(Napi::Env env, std::shared_ptr<CentersCore> centers,
                       std::vector<std::shared_ptr<StepCore>> steps, Work work, Result result)
    : deferred_(env),
      centers_(std::move(centers)),
      steps_(std::move(steps)),
      work_(std::move(work)),
      result_(std::move(result)) {}

Napi::Value PromiseJob::start(Napi::Env env, std::shared_ptr<CentersCore> centers,
                              std::vector<std::shared_ptr<StepCore>> steps, Work work, Result result) {
  auto job =
      std::make_unique<PromiseJob>(env, std::move(centers), std::move(steps), std::move(work), std::move(result));
  PromiseJob& posted = *job;
  const Napi::Promise promise = posted.deferred_.Promise();
  // Counted before the device thread can see the job; the thread never touches the counters.
  ++posted.centers_->inFlight;
  for (const auto& step : posted.steps_) ++step->inFlight;
  DeviceThread& thread = *posted.centers_->engine->thread;
  Environment::of(env)->post(thread, std::move(job));
  return promise;
}

void PromiseJob::run() noexcept {
  std::lock_guard lock(centers_->engine->use);
  try {
    status_ = work_();
  } catch (...) {
    status_ = currentExceptionStatus();
  }
}

void PromiseJob::settle(Napi::Env env) {
  Environment& environment = *Environment::of(env);
  work_ = nullptr;  // it holds references too
  --centers_->inFlight;
  environment.release(std::move(centers_));
  for (auto& step : steps_) {
    --step->inFlight;
    environment.release(std::move(step));
  }
  try {
    throwIfFailed(status_);
    deferred_.Resolve(result_(env));
  } catch (const Napi::Error& error) {
    deferred_.Reject(error.Value());
  } catch (...) {
    deferred_.Reject(toJavaScript(env, currentExceptionStatus()).Value());
  }
}

}  // namespace hyperarc::addon
