// AdamW on one update of the centres: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2,
// as torch.optim.AdamW computes it. Update t of all rows together:
//
//   m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²;  w ← w·(1 − η·λ) − η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε)
//
// √v/c + ε under η·m is √v + ε·c under η·c·m, c = √(1 − β₂ᵗ): one product fewer a number.
#pragma once

#include <cstdint>

#include "hyperarc/types.h"

namespace hyperarc {

/// What is the same for every number: m ← beta1·m + share1·g; v ← beta2·v + share2·g²;
/// w ← decay·w − rate·m/(√v + epsilon).
struct AdamWFactors {
  float decay;    // 1 − η·λ
  float beta1;    // β₁
  float share1;   // 1 − β₁
  float beta2;    // β₂
  float share2;   // 1 − β₂
  float rate;     // η·c/(1 − β₁ᵗ)
  float epsilon;  // ε·c
};

/// Formed in double: in fp32 1 − β₂ᵗ has three digits at the first update. @param t number of the update, from 1.
AdamWFactors adamwFactors(const UpdateOptions& options, uint64_t t);

}  // namespace hyperarc
