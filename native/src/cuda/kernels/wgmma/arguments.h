// What the two Hopper kernels are given besides tensor maps.
#pragma once

#include "hopper/schedule.h"
#include "passes.h"

namespace hyperarc::cuda::wgmma {

/// Pass 1: rows are samples, tiles are classes. `partialRows` is a multiple of what a cluster holds.
struct NegativeArguments {
  hopper::Schedule schedule;
  SamplesView samples;
  int64_t classes;  // positions
  int64_t partialRows;
  float* partialU;  // [splits, partialRows, Dp]
  /// Σ e and Σ e', where e' is what the tensor cores were given for e: [splits, parts, partialRows, 2].
  float* partialSums;
};

/// Pass 2: rows are classes, tiles are samples.
struct GradientArguments {
  hopper::Schedule schedule;
  CenterGradients gradients;
  const float* inverseNorms;  // by position
};

}  // namespace hyperarc::cuda::wgmma
