// What this build was compiled for.
#pragma once

#include <string_view>

namespace hyperarc::cuda {

/// Architectures as CMake names them: "80-real 90a-real 120-virtual".
std::string_view builtArchitectures();

/// Whether there are the kernels of kernels/wgmma: sm_90a is one of the architectures.
inline constexpr bool kHasWgmma = HYPERARC_HAS_WGMMA != 0;

/// Whether a device of compute capability major.minor runs code for one of the architectures. CUDA's rules: machine
/// code runs on its major version from its minor one on, PTX on everything from its own on; with the suffix a on that
/// very capability alone, with f within its major version.
bool hasCodeFor(std::string_view architectures, int major, int minor);

}  // namespace hyperarc::cuda
