// Statuses with messages put together from parts.
#pragma once

#include <sstream>

#include "hyperarc/status.h"

namespace hyperarc {

template <typename... Parts>
Status failure(StatusCode code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  return {code, message.str()};
}

template <typename... Parts>
Status rangeError(const Parts&... parts) {
  return failure(StatusCode::kRange, parts...);
}

}  // namespace hyperarc
