// Checks of a margin rule and of the rows of numbers that replace its own: docs/numerics.md, "Target logit".
#pragma once

#include "hyperarc/status.h"
#include "hyperarc/types.h"

namespace hyperarc {

/// E_RANGE naming the field: "rule.m2: expected …".
Status checkMarginRule(const MarginRule& rule);
/// The (s, m1, m2, m3) of `batch` samples by the ranges of the rule's family: "rowParametersB4[7].m2: expected …".
Status checkRowParameters(const MarginRule& rule, const float* rowParametersB4, int64_t batch);

}  // namespace hyperarc
