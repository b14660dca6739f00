// What every margin family takes and gives.
#pragma once

#include "margins/host_device.h"

namespace hyperarc::margins {

/// One sample's margin parameters: T = scale·(A(θ) − m3), A(θ) of the family from m1 and m2 (radians).
template <typename Real>
struct Row {
  Real scale;
  Real m1;
  Real m2;
  Real m3;
};

/// The angle between an embedding and its class centre; θ = atan2(sine, cosine), which keeps its digits near c = ±1
/// where acos loses half of them.
template <typename Real>
struct Angle {
  Real cosine;
  Real sine;   // ≥ 0
  Real theta;  // radians in [0, π]
};

/// Target logit T and h = (dT/dcosθ)·sinθ. The derivative grows as 1/sinθ, but only ever multiplies the tangent
/// ŵ − c·x̂, of length sinθ: the product is what code stores, and it stays finite.
template <typename Real>
struct Target {
  Real logit;
  Real h;
  Real byM1;  // dT/dm1
  Real byM2;  // dT/dm2
};

template <typename Real>
inline constexpr Real kPi = Real(3.141592653589793238462643383279502884L);

}  // namespace hyperarc::margins
