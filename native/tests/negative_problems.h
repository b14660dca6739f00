// Heads with negative rules, and problems whose cosines take both branches of them.
#pragma once

#include <string>
#include <vector>

#include "reference.h"

namespace hyperarc::test {

struct NamedRule {
  std::string name;
  MarginRule rule;
};

/// CurricularFace, MV-Softmax (adaptive and fixed), ArcFace with inter-class filtering, Circle loss (with its detached
/// weights, and exact); published parameters, CurricularFace's t in the middle of training.
std::vector<NamedRule> headsWithNegatives();
/// The rule with the true derivative of N: what finite differences see.
MarginRule withTrueSlopes(MarginRule rule);

/// Random operands whose cosines are spread over (−1, 1): classes in up to six groups around a direction each, samples
/// around the group of their class or of the next one, some on the opposite side; one zero embedding and one zero
/// centre when there is room. Takes the first seed from `seed` on for which no negative lies within 1e-6 of its
/// threshold: nearer than that an engine's rounding may choose the other branch, and where N jumps the results rightly
/// differ.
Problem crowdedProblem(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, const MarginRule& rule,
                       uint32_t seed, Precision precision = Precision::kFp32);
/// The same for each sample's own (s, m1, m2, m3), given by `rowsB4`.
Problem crowdedProblem(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, const MarginRule& rule,
                       const std::vector<float>& rowsB4, uint32_t seed, Precision precision = Precision::kFp32);

}  // namespace hyperarc::test
