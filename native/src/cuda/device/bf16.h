// bf16 as bits, so that host, device and host harness share one type. Round to nearest even unless said otherwise.
#pragma once

#include <cstdint>
#include <cstring>

#include "margins/host_device.h"

namespace hyperarc::cuda {

struct Bf16 {
  uint16_t bits;
};
static_assert(sizeof(Bf16) == 2);

HYPERARC_HD uint32_t floatBits(float value) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(value);
#else
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}

HYPERARC_HD float bitsFloat(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

HYPERARC_HD float toFloat(float value) { return value; }
HYPERARC_HD float toFloat(Bf16 value) { return bitsFloat(static_cast<uint32_t>(value.bits) << 16); }

/// Round to nearest, ties to even; NaN stays NaN.
HYPERARC_HD Bf16 toBf16(float value) {
  const uint32_t bits = floatBits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x0040u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

/// Stochastic rounding with 16 random bits: up with the probability of the cut-off fraction. Infinities and NaN stay.
/// A finite number never becomes infinite: beyond the largest bf16 it is cut. docs/numerics.md, "Stochastic rounding".
HYPERARC_HD Bf16 toBf16Stochastic(float value, uint32_t random16) {
  const uint32_t bits = floatBits(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return toBf16(value);
  const uint32_t rounded = bits + (random16 & 0xffffu);
  const bool overflows = (rounded & 0x7f800000u) == 0x7f800000u;
  return {static_cast<uint16_t>((overflows ? bits : rounded) >> 16)};
}

/// Two rounded numbers in one register, `low` in the low half.
HYPERARC_HD uint32_t packBf16(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
#else
  return static_cast<uint32_t>(toBf16(low).bits) | static_cast<uint32_t>(toBf16(high).bits) << 16;
#endif
}

}  // namespace hyperarc::cuda
