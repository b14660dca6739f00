// The update of one element, shared by every kernel that finishes a row of dW (and by their tests on the host).
#pragma once

#include "device/bf16.h"
#include "device/philox.h"
#include "views.h"

namespace hyperarc::cuda {

HYPERARC_HD float fused(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return fmaf(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

HYPERARC_HD float squareRoot(float x) {
#ifdef __CUDA_ARCH__
  return sqrtf(x);
#else
  return __builtin_sqrtf(x);
#endif
}

/// v ← μ·v + (g + λ·w); w ← w − η·v. Without a momentum buffer pass v = 0 and drop it (μ is 0 then).
/// Contraction is written out, so that every kernel rounds alike.
HYPERARC_HD void sgdElement(float gradient, float& weight, float& momentum, const UpdateView& sgd) {
  momentum = fused(sgd.momentum, momentum, fused(sgd.weightDecay, weight, gradient));
  weight = fused(-sgd.learningRate, momentum, weight);
}

/// m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← decay·w − rate·m/(√v + ε): common/adamw.h.
HYPERARC_HD void adamwElement(float gradient, float& weight, float& first, float& second, const AdamWFactors& adamw) {
  first = fused(adamw.share1, gradient, adamw.beta1 * first);
  second = fused(adamw.share2 * gradient, gradient, adamw.beta2 * second);
  weight = fused(adamw.decay, weight, -adamw.rate * first / (squareRoot(second) + adamw.epsilon));
}

}  // namespace hyperarc::cuda
