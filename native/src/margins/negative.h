// What a negative's cosine becomes before the softmax: N(c), two quadratics joined at a threshold. It carries
// CurricularFace (Huang et al. 2020, eq. 5–7), MV-Softmax (Wang et al. 2020, eq. 4–5), inter-class filtering
// (arcface_torch) and the negatives of Circle loss (Sun et al. 2020). Host and device; engines without a rule
// compile the identity instead.
#pragma once

#include "hyperarc/types.h"
#include "margins/host_device.h"

namespace hyperarc::margins {

template <typename Real>
struct Negative {
  Real value;  // N(c)
  Real slope;  // dN/dc
};

/// One negative of cosine c; `threshold` is the rule's fixed one or the sample's own. A NaN takes the lower branch and
/// stays NaN where that branch depends on c.
template <typename Real>
HYPERARC_HD Negative<Real> negative(const NegativeRule& rule, float threshold, Real c) {
  // Numbers are chosen, not a branch by its address: a device keeps the rule in registers or constant memory.
  const bool isAbove = c > Real(threshold);
  const auto chosen = [&](float above, float below) { return Real(isAbove ? above : below); };
  const NegativeBranch &above = rule.above, &below = rule.below;
  const Real value0 = chosen(above.value[0], below.value[0]);
  const Real value1 = chosen(above.value[1], below.value[1]);
  const Real value2 = chosen(above.value[2], below.value[2]);
  return {value0 + c * (value1 + c * value2),
          chosen(above.slope[0], below.slope[0]) + c * chosen(above.slope[1], below.slope[1])};
}

/// The largest N(c) of c in [−1, 1] on either branch: with it a fixed shift bounds every exponential.
HYPERARC_HD float largestOf(const NegativeBranch& branch) {
  const float a = branch.value[0], b = branch.value[1], q = branch.value[2];
  float largest = a + q + (b < 0.0f ? -b : b);
  if (q < 0.0f) {
    const float vertex = -b / (2.0f * q);
    const float top = a + vertex * (b + vertex * q);
    if (vertex > -1.0f && vertex < 1.0f && top > largest) largest = top;
  }
  return largest;
}

/// The smallest one, likewise.
HYPERARC_HD float smallestOf(const NegativeBranch& branch) {
  return -largestOf({{-branch.value[0], -branch.value[1], -branch.value[2]}, {0.0f, 0.0f}});
}

/// The largest logit of any negative over the scale; 1 without a rule.
HYPERARC_HD float largestNegative(const NegativeRule& rule) {
  if (rule.threshold == NegativeThreshold::kNone) return 1.0f;
  const float above = largestOf(rule.above), below = largestOf(rule.below);
  return above > below ? above : below;
}

/// The smallest logit of any negative over the scale; −1 without a rule.
HYPERARC_HD float smallestNegative(const NegativeRule& rule) {
  if (rule.threshold == NegativeThreshold::kNone) return -1.0f;
  const float above = smallestOf(rule.above), below = smallestOf(rule.below);
  return above < below ? above : below;
}

HYPERARC_HD float steepestOf(const NegativeBranch& branch) {
  const float constant = branch.slope[0] < 0.0f ? -branch.slope[0] : branch.slope[0];
  return constant + (branch.slope[1] < 0.0f ? -branch.slope[1] : branch.slope[1]);
}

/// The largest |dN/dc| on [−1, 1], and at least 1: by it a term of U_i may exceed one of l_i.
HYPERARC_HD float steepestNegative(const NegativeRule& rule) {
  if (rule.threshold == NegativeThreshold::kNone) return 1.0f;
  const float above = steepestOf(rule.above), below = steepestOf(rule.below);
  const float steeper = above > below ? above : below;
  return steeper > 1.0f ? steeper : 1.0f;
}

/// The shift that pass 1 starts from (docs/numerics.md, "Loss and gradients"): logits are bounded, so a fixed shift
/// keeps the sums of C exponentials within fp32, with no running maximum. `largest` is the rule's largestNegative,
/// `logTerms` ln(C_global·steepestNegative).
template <typename Real>
HYPERARC_HD Real firstShift(Real scale, Real m3, Real largest, Real logTerms) {
  const Real target = m3 < Real(0) ? Real(1) - m3 : Real(1);
  const Real shift = scale * (largest > target ? largest : target) + logTerms - Real(87);
  return shift > Real(0) ? shift : Real(0);
}

}  // namespace hyperarc::margins
