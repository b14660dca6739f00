// The PTX that HYPERARC_EMULATED_PTX names: kernels by their function in the host's build.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "module.h"

namespace hyperarc::emulator::ptx {

using Arguments = std::vector<std::vector<std::byte>>;  // the bytes of each

/// What a thread of a kernel of the module runs, with these arguments. Fails where the kernel takes others, or is
/// compiled for other clusters.
std::function<void()> bodyOf(const Module& module, const Function& function, unsigned cluster,
                             const Arguments& arguments);

/// The same of a function of the host's build: its PTX from the .ptx files of `folder`. Fails where no file
/// has it. Where `launched` is not empty, a line with the kernel's mangled name goes to that file at its first launch.
std::function<void()> bodyOf(const std::string& folder, const std::string& launched, const void* kernel,
                             unsigned cluster, const Arguments& arguments);

}  // namespace hyperarc::emulator::ptx
