// From engine statuses and C++ exceptions to JavaScript errors with a string code. Nothing that native code throws ends
// the process.
#pragma once

#include <napi.h>

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "hyperarc/status.h"

namespace hyperarc::addon {

/// A Status on its way to JavaScript.
class StatusError : public std::exception {
 public:
  explicit StatusError(Status status) : status(std::move(status)) {}
  const char* what() const noexcept override { return status.message().c_str(); }

  const Status status;
};

[[noreturn]] inline void fail(StatusCode code, std::string message) {
  throw StatusError(Status(code, std::move(message)));
}

inline void throwIfFailed(Status status) {
  if (!status) throw StatusError(std::move(status));
}

/// An Error with `message` and `code`.
Napi::Error toJavaScript(Napi::Env env, const Status& status);
/// The status for whatever exception is being handled.
Status currentExceptionStatus() noexcept;

/// Calls `body`; what it throws becomes a JavaScript error with a code. JavaScript's own errors pass through.
template <typename Body>
auto translateErrors(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw toJavaScript(env, currentExceptionStatus());
  }
}

}  // namespace hyperarc::addon
