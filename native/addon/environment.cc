#include "environment.h"

#include <string>
#include <system_error>
#include <utility>

#include "arguments.h"
#include "errors.h"

namespace hyperarc::addon {
namespace {

/// Drops the last reference on the device thread.
template <typename Core>
class ReleaseJob : public Job {
 public:
  explicit ReleaseJob(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  void run() noexcept override { core_.reset(); }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace

void Environment::install(Napi::Env env) {
  env.SetInstanceData(new std::shared_ptr<Environment>(std::make_shared<Environment>(env)));
}

const std::shared_ptr<Environment>& Environment::of(Napi::Env env) {
  return *env.GetInstanceData<std::shared_ptr<Environment>>();
}

Environment::Environment(Napi::Env env) : env_(env) {
  float32Array_ = Napi::Persistent(env.Global().Get("Float32Array").As<Napi::Function>());
  int32Array_ = Napi::Persistent(env.Global().Get("Int32Array").As<Napi::Function>());

  const auto wake = [](napi_env callEnv, napi_value, void* context, void*) {
    try {
      if (callEnv != nullptr) static_cast<Environment*>(context)->settleFinished();
    } catch (...) {
      // The environment is being terminated: no promise can be settled any more, and nobody waits for one.
    }
  };
  const Napi::String name = Napi::String::New(env, "hyperarc");
  const napi_status created =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, wake, &wake_);
  if (created != napi_ok) throw Napi::Error::New(env);
  napi_unref_threadsafe_function(env, wake_);

  // Hooks run last in, first out: this one runs before the wake function's own, after which no thread may call it.
  napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<Environment*>(self)->shutDown(); }, this);
}

std::shared_ptr<DeviceThread> Environment::startThread() {
  std::erase_if(threads_, [](const auto& thread) { return thread->ended(); });
  try {
    threads_.push_back(std::make_shared<DeviceThread>([this](std::unique_ptr<Job> job) { finished(std::move(job)); }));
  } catch (const std::system_error& error) {
    fail(StatusCode::kDevice, std::string("threads: expected to start the engine's own thread, received \"") +
                                  error.what() + "\"; end threads or processes that are not needed");
  }
  return threads_.back();
}

void Environment::post(DeviceThread& thread, std::unique_ptr<SettlingJob> job) {
  thread.post(std::move(job));
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void Environment::finished(std::unique_ptr<Job> job) {
  std::lock_guard lock(mutex_);
  finished_.push_back(std::move(job));
  if (!closed_) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void Environment::settleFinished() {
  while (true) {
    std::unique_ptr<Job> job;
    {
      std::lock_guard lock(mutex_);
      if (finished_.empty()) return;
      job = std::move(finished_.front());
      finished_.pop_front();
    }
    auto* settling = dynamic_cast<SettlingJob*>(job.get());
    if (settling == nullptr) continue;
    if (--pending_ == 0) napi_unref_threadsafe_function(env_, wake_);
    const Napi::HandleScope scope(env_);
    settling->settle(env_);
  }
}

void Environment::shutDown() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  std::deque<std::unique_ptr<Job>> dropped;
  for (const auto& thread : threads_) {
    for (auto& job : thread->cancel()) dropped.push_back(std::move(job));
  }
  std::lock_guard lock(mutex_);
  for (auto& job : finished_) dropped.push_back(std::move(job));
  finished_.clear();
}

template <typename Core>
void Environment::releaseCore(std::shared_ptr<Core> core) {
  if (!core || core.use_count() > 1) return;
  const std::shared_ptr<EngineCore> engine = core->engine;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
  }
  if (engine->use.try_lock()) {
    engine->use.unlock();
  } else {
    engine->thread->post(std::make_unique<ReleaseJob<Core>>(std::move(core)));
  }
}

void Environment::release(std::shared_ptr<CentersCore> centers) { releaseCore(std::move(centers)); }
void Environment::release(std::shared_ptr<StepCore> step) { releaseCore(std::move(step)); }

Napi::Object Environment::newTypedArray(const Napi::FunctionReference& constructor, int64_t length, const char* name) {
  try {
    return constructor.New({Napi::Number::New(env_, static_cast<double>(length))});
  } catch (const Napi::Error&) {
    fail(StatusCode::kMemory, std::string(name) + ": expected " + std::to_string(length * 4) +
                                  " bytes of JavaScript memory for the result, received none");
  }
}

Napi::Float32Array Environment::newFloat32Array(int64_t length, const char* name) {
  return newTypedArray(float32Array_, length, name).As<Napi::Float32Array>();
}

Napi::Int32Array Environment::newInt32Array(int64_t length, const char* name) {
  return newTypedArray(int32Array_, length, name).As<Napi::Int32Array>();
}

}  // namespace hyperarc::addon
