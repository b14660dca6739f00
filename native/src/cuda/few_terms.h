// Sums of few terms. What each term loses to bf16 averages out over many of them, but not where few decide a sum
// (docs/kernels/mma.md, "Few terms"; what is few was found by measuring).
#pragma once

#include <cstdint>

namespace hyperarc::cuda {

/// A step of so few samples may have one that is most of a gradient, however small it is.
inline constexpr int64_t kFewSamples = 16;
/// The sum over so few classes may be one of them, or what is left of several that cancel, at any e^(s·c).
inline constexpr int64_t kFewClasses = 128;
/// In fewer dimensions than these the terms of a gradient often cancel.
inline constexpr int32_t kFewDimensions = 16;

}  // namespace hyperarc::cuda
