// Scales above 69, and rules that lower the negatives, can leave every one of a sample below fp32: docs/numerics.md,
// "Loss and gradients".
#pragma once

#include <cstdint>

#include "hyperarc/status.h"

namespace hyperarc {

/// A sum l_i below this has lost terms to fp32's range.
inline constexpr float kSmallestSum = 1e-30f;
/// By how much a shift is lowered before pass 1 is repeated.
inline constexpr float kShiftLowering = 100.0f;
/// −ln of kSmallestSum, rounded down: no sum of e^(−x), x up to this, is below it.
inline constexpr double kSafeExponent = 69.0;

/// E_RANGE for a shard, which may not choose a shift of its own.
Status lostNegatives(float scale, int64_t sample);

}  // namespace hyperarc
