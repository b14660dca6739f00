// The target logit of a row: chooses the family, then applies gradient mode and blend. Host and device.
#pragma once

#include <cmath>

#include "hyperarc/types.h"
#include "margins/arcface.h"
#include "margins/circle.h"
#include "margins/combined.h"
#include "margins/cosface.h"
#include "margins/normalised_softmax.h"
#include "margins/quadratic.h"
#include "margins/row.h"
#include "margins/sphereface.h"

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

template <typename Real>
HYPERARC_HD Target<Real> cosineTarget(const Row<Real>& row, const Angle<Real>& angle, const MarginRule& rule) {
  const Fallback fallback = rule.fallback;
  if (fallback == Fallback::kClip || row.m1 != Real(1) || (row.m2 != Real(0) && row.m3 != Real(0))) {
    return combined(row, angle, fallback, Real(rule.clipRadians));
  }
  if (row.m2 != Real(0)) return arcFace(row, angle, fallback);
  Target<Real> result = row.m3 != Real(0) ? cosFace(row, angle) : normalisedSoftmax(row, angle);
  // The lower half of the easy margin is cosθ whatever m1 and m2.
  if (fallback == Fallback::kEasy && angle.cosine <= Real(0)) result.byM1 = result.byM2 = Real(0);
  return result;
}

/// Target logit, h and the derivatives by m1 and m2 for one sample. Of `rule` only what no row replaces is read.
template <typename Real>
HYPERARC_HD Target<Real> target(const Row<Real>& row, const Angle<Real>& angle, const MarginRule& rule) {
  Target<Real> result;
  switch (rule.family) {
    case MarginFamily::kSphere:
      result = sphereFace(row, angle);
      break;
    case MarginFamily::kQuadratic:
      result = quadratic(row, angle);
      break;
    case MarginFamily::kCircle:
      result = circle(row, angle, rule.gradient);
      break;
    default:
      result = cosineTarget(row, angle, rule);
  }
  const Real straight = row.scale * angle.sine;
  if (rule.gradient == GradientMode::kStraightThrough && rule.family != MarginFamily::kCircle) result.h = straight;
  if (rule.blend != 1.0f) {
    const Real w = Real(rule.blend);
    result.logit = w * result.logit + (Real(1) - w) * row.scale * angle.cosine;
    result.h = w * result.h + (Real(1) - w) * straight;
    result.byM1 *= w;
    result.byM2 *= w;
  }
  return result;
}

/// What NegativeThreshold::kTarget compares with: A(θ) − m3 of the row, without fallback, blend and scale.
template <typename Real>
HYPERARC_HD Real targetThreshold(const Row<Real>& row, const Angle<Real>& angle, const MarginRule& rule) {
  MarginRule plain = rule;
  plain.fallback = Fallback::kNone;
  plain.blend = 1.0f;
  return target(Row<Real>{Real(1), row.m1, row.m2, row.m3}, angle, plain).logit;
}

}  // namespace hyperarc::margins
