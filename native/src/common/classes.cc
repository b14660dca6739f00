#include "common/classes.h"

#include <algorithm>
#include <iterator>

namespace hyperarc {

std::vector<int32_t> localClassesOf(const int32_t* labelsB, int64_t batch, const CentersConfig& config) {
  std::vector<int32_t> result(batch);
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t local = labelsB[i] - config.firstClass;
    result[i] = local < 0 || local >= config.classes ? -1 : static_cast<int32_t>(local);
  }
  return result;
}

std::vector<int32_t> positivesOf(const int32_t* labelsB, int64_t batch, const CentersConfig& config) {
  std::vector<int32_t> positives = localClassesOf(labelsB, batch, config);
  std::sort(positives.begin(), positives.end());
  positives.erase(std::unique(positives.begin(), positives.end()), positives.end());
  if (!positives.empty() && positives.front() < 0) positives.erase(positives.begin());
  return positives;
}

void mergeClasses(std::vector<int32_t>* sorted, std::span<const int32_t> more) {
  std::vector<int32_t> merged;
  merged.reserve(sorted->size() + more.size());
  std::set_union(sorted->begin(), sorted->end(), more.begin(), more.end(), std::back_inserter(merged));
  sorted->swap(merged);
}

}  // namespace hyperarc
