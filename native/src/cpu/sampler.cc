#include "cpu/sampler.h"

#include <algorithm>
#include <bit>

#include "common/plan.h"
#include "cpu/philox.h"

namespace hyperarc::cpu {

namespace {

constexpr int64_t kClassesPerItem = 1 << 16;
constexpr int kMostBucketBits = 16;

/// Keys are drawn twice instead of being kept: once to count them by their high bits, once to pick those below the
/// threshold found from the counts. These are so many that there is about a bucket a class, as buckets are cleared.
int bucketBits(int64_t classes) {
  return std::min(kMostBucketBits, static_cast<int>(std::bit_width(static_cast<uint64_t>(classes))));
}

/// Calls visit(class, key) for every class of [first, last) that is not in `positives`; first is a multiple of 4.
template <typename Visit>
void forEachNegative(const std::vector<int32_t>& positives, int64_t first, int64_t last, const SampleOptions& options,
                     Visit visit) {
  auto positive = std::lower_bound(positives.begin(), positives.end(), first);
  for (int64_t block = first; block < last; block += 4) {
    const PhiloxBlock keys = philox({static_cast<uint32_t>(block / 4), options.shard,
                                     static_cast<uint32_t>(options.step), static_cast<uint32_t>(options.step >> 32)},
                                    options.seed);
    for (int64_t j = block; j < std::min(block + 4, last); ++j) {
      if (positive != positives.end() && *positive == j) {
        ++positive;
      } else {
        visit(j, keys[j - block]);
      }
    }
  }
}

struct Candidate {
  uint32_t key;
  int32_t index;
  bool operator<(const Candidate& other) const { return key != other.key ? key < other.key : index < other.index; }
};

}  // namespace

std::vector<int32_t> sampleClasses(ThreadPool& pool, const std::vector<int32_t>& positives, int64_t classes,
                                   const SampleOptions& options) {
  const int64_t positiveCount = static_cast<int64_t>(positives.size());
  const int64_t total = std::max(positiveCount, sampleSize(options.rate, classes));
  int64_t missing = total - positiveCount;
  std::vector<int32_t> result = positives;
  if (missing == 0) return result;

  const int64_t items = (classes + kClassesPerItem - 1) / kClassesPerItem;
  const int shift = 32 - bucketBits(classes);
  std::vector<std::vector<int64_t>> countsOfWorker(pool.threads(), std::vector<int64_t>(int64_t{1} << (32 - shift)));
  pool.parallelFor(items, [&](int64_t item, int worker) {
    const int64_t first = item * kClassesPerItem;
    forEachNegative(positives, first, std::min(classes, first + kClassesPerItem), options,
                    [&](int64_t, uint32_t key) { ++countsOfWorker[worker][key >> shift]; });
  });
  // Classes of the buckets before `threshold` are all in; of that bucket the smallest `missing` are.
  int64_t threshold = 0;
  while (true) {
    int64_t count = 0;
    for (const auto& counts : countsOfWorker) count += counts[threshold];
    if (count >= missing) break;
    missing -= count;
    ++threshold;
  }
  std::vector<Candidate> candidates;
  result.reserve(total);
  forEachNegative(positives, 0, classes, options, [&](int64_t j, uint32_t key) {
    const int64_t bucket = key >> shift;
    if (bucket < threshold) result.push_back(static_cast<int32_t>(j));
    if (bucket == threshold) candidates.push_back({key, static_cast<int32_t>(j)});
  });
  std::sort(candidates.begin(), candidates.end());
  for (int64_t n = 0; n < missing; ++n) result.push_back(candidates[n].index);
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace hyperarc::cpu
