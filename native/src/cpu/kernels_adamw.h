// AdamW on a row: common/adamw.h.
#pragma once

#include "common/adamw.h"
#include "cpu/kernels_vector.h"

namespace hyperarc::cpu {
namespace {

/// Built without errno, the loop is the vector's own instruction; correctly rounded on every instruction set.
HYPERARC_INLINE Vec squareRoot(Vec x) {
  float lanes[kLanes];
  store(lanes, x);
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = __builtin_sqrtf(lanes[i]);
  return load(lanes);
}

template <bool kGradient>
HYPERARC_INLINE void adamw(const float* gradient, float* weights, float* first, float* second, int64_t dim,
                           const AdamWFactors& f) {
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    Vec m = load(first + d) * f.beta1;
    Vec v = load(second + d) * f.beta2;
    if constexpr (kGradient) {
      const Vec g = load(gradient + d);
      m = m + g * f.share1;
      v = v + g * g * f.share2;
    }
    store(first + d, m);
    store(second + d, v);
    store(weights + d, load(weights + d) * f.decay - m * f.rate / (squareRoot(v) + f.epsilon));
  }
  for (; d < dim; ++d) {
    float m = first[d] * f.beta1;
    float v = second[d] * f.beta2;
    if constexpr (kGradient) {
      const float g = gradient[d];
      m = m + g * f.share1;
      v = v + g * g * f.share2;
    }
    first[d] = m;
    second[d] = v;
    weights[d] = weights[d] * f.decay - m * f.rate / (__builtin_sqrtf(v) + f.epsilon);
  }
}

void adamwRow(const float* gradient, float* weights, float* first, float* second, int64_t dim,
              const AdamWFactors& factors) {
  if (gradient) return adamw<true>(gradient, weights, first, second, dim, factors);
  adamw<false>(gradient, weights, first, second, dim, factors);
}

}  // namespace
}  // namespace hyperarc::cpu
