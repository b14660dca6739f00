// Circle loss with class centres (Sun et al. 2020, eq. 6 and §3.3): T = γ·α_p·(c − Δ_p), α_p = 1 + m − c, Δ_p = 1 − m,
// m in m2. In the published programs α_p is a constant to the gradient: GradientMode::kStraightThrough.
#pragma once

#include "hyperarc/types.h"
#include "margins/row.h"

namespace hyperarc::margins {

template <typename Real>
HYPERARC_HD Target<Real> circle(const Row<Real>& row, const Angle<Real>& angle, GradientMode gradient) {
  const Real weight = Real(1) + row.m2 - angle.cosine;
  const Real derivative = gradient == GradientMode::kStraightThrough ? weight : Real(2) * (Real(1) - angle.cosine);
  return {row.scale * (weight * (angle.cosine - Real(1) + row.m2) - row.m3), row.scale * derivative * angle.sine,
          Real(0), Real(2) * row.scale * row.m2};
}

}  // namespace hyperarc::margins
