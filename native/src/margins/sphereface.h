// SphereFace (Liu et al. 2017, eq. 7): A(θ) = ψ(θ) = (−1)^k·cos(m1·θ) − 2k, k = ⌊m1·θ/π⌋: falls all the way from 1 at
// θ = 0, any m1 ≥ 1 (SphereFace-R, Liu et al. 2022, uses fractions too).
#pragma once

#include <cmath>

#include "margins/row.h"

namespace hyperarc::margins {

template <typename Real>
HYPERARC_HD Target<Real> sphereFace(const Row<Real>& row, const Angle<Real>& angle) {
  using std::cos;
  using std::floor;
  using std::sin;
  const Real phi = row.m1 * angle.theta;
  const Real k = floor(phi / kPi<Real>);
  // (−1)^k·cos φ = cos(φ − kπ), and the same of the sine.
  const Real rest = phi - k * kPi<Real>;
  const Real slope = row.scale * sin(rest);
  return {row.scale * (cos(rest) - Real(2) * k - row.m3), row.m1 * slope, -slope * angle.theta, Real(0)};
}

}  // namespace hyperarc::margins
