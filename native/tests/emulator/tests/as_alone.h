// A program runs many tests, and each shall find what it finds alone.
#pragma once

namespace hyperarc::emulator {

/// Sets HYPERARC_EMULATED_* as they were when the program began, and begins the seed's order of turns anew. Called
/// before each test.
void beginAsAlone();

}  // namespace hyperarc::emulator
