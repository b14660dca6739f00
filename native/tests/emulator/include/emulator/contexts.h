// Which devices the process has opened, for tests of what should stay away from one.
#pragma once

namespace hyperarc::emulator {

/// Whether the device's context was opened: on a real one that takes time and hundreds of megabytes.
bool isContextOpen(int device);

}  // namespace hyperarc::emulator
