// ArcFace (Deng et al. 2019, eq. 3): T = s·cos(θ + m2) while θ + m2 ≤ π, and its published fallbacks beyond.
#pragma once

#include <cmath>

#include "hyperarc/types.h"
#include "margins/row.h"

namespace hyperarc::margins {

template <typename Real>
HYPERARC_HD Target<Real> arcFace(const Row<Real>& row, const Angle<Real>& angle, Fallback fallback) {
  using std::cos;
  using std::sin;
  const Real straight = row.scale * angle.sine;
  if (fallback == Fallback::kEasy && angle.cosine <= Real(0)) {
    return {row.scale * angle.cosine, straight, Real(0), Real(0)};
  }
  // For m2 ≤ 0 the bound π − m2 lies at or beyond π: no angle falls back.
  if (fallback == Fallback::kHard && row.m2 > Real(0) && angle.theta + row.m2 > kPi<Real>) {
    const Real byM2 = -row.scale * (sin(row.m2) + row.m2 * cos(row.m2));
    return {row.scale * (angle.cosine - row.m2 * sin(row.m2)), straight, (kPi<Real> - row.m2) * byM2, byM2};
  }
  const Real phi = angle.theta + row.m2;
  const Real slope = row.scale * sin(phi);
  return {row.scale * cos(phi), slope, -slope * angle.theta, -slope};
}

}  // namespace hyperarc::margins
