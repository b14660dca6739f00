// The stage of target terms on its own, with all of its outputs.
#pragma once

#include <gtest/gtest.h>

#include <limits>

#include "cpu/step.h"
#include "cuda_arrays.h"
#include "engines.h"
#include "margins/negative.h"

namespace hyperarc::test {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Equal but for the last digits of fp32.
inline void expectNear(const std::vector<float>& actual, std::span<const float> expected, const char* what,
                       double tolerance = 3e-7) {
  ASSERT_GE(actual.size(), expected.size());
  for (size_t n = 0; n < expected.size(); ++n) {
    if (std::isnan(expected[n])) {
      ASSERT_TRUE(std::isnan(actual[n])) << what << " at " << n;
    } else {
      ASSERT_NEAR(actual[n], expected[n], tolerance * std::max(1.0, std::abs(double(expected[n]))))
          << what << " at " << n;
    }
  }
}

inline void expectPadding(const std::vector<float>& values, int64_t samples, const char* what) {
  ASSERT_EQ(static_cast<int64_t>(values.size()), cuda::paddedSamples(samples));
  for (size_t n = samples; n < values.size(); ++n) ASSERT_EQ(values[n], 0.0f) << what << " padding at " << n;
}

/// Outputs of launchTargetTerms.
struct TargetTerms {
  explicit TargetTerms(int64_t samples, int64_t dim, bool withBf16)
      : inverseNormsX(samples),
        unit(samples * dim),
        unitBf16(withBf16 ? cuda::paddedSamples(samples) * cuda::paddedDim(static_cast<int32_t>(dim)) : 0),
        scale(cuda::paddedSamples(samples)),
        shift(cuda::paddedSamples(samples)),
        threshold(cuda::paddedSamples(samples)),
        targetLogits(samples),
        targetCosine(samples),
        slope(samples),
        byM1(samples),
        byM2(samples),
        tangentX(samples * dim),
        tangentW(samples * dim),
        winner(samples) {}

  DeviceArray<float> inverseNormsX, unit;
  DeviceArray<cuda::Bf16> unitBf16;
  DeviceArray<float> scale, shift, threshold, targetLogits, targetCosine, slope, byM1, byM2, tangentX, tangentW;
  DeviceArray<int32_t> winner;
};

inline std::vector<float> rowParametersOf(const Problem& p) {
  if (!p.rowParametersB4.empty()) return p.rowParametersB4;
  std::vector<float> rows;
  for (int64_t i = 0; i < p.batch; ++i) rows.insert(rows.end(), {p.rule.scale, p.rule.m1, p.rule.m2, p.rule.m3});
  return rows;
}

/// The shard owns classes [firstClass, firstClass + centers' classes) of a problem of `globalClasses`.
inline void runTargetTerms(const Problem& p, const DeviceCenters& centers, int64_t firstClass, TargetTerms& out) {
  const DeviceArray<float> embeddings(p.embeddingsBD), rowParameters(rowParametersOf(p));
  std::vector<int32_t> local;
  for (int32_t label : p.labelsB) {
    const int64_t own = label - firstClass;
    local.push_back(own < 0 || own >= centers.view.rows / p.subCenters ? -1 : static_cast<int32_t>(own));
  }
  const DeviceArray<int32_t> localClass(local);
  cuda::launchTargetTerms({.centers = centers.view,
                           .samples = p.batch,
                           .embeddings = embeddings.get(),
                           .localClass = localClass.get(),
                           .rowParameters = rowParameters.get(),
                           .rule = p.rule,
                           .largestNegative = margins::largestNegative(p.rule.negatives),
                           .logTerms = std::log(double(p.classes) * margins::steepestNegative(p.rule.negatives)),
                           .inverseNormsX = out.inverseNormsX.get(),
                           .unit = out.unit.get(),
                           .unitBf16 = out.unitBf16.get(),
                           .scale = out.scale.get(),
                           .shift = out.shift.get(),
                           .threshold = out.threshold.get(),
                           .targetLogits = out.targetLogits.get(),
                           .targetCosine = out.targetCosine.get(),
                           .slope = out.slope.get(),
                           .byM1 = out.byM1.get(),
                           .byM2 = out.byM2.get(),
                           .tangentX = out.tangentX.get(),
                           .tangentW = out.tangentW.get(),
                           .winner = out.winner.get()},
                          nullptr);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

}  // namespace hyperarc::test
