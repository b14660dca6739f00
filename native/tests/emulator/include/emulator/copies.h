// What copies have moved, for tests that count it.
#pragma once

#include <cstdint>

namespace hyperarc::emulator {

/// Bytes of all copies from device memory to the host's that this process has enqueued so far.
int64_t bytesCopiedToHost();

}  // namespace hyperarc::emulator
