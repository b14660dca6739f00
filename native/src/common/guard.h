// Turns what the standard library throws into a Status at the public API.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "hyperarc/status.h"

namespace hyperarc {

/// Runs `body` (returning Status). `what` names the operation in the message of a failed allocation.
template <typename Body>
Status guarded(const char* what, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return {StatusCode::kMemory, std::string(what) +
                                     ": expected memory for its buffers, received an allocation failure; see plan(), "
                                     "use a smaller batch or fewer classes"};
  } catch (const std::exception& error) {
    return {StatusCode::kInternal, std::string(what) + ": " + error.what()};
  }
}

}  // namespace hyperarc
