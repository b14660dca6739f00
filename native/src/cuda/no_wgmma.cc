// Builds without sm_90a (HYPERARC_CUDA_ARCHITECTURES): there are no wgmma kernels.
#include "passes.h"

#if !HYPERARC_HAS_WGMMA
namespace hyperarc::cuda {

std::unique_ptr<Passes> makeWgmmaPasses(const Device&, int32_t) { return nullptr; }

}  // namespace hyperarc::cuda
#endif
