// The full combined margin (Deng et al. 2019, eq. 4): T = s·(cos(m1·θ + m2) − m3), with every fallback of
// docs/numerics.md. The other families are its special cases, kept apart because they need no cosine.
#pragma once

#include <cmath>

#include "hyperarc/types.h"
#include "margins/row.h"

namespace hyperarc::margins {

/// ε of Fallback::kClip (AdaFace's value for the arc family).
template <typename Real>
inline constexpr Real kClipEpsilon = Real(1e-4);

template <typename Real>
HYPERARC_HD Target<Real> combined(const Row<Real>& row, const Angle<Real>& angle, Fallback fallback) {
  using std::cos;
  using std::sin;
  const Real straight = row.scale * angle.sine;
  const Real phi = row.m1 * angle.theta + row.m2;
  if (fallback == Fallback::kClip) {
    const Real low = kClipEpsilon<Real>;
    const Real high = kPi<Real> - kClipEpsilon<Real>;
    if (phi < low) return {row.scale * (cos(low) - row.m3), Real(0)};
    if (phi > high) return {row.scale * (cos(high) - row.m3), Real(0)};
  }
  if (fallback == Fallback::kEasy && angle.cosine <= Real(0)) return {row.scale * (angle.cosine - row.m3), straight};
  const Real theta0 = (kPi<Real> - row.m2) / row.m1;
  if (fallback == Fallback::kHard && theta0 < kPi<Real> && phi > kPi<Real>) {
    return {row.scale * (angle.cosine - (kPi<Real> - theta0) * sin(theta0) - row.m3), straight};
  }
  return {row.scale * (cos(phi) - row.m3), row.scale * row.m1 * sin(phi)};
}

}  // namespace hyperarc::margins
