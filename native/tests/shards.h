// A forward pass over several shards of the classes, with the sums over them that a caller owes between the stages.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "engines.h"

namespace hyperarc::test {

struct Shards {
  std::vector<std::unique_ptr<ClassCenters>> centers;
  std::vector<std::unique_ptr<Step>> steps;
};

/// Each seam ends as the sum over the shards, on all of them.
inline void sumOverShards(Shards& shards, std::span<float> (Step::*seam)()) {
  std::vector<float> sum((shards.steps[0].get()->*seam)().size());
  for (auto& step : shards.steps) {
    const std::span<float> share = (step.get()->*seam)();
    ASSERT_EQ(share.size(), sum.size());
    for (size_t n = 0; n < sum.size(); ++n) sum[n] += share[n];
  }
  for (auto& step : shards.steps) std::ranges::copy(sum, (step.get()->*seam)().begin());
}

/// Shard h owns the classes [cuts[h], cuts[h + 1]).
inline Shards forwardInShards(Engine& engine, const Problem& p, const std::vector<int64_t>& cuts) {
  Shards shards;
  const auto expectOk = [](const Status& status) { EXPECT_TRUE(status) << status.message(); };
  for (size_t h = 0; h + 1 < cuts.size(); ++h) {
    shards.centers.push_back(makeCenters(engine, p, cuts[h], cuts[h + 1] - cuts[h]));
    expectOk(shards.centers[h]->targetTerms(p.asBatch(), &shards.steps.emplace_back()));
  }
  sumOverShards(shards, &Step::targetLogitsB);
  sumOverShards(shards, &Step::targetThresholdB);
  for (size_t h = 0; h < shards.steps.size(); ++h) expectOk(shards.centers[h]->negativeSums(shards.steps[h].get()));
  sumOverShards(shards, &Step::sumExpB);
  for (size_t h = 0; h < shards.steps.size(); ++h) expectOk(shards.centers[h]->finishForward(shards.steps[h].get()));
  sumOverShards(shards, &Step::embeddingGradientBD);
  sumOverShards(shards, &Step::rowGradientB4);
  return shards;
}

/// dW of the shards one after the other.
inline std::vector<float> gradientOf(Shards& shards) {
  std::vector<float> gradient;
  for (size_t h = 0; h < shards.steps.size(); ++h) {
    const std::vector<float> part = gradientOf(*shards.centers[h], {shards.steps[h].get()});
    gradient.insert(gradient.end(), part.begin(), part.end());
  }
  return gradient;
}

}  // namespace hyperarc::test
