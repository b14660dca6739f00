// Stands in for CUDA's header when the CUDA engine's own source is compiled for the host (docs/testing-cuda.md): the
// language of device code, and the runtime API. What is not here is not emulated, and does not compile.
#pragma once

#include "emulator/intrinsics.h"
#include "emulator/language.h"
#include "emulator/runtime_api.h"
#include "emulator/vector_types.h"
#include "emulator/warp_functions.h"
