#include "errors.h"

#include "argument_names.h"

namespace hyperarc::addon {

Napi::Error toJavaScript(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, withArgumentNames(status.message()));
  error.Set("code", Napi::String::New(env, codeName(status.code())));
  return error;
}

Status currentExceptionStatus() noexcept {
  try {
    throw;
  } catch (const StatusError& error) {
    return error.status;
  } catch (const std::bad_alloc&) {
    return {StatusCode::kMemory, "host memory: expected the allocation to succeed, received none"};
  } catch (const std::exception& error) {
    return {StatusCode::kInternal, error.what()};
  } catch (...) {
    return {StatusCode::kInternal, "unknown native exception"};
  }
}

}  // namespace hyperarc::addon
