// CosFace (Wang et al. 2018, eq. 4): T = s·(cosθ − m3).
#pragma once

#include "margins/row.h"

namespace hyperarc::margins {

template <typename Real>
HYPERARC_HD Target<Real> cosFace(const Row<Real>& row, const Angle<Real>& angle) {
  const Real slope = row.scale * angle.sine;
  return {row.scale * (angle.cosine - row.m3), slope, -slope * angle.theta, -slope};
}

}  // namespace hyperarc::margins
