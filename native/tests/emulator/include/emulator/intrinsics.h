// Arithmetic, bit tricks, cached loads and atomics of device code. Threads change hands only at barriers and warp
// functions, so an atomic is its plain operation.
#pragma once

#include <math.h>
#include <stdio.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/language.h"

// ---- bits
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline float __uint_as_float(unsigned value) { return std::bit_cast<float>(value); }
inline float __int_as_float(int value) { return std::bit_cast<float>(value); }
inline long long __double_as_longlong(double value) { return std::bit_cast<long long>(value); }
inline double __longlong_as_double(long long value) { return std::bit_cast<double>(value); }
inline int __popc(unsigned value) { return std::popcount(value); }
inline int __popcll(unsigned long long value) { return std::popcount(value); }
inline int __clz(int value) { return std::countl_zero(static_cast<unsigned>(value)); }
inline int __clzll(long long value) { return std::countl_zero(static_cast<unsigned long long>(value)); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __ffsll(long long value) { return __builtin_ffsll(value); }
inline unsigned __brev(unsigned value) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= (value >> bit & 1u) << (31 - bit);
  return reversed;
}
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  unsigned result = 0;
  for (int byte = 0; byte < 4; ++byte) {
    const unsigned nibble = selector >> (4 * byte) & 0xfu;
    unsigned picked = static_cast<unsigned>(bytes >> (8 * (nibble & 7u))) & 0xffu;
    if (nibble & 8u) picked = picked & 0x80u ? 0xffu : 0;  // replicates the sign
    result |= picked << (8 * byte);
  }
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32 | low) << (shift & 31u)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31u));
}

// ---- integers
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
#define HYPERARC_EMULATED_MINMAX(Number)                             \
  constexpr Number min(Number a, Number b) { return b < a ? b : a; } \
  constexpr Number max(Number a, Number b) { return a < b ? b : a; }
HYPERARC_EMULATED_MINMAX(int)
HYPERARC_EMULATED_MINMAX(unsigned)
HYPERARC_EMULATED_MINMAX(long)
HYPERARC_EMULATED_MINMAX(unsigned long)
HYPERARC_EMULATED_MINMAX(long long)
HYPERARC_EMULATED_MINMAX(unsigned long long)
#undef HYPERARC_EMULATED_MINMAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// ---- floating point. The host's exp, log, … are closer to exact than the device's fast ones.
inline float __fadd_rn(float a, float b) {
  volatile float sum = a + b;  // never fused with what follows
  return sum;
}
inline float __fsub_rn(float a, float b) { return __fadd_rn(a, -b); }
inline float __fmul_rn(float a, float b) {
  volatile float product = a * b;
  return product;
}
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) {
  volatile double sum = a + b;
  return sum;
}
inline double __dsub_rn(double a, double b) { return __dadd_rn(a, -b); }
inline double __dmul_rn(double a, double b) {
  volatile double product = a * b;
  return product;
}
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline float rsqrtf(float a) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(a))); }
inline float __frsqrt_rn(float a) { return rsqrtf(a); }
inline double rsqrt(double a) { return 1.0 / std::sqrt(a); }
inline float __expf(float a) { return expf(a); }
inline float __logf(float a) { return logf(a); }
inline float __log2f(float a) { return log2f(a); }
inline float __sinf(float a) { return sinf(a); }
inline float __cosf(float a) { return cosf(a); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __saturatef(float a) { return fminf(fmaxf(a, 0.0f), 1.0f); }
inline double sinpi(double a) { return std::sin(M_PI * std::remainder(a, 2.0)); }
inline double cospi(double a) { return std::cos(M_PI * std::remainder(a, 2.0)); }
inline void sincospi(double a, double* sine, double* cosine) {
  *sine = sinpi(a);
  *cosine = cospi(a);
}
inline int __float2int_rn(float a) { return static_cast<int>(nearbyintf(a)); }
inline int __float2int_rz(float a) { return static_cast<int>(a); }
inline unsigned __float2uint_rn(float a) { return static_cast<unsigned>(nearbyintf(a)); }
inline float __int2float_rn(int a) { return static_cast<float>(a); }
inline float __uint2float_rn(unsigned a) { return static_cast<float>(a); }
inline float __double2float_rn(double a) { return static_cast<float>(a); }

// ---- loads and stores with cache hints
#define HYPERARC_EMULATED_LOAD(name) \
  template <typename T>              \
  T name(const T* address) {         \
    return *address;                 \
  }
HYPERARC_EMULATED_LOAD(__ldg)
HYPERARC_EMULATED_LOAD(__ldca)
HYPERARC_EMULATED_LOAD(__ldcg)
HYPERARC_EMULATED_LOAD(__ldcs)
HYPERARC_EMULATED_LOAD(__ldlu)
HYPERARC_EMULATED_LOAD(__ldcv)
#undef HYPERARC_EMULATED_LOAD
#define HYPERARC_EMULATED_STORE(name)                           \
  template <typename T>                                         \
  void name(T* address, const std::type_identity_t<T>& value) { \
    *address = value;                                           \
  }
HYPERARC_EMULATED_STORE(__stwb)
HYPERARC_EMULATED_STORE(__stcg)
HYPERARC_EMULATED_STORE(__stcs)
HYPERARC_EMULATED_STORE(__stwt)
#undef HYPERARC_EMULATED_STORE

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}
[[noreturn]] inline void __trap() { ::hyperarc::emulator::fail("__trap()"); }

