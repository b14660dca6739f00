// Partial FC's sampler on the device draws the CPU's classes.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "cpu/philox.h"
#include "cpu/sampler.h"
#include "cuda_arrays.h"

namespace hyperarc::test {
namespace {

std::vector<int32_t> deviceSample(const std::vector<int32_t>& positives, int64_t classes, int64_t total,
                                  const SampleOptions& options) {
  const DeviceArray<int32_t> devicePositives(positives);
  DeviceArray<int32_t> out(total + 3);
  TestWorkspace workspace;
  cuda::launchSampler({.classes = classes,
                       .positives = devicePositives.get(),
                       .positiveCount = static_cast<int64_t>(positives.size()),
                       .total = total,
                       .seed = options.seed,
                       .step = options.step,
                       .shard = options.shard,
                       .out = out.get()},
                      workspace, nullptr);
  std::vector<int32_t> result = out.toHost();
  // Nothing is written beyond the end.
  for (int n = 0; n < 3; ++n) EXPECT_EQ(result[total + n], -1);
  result.resize(total);
  return result;
}

TEST(CudaSampler, DrawsTheClassesOfTheCpu) {
  HYPERARC_NEEDS_DEVICE();
  cpu::ThreadPool pool(1);
  for (int64_t classes : {1, 2, 3, 4, 5, 101, 1000, 1023, 1024, 1025, 16384, 50001}) {
    for (double rate : {1e-6, 0.1, 0.5, 0.9999, 1.0}) {
      for (uint64_t seed : {uint64_t{1}, uint64_t{0x123456789abcdef}}) {
        std::vector<int32_t> positives;
        for (int64_t j = seed % 2; j < classes; j += 37 + j) positives.push_back(static_cast<int32_t>(j));
        const SampleOptions options = {.rate = rate, .seed = seed, .step = uint64_t{7} << 32 | 5, .shard = 3};
        const std::vector<int32_t> expected = cpu::sampleClasses(pool, positives, classes, options);
        EXPECT_EQ(deviceSample(positives, classes, static_cast<int64_t>(expected.size()), options), expected)
            << classes << ' ' << rate;
      }
    }
  }
}

TEST(CudaSampler, DrawsTheClassesOfTheCpuForManySeeds) {
  HYPERARC_NEEDS_DEVICE();
  cpu::ThreadPool pool(1);
  std::mt19937 random(3);
  for (uint64_t step = 0; step < 60; ++step) {
    const int64_t classes = 1 + random() % 3000;
    std::set<int32_t> chosen;
    for (uint32_t n = random() % 40; n > 0; --n) chosen.insert(static_cast<int32_t>(random() % classes));
    const std::vector<int32_t> positives(chosen.begin(), chosen.end());
    const SampleOptions options = {.rate = (random() % 1000 + 1) / 1000.0, .seed = random(), .step = step};
    const std::vector<int32_t> expected = cpu::sampleClasses(pool, positives, classes, options);
    EXPECT_EQ(deviceSample(positives, classes, static_cast<int64_t>(expected.size()), options), expected) << step;
  }
}

TEST(CudaSampler, TakesTheLowestOfEqualKeys) {
  HYPERARC_NEEDS_DEVICE();
  // Two of 4096 keys are equal in one of 500 seeds. The sample ends between them.
  constexpr int64_t kClasses = 4096;
  cpu::ThreadPool pool(1);
  int found = 0;
  for (uint64_t seed = 0; found < 2; ++seed) {
    std::vector<std::pair<uint32_t, int32_t>> keys;
    for (int32_t j = 0; j < kClasses; j += 4) {
      const cpu::PhiloxBlock words = cpu::philox({static_cast<uint32_t>(j / 4), 0, 0, 0}, seed);
      for (int w = 0; w < 4; ++w) keys.emplace_back(words[w], j + w);
    }
    std::sort(keys.begin(), keys.end());
    for (int64_t n = 0; n + 1 < kClasses; ++n) {
      if (keys[n].first != keys[n + 1].first) continue;
      ++found;
      const SampleOptions options = {.rate = double(n + 1) / kClasses, .seed = seed};
      const std::vector<int32_t> sample = deviceSample({}, kClasses, n + 1, options);
      EXPECT_EQ(sample, cpu::sampleClasses(pool, {}, kClasses, options));
      EXPECT_TRUE(std::binary_search(sample.begin(), sample.end(), keys[n].second));
      EXPECT_FALSE(std::binary_search(sample.begin(), sample.end(), keys[n + 1].second));
    }
  }
}

TEST(CudaSampler, ReturnsThePositivesAloneWhenTheyAreEnough) {
  HYPERARC_NEEDS_DEVICE();
  const std::vector<int32_t> positives = {0, 3, 9, 12, 39};
  EXPECT_EQ(deviceSample(positives, 40, 5, {}), positives);
}

}  // namespace
}  // namespace hyperarc::test

#endif
