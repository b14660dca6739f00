#include "common/small_sums.h"

#include <string>

namespace hyperarc {

Status lostNegatives(float scale, int64_t sample) {
  return {StatusCode::kRange, "rule.scale: expected one that keeps a shard's negatives within fp32, received " +
                                  std::to_string(scale) + ", which loses those of sample " + std::to_string(sample) +
                                  "; use a smaller one (up to 69 is safe without a negative rule), or one engine for "
                                  "all classes, which has no such bound"};
}

}  // namespace hyperarc
