#include <algorithm>
#include <string>

#include "gradients/gradients.h"

namespace hyperarc {

Status unsortedSegmentSum(const float* values, const int32_t* ids, int64_t rows, int64_t columns, int64_t segments,
                          float* sums) {
  for (int64_t row = 0; row < rows; ++row) {
    if (ids[row] >= segments) {
      return {StatusCode::kRange, "segmentIds[" + std::to_string(row) + "]: expected an id below numSegments " +
                                      std::to_string(segments) + ", received " + std::to_string(ids[row])};
    }
  }
  std::fill_n(sums, segments * columns, 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    if (ids[row] < 0) continue;
    const float* from = values + row * columns;
    float* to = sums + ids[row] * columns;
    for (int64_t column = 0; column < columns; ++column) to[column] += from[column];
  }
  return Status::ok();
}

}  // namespace hyperarc
