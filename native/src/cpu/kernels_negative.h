// The softmax terms of negatives under a rule: N(c), its slope and the exponential in one sweep over the cosines.
// Arithmetic of N: margins/negative.h.
#pragma once

#include "cpu/kernels_exp.h"

namespace hyperarc::cpu {
namespace {

/// A branch with each number in every lane.
struct BranchLanes {
  HYPERARC_INLINE explicit BranchLanes(const float* numbers)
      : value{splat(numbers[0]), splat(numbers[1]), splat(numbers[2])}, slope{splat(numbers[3]), splat(numbers[4])} {}
  HYPERARC_INLINE Vec valueAt(Vec c) const { return value[0] + c * (value[1] + c * value[2]); }
  HYPERARC_INLINE Vec slopeAt(Vec c) const { return slope[0] + c * slope[1]; }
  Vec value[3];
  Vec slope[2];
};

template <bool kGrouped, bool kSums>
HYPERARC_INLINE void termsOfRule(Panels s, int64_t rows, int64_t group, int64_t count, const NegativeTerms& terms,
                                 double* sums) {
  const BranchLanes above(terms.above), below(terms.below);
  const int64_t step = kGrouped ? group : 1;
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec scales = load(terms.scale + i), shifts = load(terms.shift + i), factors = load(terms.factor + i),
              thresholds = load(terms.threshold + i);
    float* p = panelAt(s, i) + i % kPanel;
    Vec sum = {};
    for (int64_t r = 0; r < rows; r += step, p += step * kPanel) {
      const Vec c = kGrouped ? largestOfGroup(p, group) : load(p);
      const IntVec isAbove = c > thresholds;
      const Vec value = isAbove ? above.valueAt(c) : below.valueAt(c);
      const Vec slope = isAbove ? above.slopeAt(c) : below.slopeAt(c);
      const Vec e = exponential(scales * value - shifts) * factors;
      const Vec term = c < splat(kLowestCosine) ? Vec{} : e;
      if constexpr (kSums) sum += term;
      if constexpr (kGrouped) {
        storeAtWinner(p, group, c, term * slope);
      } else {
        store(p, term * slope);
      }
    }
    if constexpr (kSums) {
      float lanes[kLanes];
      store(lanes, sum);
      const int64_t used = smaller(kLanes, count - i);
      for (int64_t j = 0; j < used; ++j) sums[i + j] += static_cast<double>(lanes[j]);
    }
  }
}

void negativeTerms(Panels s, int64_t rows, int64_t group, int64_t count, const NegativeTerms& terms, double* sums) {
  if (group == 1) {
    if (sums != nullptr) return termsOfRule<false, true>(s, rows, group, count, terms, sums);
    return termsOfRule<false, false>(s, rows, group, count, terms, sums);
  }
  if (sums != nullptr) return termsOfRule<true, true>(s, rows, group, count, terms, sums);
  termsOfRule<true, false>(s, rows, group, count, terms, sums);
}

}  // namespace
}  // namespace hyperarc::cpu
