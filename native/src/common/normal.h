// Two N(0, 1) numbers from two random words by Box–Muller: docs/numerics.md, "Seeding". The same bits from every
// compiler and device: nothing but products, quotients, roots and explicit fma, each rounded once (a written sum of a
// product could be fused or not), and no library function whose last digit is the library's choice.
#pragma once

#include <cmath>
#include <cstdint>

#include "margins/host_device.h"

namespace hyperarc {

struct NormalPair {
  double first;
  double second;
};

namespace normal {

/// ln(n·2⁻³³) for an odd n < 2³³; within 2 ulp.
HYPERARC_HD double logOfFraction(uint64_t n) {
  using std::fma;
  using std::frexp;
  // ln 2 in two parts; k·(first part) is exact for |k| < 2¹¹.
  constexpr double kLn2High = 0x1.62e42fefa38p-1;
  constexpr double kLn2Low = 0x1.ef35793c7673p-45;
  int exponent;
  double m = frexp(static_cast<double>(n), &exponent);
  if (m < 0.70710678118654752) {
    m *= 2.0;
    --exponent;
  }
  // m in [√½, √2): ln m = 2·artanh(s), s = (m − 1)/(m + 1), s² < 0.0295. Both are exact: m has at most 33 bits.
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double series = 1.0 / 21.0;
  series = fma(series, z, 1.0 / 19.0);
  series = fma(series, z, 1.0 / 17.0);
  series = fma(series, z, 1.0 / 15.0);
  series = fma(series, z, 1.0 / 13.0);
  series = fma(series, z, 1.0 / 11.0);
  series = fma(series, z, 1.0 / 9.0);
  series = fma(series, z, 1.0 / 7.0);
  series = fma(series, z, 1.0 / 5.0);
  series = fma(series, z, 1.0 / 3.0);
  const double twice = 2.0 * s;
  const double logM = fma(twice * z, series, twice);
  const double k = static_cast<double>(exponent - 33);
  return fma(k, kLn2High, fma(k, kLn2Low, logM));
}

struct Direction {
  double cosine;
  double sine;
};

/// cos and sin of n·2⁻³³ turns, n < 2³³; the reduction to an eighth of a turn is exact.
HYPERARC_HD Direction directionOf(uint64_t n) {
  using std::fma;
  constexpr double kRadians = 0x1.921fb54442d18p+2 * 0x1p-33;
  const int quarter = static_cast<int>((n + (uint64_t{1} << 30)) >> 31);
  const int64_t rest = static_cast<int64_t>(n) - (static_cast<int64_t>(quarter) << 31);
  const double x = static_cast<double>(rest) * kRadians;  // |x| ≤ π/4
  const double z = x * x;
  double s = 1.0 / 355687428096000.0;  // 1/17!
  s = fma(s, z, -1.0 / 1307674368000.0);
  s = fma(s, z, 1.0 / 6227020800.0);
  s = fma(s, z, -1.0 / 39916800.0);
  s = fma(s, z, 1.0 / 362880.0);
  s = fma(s, z, -1.0 / 5040.0);
  s = fma(s, z, 1.0 / 120.0);
  s = fma(s, z, -1.0 / 6.0);
  const double sine = fma(x * z, s, x);
  double c = -1.0 / 6402373705728000.0;  // −1/18!
  c = fma(c, z, 1.0 / 20922789888000.0);
  c = fma(c, z, -1.0 / 87178291200.0);
  c = fma(c, z, 1.0 / 479001600.0);
  c = fma(c, z, -1.0 / 3628800.0);
  c = fma(c, z, 1.0 / 40320.0);
  c = fma(c, z, -1.0 / 720.0);
  c = fma(c, z, 1.0 / 24.0);
  c = fma(c, z, -0.5);
  const double cosine = fma(c, z, 1.0);
  switch (quarter % 4) {
    case 0:
      return {cosine, sine};
    case 1:
      return {-sine, cosine};
    case 2:
      return {-cosine, -sine};
    default:
      return {sine, -cosine};
  }
}

}  // namespace normal

/// √(−2 ln u0)·cos 2πu1 and …·sin 2πu1, u = (word + ½)·2⁻³²: strictly between 0 and 1, so the logarithm is finite.
HYPERARC_HD NormalPair normalPair(uint32_t word0, uint32_t word1) {
  using std::sqrt;
  const double radius = sqrt(-2.0 * normal::logOfFraction(2 * uint64_t{word0} + 1));
  const normal::Direction direction = normal::directionOf(2 * uint64_t{word1} + 1);
  return {radius * direction.cosine, radius * direction.sine};
}

}  // namespace hyperarc
