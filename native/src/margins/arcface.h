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
  const Target<Real> plain = {row.scale * angle.cosine, row.scale * angle.sine};
  if (fallback == Fallback::kEasy && angle.cosine <= Real(0)) return plain;
  // For m2 ≤ 0 the bound π − m2 lies at or beyond π: no angle falls back.
  if (fallback == Fallback::kHard && row.m2 > Real(0) && angle.theta + row.m2 > kPi<Real>) {
    return {row.scale * (angle.cosine - row.m2 * sin(row.m2)), plain.h};
  }
  const Real phi = angle.theta + row.m2;
  return {row.scale * cos(phi), row.scale * sin(phi)};
}

}  // namespace hyperarc::margins
