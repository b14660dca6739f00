// Normalised softmax (NormFace, Wang et al. 2017): T = s·cosθ.
#pragma once

#include "margins/row.h"

namespace hyperarc::margins {

template <typename Real>
HYPERARC_HD Target<Real> normalisedSoftmax(const Row<Real>& row, const Angle<Real>& angle) {
  return {row.scale * angle.cosine, row.scale * angle.sine};
}

}  // namespace hyperarc::margins
