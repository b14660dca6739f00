// Builds without sm_90a (HYPERARC_CUDA_ARCHITECTURES): there are no wgmma kernels, and the kernel table chooses none.
#include "passes.h"
#include "runtime/error.h"

#if !HYPERARC_HAS_WGMMA
namespace hyperarc::cuda {

std::unique_ptr<Passes> makeWgmmaPasses(const Device&, int32_t) {
  throw CudaError(StatusCode::kInternal, "wgmma passes: expected a build with sm_90a, received one without");
}

}  // namespace hyperarc::cuda
#endif
