// Normalised softmax (NormFace, Wang et al. 2017): T = s·cosθ.
#pragma once

#include <cmath>

#include "margins/row.h"

namespace hyperarc::margins {

template <typename Real>
HYPERARC_HD Target<Real> normalisedSoftmax(const Row<Real>& row, const Angle<Real>& angle) {
  const Real slope = row.scale * angle.sine;
  return {row.scale * angle.cosine, slope, -slope * angle.theta, -slope};
}

}  // namespace hyperarc::margins
