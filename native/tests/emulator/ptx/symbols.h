// Names of functions in this process, local ones too, which dladdr does not know.
#pragma once

#include <string>

namespace hyperarc::emulator::ptx {

/// The mangled name of the function at an address, from the symbol table of the file that it was loaded from. Fails
/// where there is none (a stripped file).
std::string symbolAt(const void* function);

}  // namespace hyperarc::emulator::ptx
