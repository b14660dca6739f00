// The engine's exponential: e^x = 2^n·e^r, n = round(x/ln 2), |r| ≤ ln2/2, e^r by the degree-7 polynomial of Cephes
// expf (Moshier). Error at most 2 ulp for x in [−87.33, 88.72] (0.996 is the worst that tests/exp_test.cc meets); below
// that the result is subnormal, within 2 units of the smallest subnormal (1.4e-45), and 0 from −104 down. NaN stays
// NaN.
#pragma once

#include "cpu/kernels_vector.h"

namespace hyperarc::cpu {
namespace {

HYPERARC_INLINE Vec exponential(Vec x) {
  const Vec low = splat(-104.0f);
  const Vec high = splat(88.7228f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  // Adding 1.5·2^23 leaves round(x/ln 2) in the low mantissa bits.
  const Vec magic = splat(12582912.0f);
  const Vec shifted = x * 1.44269504088896341f + magic;
  const Vec n = shifted - magic;
  // ln 2 in two parts; n·(first part) is exact.
  Vec r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Vec p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const Vec e = p * (r * r) + r + 1.0f;
  // 2^n in two factors, since n runs from −150 to 128, beyond one fp32 exponent.
  const IntVec exponent = reinterpret_cast<IntVec>(shifted) - 0x4B400000;
  const IntVec half = exponent >> 1;
  const Vec first = reinterpret_cast<Vec>((half + 127) << 23);
  const Vec second = reinterpret_cast<Vec>((exponent - half + 127) << 23);
  const Vec result = e * first * second;
  return x > low ? result : (x == x ? Vec{} : x);
}

void exponentialOf(float* x, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(x + i, exponential(load(x + i)));
  if (i == count) return;
  float tail[kLanes] = {};
  for (int64_t j = i; j < count; ++j) tail[j - i] = x[j];
  store(tail, exponential(load(tail)));
  for (int64_t j = i; j < count; ++j) x[j] = tail[j - i];
}

void exponentiate(Panels s, int64_t rows, int64_t count, const float* scale, const float* shift, const float* factor) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec scales = load(scale + i), shifts = load(shift + i), factors = load(factor + i);
    float* p = panelAt(s, i) + i % kPanel;
    for (int64_t r = 0; r < rows; ++r, p += kPanel) store(p, exponential(scales * load(p) - shifts) * factors);
  }
}

/// The largest of `group` rows, lane by lane. A NaN wins, so that it is not lost with the sub-centre that holds it.
HYPERARC_INLINE Vec largestOfGroup(const float* p, int64_t group) {
  Vec best = load(p);
  for (int64_t k = 1; k < group; ++k) {
    const Vec candidate = load(p + k * kPanel);
    best = (candidate > best) | (candidate != candidate) ? candidate : best;
  }
  return best;
}

/// `value` where a row of the group holds `best` first, 0 in the others.
HYPERARC_INLINE void storeAtWinner(float* p, int64_t group, Vec best, Vec value) {
  IntVec open = ~IntVec{};
  for (int64_t k = 0; k < group; ++k) {
    const IntVec wins = ((load(p + k * kPanel) == best) | (best != best)) & open;
    open &= ~wins;
    store(p + k * kPanel, wins ? value : Vec{});
  }
}

void exponentiateMaximum(Panels s, int64_t rows, int64_t group, int64_t count, const float* scale, const float* shift,
                         const float* factor) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec scales = load(scale + i), shifts = load(shift + i), factors = load(factor + i);
    float* p = panelAt(s, i) + i % kPanel;
    for (int64_t r = 0; r < rows; r += group, p += group * kPanel) {
      const Vec best = largestOfGroup(p, group);
      storeAtWinner(p, group, best, exponential(scales * best - shifts) * factors);
    }
  }
}

}  // namespace
}  // namespace hyperarc::cpu