// ---- atomics
namespace hyperarc::emulator {
template <typename T, typename Change>
T atomicChange(T* address, Change change) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(T) != 0)
    fail("atomic on misaligned address %p", static_cast<void*>(address));
  const T old = *address;
  *address = change(old);
  return old;
}
}  // namespace hyperarc::emulator

#define HYPERARC_EMULATED_ATOMIC(name, Number, result)                                                            \
  inline Number name(Number* address, Number value) {                                                             \
    return ::hyperarc::emulator::atomicChange(address,                                                            \
                                              [value]([[maybe_unused]] Number old) -> Number { return result; }); \
  }
#define HYPERARC_EMULATED_INTEGER_ATOMICS(Number)                        \
  HYPERARC_EMULATED_ATOMIC(atomicMax, Number, old < value ? value : old) \
  HYPERARC_EMULATED_ATOMIC(atomicMin, Number, value < old ? value : old) \
  HYPERARC_EMULATED_ATOMIC(atomicAnd, Number, old& value)                \
  HYPERARC_EMULATED_ATOMIC(atomicOr, Number, old | value)                \
  HYPERARC_EMULATED_ATOMIC(atomicXor, Number, old ^ value)
HYPERARC_EMULATED_INTEGER_ATOMICS(int)
HYPERARC_EMULATED_INTEGER_ATOMICS(unsigned)
HYPERARC_EMULATED_INTEGER_ATOMICS(unsigned long long)
HYPERARC_EMULATED_ATOMIC(atomicAdd, int, static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(value)))
HYPERARC_EMULATED_ATOMIC(atomicAdd, unsigned, old + value)
HYPERARC_EMULATED_ATOMIC(atomicAdd, unsigned long long, old + value)
HYPERARC_EMULATED_ATOMIC(atomicAdd, float, old + value)
HYPERARC_EMULATED_ATOMIC(atomicAdd, double, old + value)
HYPERARC_EMULATED_ATOMIC(atomicSub, int, static_cast<int>(static_cast<unsigned>(old) - static_cast<unsigned>(value)))
HYPERARC_EMULATED_ATOMIC(atomicSub, unsigned, old - value)
HYPERARC_EMULATED_ATOMIC(atomicExch, int, value)
HYPERARC_EMULATED_ATOMIC(atomicExch, unsigned, value)
HYPERARC_EMULATED_ATOMIC(atomicExch, unsigned long long, value)
HYPERARC_EMULATED_ATOMIC(atomicExch, float, value)
HYPERARC_EMULATED_ATOMIC(atomicInc, unsigned, old >= value ? 0u : old + 1u)
HYPERARC_EMULATED_ATOMIC(atomicDec, unsigned, old == 0u || old > value ? value : old - 1u)
#undef HYPERARC_EMULATED_INTEGER_ATOMICS
#undef HYPERARC_EMULATED_ATOMIC

template <typename Number>
requires(std::is_same_v<Number, int> || std::is_same_v<Number, unsigned> ||
         std::is_same_v<Number, unsigned long long>) Number
    atomicCAS(Number* address, std::type_identity_t<Number> compare, std::type_identity_t<Number> value) {
  return ::hyperarc::emulator::atomicChange(address, [=](Number old) { return old == compare ? value : old; });
}
