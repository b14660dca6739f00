// The full combined margin (Deng et al. 2019, eq. 4): T = s·(cos(m1·θ + m2) − m3), with every fallback of
// docs/numerics.md. NormFace, CosFace and ArcFace are its special cases, kept apart because they need fewer functions.
#pragma once

#include <cmath>

#include "hyperarc/types.h"
#include "margins/row.h"

namespace hyperarc::margins {

/// `clipRadians`: ε of Fallback::kClip.
template <typename Real>
HYPERARC_HD Target<Real> combined(const Row<Real>& row, const Angle<Real>& angle, Fallback fallback, Real clipRadians) {
  using std::cos;
  using std::sin;
  const Real straight = row.scale * angle.sine;
  const Real phi = row.m1 * angle.theta + row.m2;
  if (fallback == Fallback::kClip) {
    const Real low = clipRadians;
    const Real high = kPi<Real> - clipRadians;
    if (phi < low) return {row.scale * (cos(low) - row.m3), Real(0), Real(0), Real(0)};
    if (phi > high) return {row.scale * (cos(high) - row.m3), Real(0), Real(0), Real(0)};
  }
  if (fallback == Fallback::kEasy && angle.cosine <= Real(0)) {
    return {row.scale * (angle.cosine - row.m3), straight, Real(0), Real(0)};
  }
  const Real theta0 = (kPi<Real> - row.m2) / row.m1;
  if (fallback == Fallback::kHard && theta0 < kPi<Real> && phi > kPi<Real>) {
    const Real beyond = kPi<Real> - theta0;
    const Real byM2 = -row.scale / row.m1 * (sin(theta0) - beyond * cos(theta0));
    return {row.scale * (angle.cosine - beyond * sin(theta0) - row.m3), straight, theta0 * byM2, byM2};
  }
  const Real slope = row.scale * sin(phi);
  return {row.scale * (cos(phi) - row.m3), row.m1 * slope, -slope * angle.theta, -slope};
}

}  // namespace hyperarc::margins
