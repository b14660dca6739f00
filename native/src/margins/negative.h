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
  const NegativeBranch& branch = c > Real(threshold) ? rule.above : rule.below;
  return {Real(branch.value[0]) + c * (Real(branch.value[1]) + c * Real(branch.value[2])),
          Real(branch.slope[0]) + c * Real(branch.slope[1])};
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

/// The largest logit of any negative over the scale; 1 without a rule.
HYPERARC_HD float largestNegative(const NegativeRule& rule) {
  if (rule.threshold == NegativeThreshold::kNone) return 1.0f;
  const float above = largestOf(rule.above), below = largestOf(rule.below);
  return above > below ? above : below;
}

}  // namespace hyperarc::margins
