// The gradient kernels of src/gradients as JavaScript functions.
#pragma once

#include <napi.h>

namespace hyperarc::addon {

void exportGradientFunctions(Napi::Env env, Napi::Object exports);

}  // namespace hyperarc::addon
