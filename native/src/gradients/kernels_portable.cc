#include "gradients/kernels.h"

namespace hyperarc::gradients {
namespace {
constexpr int kVectorFloats = 4;
constexpr int kTileRows = 4;
}  // namespace
}  // namespace hyperarc::gradients

#include "gradients/kernels_body.h"

namespace hyperarc::gradients {
const Kernels kPortableKernels = kBody;
}  // namespace hyperarc::gradients
