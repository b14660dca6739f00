// Chooses the margin family of a row and applies the gradient mode. Host and device.
#pragma once

#include <cmath>

#include "hyperarc/types.h"
#include "margins/arcface.h"
#include "margins/combined.h"
#include "margins/cosface.h"
#include "margins/normalised_softmax.h"
#include "margins/row.h"

namespace hyperarc::margins {

/// Below this sine the direction of the tangent is rounding noise of fp32 data: the target's share of both gradients is
/// 0.
template <typename Real>
inline constexpr Real kMinSine = Real(1e-6);

template <typename Real>
HYPERARC_HD Angle<Real> angleOf(Real cosine, Real sine) {
  using std::atan2;
  return {cosine, sine, atan2(sine, cosine)};
}

/// Target logit and h for one sample.
template <typename Real>
HYPERARC_HD Target<Real> target(const Row<Real>& row, const Angle<Real>& angle, Fallback fallback,
                                GradientMode gradient) {
  Target<Real> result;
  if (fallback == Fallback::kClip || row.m1 != Real(1) || (row.m2 != Real(0) && row.m3 != Real(0))) {
    result = combined(row, angle, fallback);
  } else if (row.m2 != Real(0)) {
    result = arcFace(row, angle, fallback);
  } else if (row.m3 != Real(0)) {
    result = cosFace(row, angle);
  } else {
    result = normalisedSoftmax(row, angle);
  }
  if (gradient == GradientMode::kStraightThrough) result.h = row.scale * angle.sine;
  return result;
}

}  // namespace hyperarc::margins
