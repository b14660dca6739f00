// Status: how the engine reports an error. No exception crosses the engine's public API.
#pragma once

#include <string>
#include <utility>

namespace hyperarc {

/// The error classes of docs/architecture.md; the JavaScript code is "E_" + the upper-case name.
enum class StatusCode {
  kOk = 0,
  kShape,      // E_SHAPE: a length or a dimension does not fit
  kDtype,      // E_DTYPE: an element type that is not supported here
  kRange,      // E_RANGE: a value outside its range (labels, rates, margins)
  kDevice,     // E_DEVICE: no such device, or the device cannot do this
  kMemory,     // E_MEMORY: memory that cannot be had; the message holds the plan
  kFormat,     // E_FORMAT: a file or buffer of another layout
  kDisposed,   // E_DISPOSED: the object was disposed
  kBusy,       // E_BUSY: the object is in use by an operation in flight
  kStale,      // E_STALE: a step computed from weights that have moved since
  kNonFinite,  // E_NONFINITE: NaN or infinity in an input
  kInternal,   // E_INTERNAL: a bug in HyperArc
};

/// The stable string that JavaScript sees as an error's `code`.
inline const char* codeName(StatusCode code) {
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

/// Success, or a code and a message that names the argument, what was expected, what came, and the fix.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}
  static Status ok() { return {}; }
  bool isOk() const { return code_ == StatusCode::kOk; }
  explicit operator bool() const { return isOk(); }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

}  // namespace hyperarc
