// Lists of classes that both engines make on the host.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hyperarc/types.h"

namespace hyperarc {

/// Local class of each label, −1 where another shard owns it.
std::vector<int32_t> localClassesOf(const int32_t* labelsB, int64_t batch, const CentersConfig& config);
/// Distinct owned classes of the labels, sorted.
std::vector<int32_t> positivesOf(const int32_t* labelsB, int64_t batch, const CentersConfig& config);
/// `sorted` ← `sorted` ∪ `more`, both sorted and distinct.
void mergeClasses(std::vector<int32_t>* sorted, std::span<const int32_t> more);

}  // namespace hyperarc
