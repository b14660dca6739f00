// PTX text to functions.
#pragma once

#include <memory>
#include <string>

#include "module.h"

namespace hyperarc::emulator::ptx {

/// Fails with the line where the text is none that it understands. An instruction that is not known is refused when it
/// runs: a text may hold some that no test reaches.
std::unique_ptr<Module> parse(const std::string& text, const std::string& file);

/// The qualified name of a function without return type and parameters; unnamed namespaces as "(anonymous namespace)".
/// The same for nvcc's symbol and the host compiler's.
std::string qualifiedName(const std::string& mangled);

}  // namespace hyperarc::emulator::ptx
