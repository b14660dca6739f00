// X2-Softmax (Xu et al. 2023, eq. 6): A(θ) − m3 = a·(θ − h)² + k, with m1 = −a, m2 = h, m3 = −k.
#pragma once

#include "margins/row.h"

namespace hyperarc::margins {

template <typename Real>
HYPERARC_HD Target<Real> quadratic(const Row<Real>& row, const Angle<Real>& angle) {
  const Real from = angle.theta - row.m2;
  const Real slope = Real(2) * row.m1 * row.scale * from;
  return {row.scale * (-row.m1 * from * from - row.m3), slope, -row.scale * from * from, slope};
}

}  // namespace hyperarc::margins
