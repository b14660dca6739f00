// Philox, the sampler and seeding.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cpu/philox.h"
#include "cpu/sampler.h"
#include "engines.h"

namespace hyperarc::test {
namespace {

using cpu::philox;
using cpu::PhiloxBlock;

TEST(Philox, EqualsTheKnownAnswers) {
  // kat_vectors of Random123, philox4x32 with 10 rounds.
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0}), (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

/// The definition, word for word: sort every class by (is not positive, key, class).
std::vector<int32_t> plainSample(const std::vector<int32_t>& positives, int64_t classes, const SampleOptions& options) {
  std::vector<std::pair<uint32_t, int32_t>> negatives;
  for (int64_t j = 0; j < classes; ++j) {
    if (std::binary_search(positives.begin(), positives.end(), j)) continue;
    const PhiloxBlock keys = philox({static_cast<uint32_t>(j / 4), options.shard, static_cast<uint32_t>(options.step),
                                     static_cast<uint32_t>(options.step >> 32)},
                                    options.seed);
    negatives.emplace_back(keys[j % 4], static_cast<int32_t>(j));
  }
  std::sort(negatives.begin(), negatives.end());
  const size_t wanted = std::max<size_t>(1, static_cast<size_t>(std::floor(options.rate * classes + 0.5)));
  std::vector<int32_t> result = positives;
  for (size_t n = 0; n < negatives.size() && result.size() < wanted; ++n) result.push_back(negatives[n].second);
  std::sort(result.begin(), result.end());
  return result;
}

TEST(Sampler, EqualsItsDefinition) {
  for (int threads : {1, 3}) {
    cpu::ThreadPool pool(threads);
    for (int64_t classes : {1, 2, 3, 4, 5, 101, 1000, 150001}) {
      for (double rate : {1e-6, 0.1, 0.5, 0.9999, 1.0}) {
        std::vector<int32_t> positives;
        for (int64_t j = 0; j < classes; j += 37 + j) positives.push_back(static_cast<int32_t>(j));
        const SampleOptions options = {
            .rate = rate, .seed = 0x123456789abcdef, .step = uint64_t{7} << 32 | 5, .shard = 3};
        EXPECT_EQ(cpu::sampleClasses(pool, positives, classes, options), plainSample(positives, classes, options))
            << classes << ' ' << rate;
      }
    }
  }
}

TEST(Sampler, KeepsThePositivesWhenTheyExceedTheQuota) {
  auto engine = makeEngine();
  const Problem p = makeProblem(8, 40, 1, 4, 3);
  auto centers = makeCenters(*engine, p);
  const int32_t labels[] = {9, 3, 3, 30, 12, 9};
  std::vector<int32_t> sampled;
  ASSERT_TRUE(centers->sample(labels, 6, {.rate = 0.05}, &sampled));
  EXPECT_EQ(sampled, (std::vector<int32_t>{3, 9, 12, 30}));
}

TEST(Sampler, DrawsEveryClassEquallyOften) {
  cpu::ThreadPool pool(2);
  constexpr int kClasses = 200, kSteps = 4000;
  std::vector<int> counts(kClasses);
  for (int step = 0; step < kSteps; ++step) {
    for (int32_t j : cpu::sampleClasses(pool, {}, kClasses, {.rate = 0.1, .seed = 1, .step = uint64_t(step)}))
      ++counts[j];
  }
  double chiSquared = 0.0;
  for (int count : counts) chiSquared += (count - 0.1 * kSteps) * (count - 0.1 * kSteps) / (0.1 * kSteps);
  EXPECT_LT(chiSquared, 260.0);  // 199 degrees of freedom: one in 400
}

TEST(Seeding, IsTheSameForEveryShardLayoutAndThreadCount) {
  auto one = makeEngine(CpuIsa::kAuto, 1);
  auto three = makeEngine(CpuIsa::kPortable, 3);
  std::unique_ptr<ClassCenters> whole, part;
  ASSERT_TRUE(one->createCenters({.classes = 700, .subCenters = 2, .dim = 37}, &whole));
  ASSERT_TRUE(three->createCenters(
      {.classes = 200, .subCenters = 2, .dim = 37, .firstClass = 300, .globalClasses = 700}, &part));
  ASSERT_TRUE(whole->seedNormal(99, 0.01f));
  ASSERT_TRUE(part->seedNormal(99, 0.01f));
  const std::vector<float> all = rowsOf(*whole), some = rowsOf(*part);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + 300 * 2 * 37));
  double sum = 0.0, squares = 0.0;
  for (float w : all) sum += w, squares += double(w) * w;
  EXPECT_NEAR(sum / all.size(), 0.0, 4 * 0.01 / std::sqrt(all.size()));
  EXPECT_NEAR(std::sqrt(squares / all.size()), 0.01, 0.01 * 4 / std::sqrt(2.0 * all.size()));
}

TEST(Seeding, FollowsTheDefinition) {
  float row[6];
  cpu::seedRow(uint64_t{5} << 32 | 17, int64_t{3} << 32 | 8, 0.5f, 6, row);
  const PhiloxBlock words = philox({8, 3, 1, 0x57454947}, uint64_t{5} << 32 | 17);
  const double u0 = (words[0] + 0.5) / 4294967296.0, u1 = (words[1] + 0.5) / 4294967296.0;
  EXPECT_FLOAT_EQ(row[4], static_cast<float>(0.5 * std::sqrt(-2 * std::log(u0)) * std::cos(2 * M_PI * u1)));
  EXPECT_FLOAT_EQ(row[5], static_cast<float>(0.5 * std::sqrt(-2 * std::log(u0)) * std::sin(2 * M_PI * u1)));
}

}  // namespace
}  // namespace hyperarc::test
