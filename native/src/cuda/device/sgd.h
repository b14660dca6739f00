// The update of one element, shared by every kernel that finishes a row of dW (and by their tests on the host).
#pragma once

#include "device/bf16.h"
#include "device/philox.h"
#include "views.h"

namespace hyperarc::cuda {

/// v ← μ·v + (g + λ·w); w ← w − η·v. Without a momentum buffer pass v = 0 and drop it (μ is 0 then).
/// Contraction is written out, so that every kernel rounds alike.
HYPERARC_HD void sgdElement(float gradient, float& weight, float& momentum, const SgdView& sgd) {
#ifdef __CUDA_ARCH__
  momentum = fmaf(sgd.momentum, momentum, fmaf(sgd.weightDecay, weight, gradient));
  weight = fmaf(-sgd.learningRate, momentum, weight);
#else
  momentum = __builtin_fmaf(sgd.momentum, momentum, __builtin_fmaf(sgd.weightDecay, weight, gradient));
  weight = __builtin_fmaf(-sgd.learningRate, momentum, weight);
#endif
}

}  // namespace hyperarc::cuda
