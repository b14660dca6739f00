#include "errors.h"

namespace hyperarc::addon {

const char* codeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "OK";
    case StatusCode::kShape:
      return "E_SHAPE";
    case StatusCode::kDtype:
      return "E_DTYPE";
    case StatusCode::kRange:
      return "E_RANGE";
    case StatusCode::kDevice:
      return "E_DEVICE";
    case StatusCode::kMemory:
      return "E_MEMORY";
    case StatusCode::kFormat:
      return "E_FORMAT";
    case StatusCode::kDisposed:
      return "E_DISPOSED";
    case StatusCode::kBusy:
      return "E_BUSY";
    case StatusCode::kStale:
      return "E_STALE";
    case StatusCode::kNonFinite:
      return "E_NONFINITE";
    case StatusCode::kInternal:
      break;
  }
  return "E_INTERNAL";
}

Napi::Error toJavaScript(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message());
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
