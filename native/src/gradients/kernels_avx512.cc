#ifdef HYPERARC_X86
#include "gradients/kernels.h"

namespace hyperarc::gradients {
namespace {
constexpr int kVectorFloats = 16;
constexpr int kTileRows = 8;
}  // namespace
}  // namespace hyperarc::gradients

#include "gradients/kernels_body.h"

namespace hyperarc::gradients {
const Kernels kAvx512Kernels = kBody;
}  // namespace hyperarc::gradients
#endif
