#ifdef HYPERARC_X86
#include "gradients/kernels.h"

namespace hyperarc::gradients {
namespace {
constexpr int kVectorFloats = 8;
constexpr int kTileRows = 4;
}  // namespace
}  // namespace hyperarc::gradients

#include "gradients/kernels_body.h"

namespace hyperarc::gradients {
const Kernels kAvx2Kernels = kBody;
}  // namespace hyperarc::gradients
#endif
