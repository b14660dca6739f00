// The CUDA kernels around the two passes, one by one: against the CPU engine, against double precision, bit by bit
// where docs/numerics.md promises bits.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "cpu/philox.h"
#include "cpu/step.h"
#include "cuda_arrays.h"
#include "device/sgd.h"
#include "engines.h"

namespace hyperarc::test {
namespace {

using cuda::Bf16;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Equal but for the last digits of fp32.
void expectNear(const std::vector<float>& actual, std::span<const float> expected, const char* what,
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

void expectPadding(const std::vector<float>& values, int64_t samples, const char* what) {
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
        targetLogits(samples),
        targetCosine(samples),
        slope(samples),
        tangentX(samples * dim),
        tangentW(samples * dim),
        winner(samples) {}

  DeviceArray<float> inverseNormsX, unit;
  DeviceArray<Bf16> unitBf16;
  DeviceArray<float> scale, shift, targetLogits, targetCosine, slope, tangentX, tangentW;
  DeviceArray<int32_t> winner;
};

std::vector<float> rowParametersOf(const Problem& p) {
  if (!p.rowParametersB4.empty()) return p.rowParametersB4;
  std::vector<float> rows;
  for (int64_t i = 0; i < p.batch; ++i) rows.insert(rows.end(), {p.rule.scale, p.rule.m1, p.rule.m2, p.rule.m3});
  return rows;
}

/// The shard owns classes [firstClass, firstClass + centers' classes) of a problem of `globalClasses`.
void runTargetTerms(const Problem& p, const DeviceCenters& centers, int64_t firstClass, TargetTerms& out) {
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
                           .logGlobalClasses = std::log(double(p.classes)),
                           .inverseNormsX = out.inverseNormsX.get(),
                           .unit = out.unit.get(),
                           .unitBf16 = out.unitBf16.get(),
                           .scale = out.scale.get(),
                           .shift = out.shift.get(),
                           .targetLogits = out.targetLogits.get(),
                           .targetCosine = out.targetCosine.get(),
                           .slope = out.slope.get(),
                           .tangentX = out.tangentX.get(),
                           .tangentW = out.tangentW.get(),
                           .winner = out.winner.get()},
                          nullptr);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

/// The part of a problem that a shard owns.
Problem shardOf(const Problem& p, int64_t firstClass, int64_t count) {
  Problem shard = p;
  shard.classes = count;
  const int64_t rowLength = p.subCenters * p.dim;
  for (std::vector<float>* rows : {&shard.weightsRD, &shard.momentumRD}) {
    *rows = {rows->begin() + firstClass * rowLength, rows->begin() + (firstClass + count) * rowLength};
  }
  return shard;
}

/// The same stage on the CPU engine is what it must equal.
void expectTargetTerms(const Problem& p, int64_t firstClass = 0, int64_t count = -1) {
  if (count < 0) count = p.classes;
  auto engine = makeEngine();
  auto centers = makeCenters(*engine, p, firstClass, count);
  std::unique_ptr<Step> step;
  const Status status = centers->targetTerms(p.asBatch(), &step);
  ASSERT_TRUE(status) << status.message();
  const auto& expected = dynamic_cast<cpu::CpuStep&>(*step);

  const Problem shard = shardOf(p, firstClass, count);
  const DeviceCenters deviceCenters(shard, Precision::kFp32);
  TargetTerms actual(p.batch, p.dim, true);
  runTargetTerms(p, deviceCenters, firstClass, actual);

  const auto first = [&](const cpu::FloatArray& array) { return std::span<const float>(array.data(), p.batch); };
  expectNear(actual.inverseNormsX.toHost(), first(expected.inverseNorms), "1/|x|");
  expectNear(actual.scale.toHost(), first(expected.scale), "scale", 0.0);
  expectNear(actual.shift.toHost(), first(expected.shift), "shift");
  expectPadding(actual.scale.toHost(), p.batch, "scale");
  expectPadding(actual.shift.toHost(), p.batch, "shift");
  expectNear(actual.targetLogits.toHost(), first(expected.targetLogits), "target logit");
  expectNear(actual.targetCosine.toHost(), first(expected.targetCosine), "target cosine");
  expectNear(actual.slope.toHost(), first(expected.slope), "h");
  expectNear(actual.tangentX.toHost(), {expected.tangentX.data(), size_t(p.batch * p.dim)}, "tangent at x");
  expectNear(actual.tangentW.toHost(), {expected.tangentW.data(), size_t(p.batch * p.dim)}, "tangent at w");

  std::vector<int32_t> winners(p.batch, 0);
  for (const cpu::TargetEntry& entry : expected.targets) winners[entry.sample] = entry.winner;
  EXPECT_EQ(actual.winner.toHost(), winners);
  const std::vector<float> unit = actual.unit.toHost();
  const std::vector<Bf16> unitBf16 = actual.unitBf16.toHost();
  const int64_t padded = deviceCenters.view.dimPadded;
  for (int64_t i = 0; i < cuda::paddedSamples(p.batch); ++i) {
    for (int64_t d = 0; d < padded; ++d) {
      const bool isInside = i < p.batch && d < p.dim;
      if (isInside) {
        const float expectedUnit =
            expected.unitXT[(i / expected.panel * p.dim + d) * expected.panel + i % expected.panel];
        ASSERT_NEAR(unit[i * p.dim + d], expectedUnit, 1e-7);
      }
      ASSERT_EQ(unitBf16[i * padded + d].bits, isInside ? cuda::toBf16(unit[i * p.dim + d]).bits : 0);
    }
  }
}

TEST(CudaTargetTerms, EqualTheCpuEnginesInEveryShape) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 2, 3, 31, 32, 33, 127, 130, 512, 513}) {
    for (int64_t subCenters : {1, 3}) {
      for (int64_t batch : {1, 5, 130}) {
        SCOPED_TRACE(testing::Message() << "B " << batch << " K " << subCenters << " D " << dim);
        expectTargetTerms(makeProblem(batch, 11, subCenters, dim, 5));
      }
    }
  }
  expectTargetTerms(makeProblem(4, 6, 16, 4096, 5));
}

TEST(CudaTargetTerms, EqualTheCpuEnginesForEveryMarginFallbackAndGradientMode) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(24, 20, 1, 17, 3);
  // Exactly on its centre, exactly opposite, and of zero length before a zero centre.
  for (int64_t d = 0; d < p.dim; ++d) {
    p.embeddingsBD[7 * p.dim + d] = 2.0f * p.weightsRD[p.labelsB[7] * p.dim + d];
    p.embeddingsBD[8 * p.dim + d] = -4.0f * p.weightsRD[p.labelsB[8] * p.dim + d];
  }
  p.labelsB[4] = 2;
  p.labelsB[5] = 2;
  const MarginRule rules[] = {{64, 1, 0.5, 0},  {64, 1, 0, 0.35},    {30, 1, 0, 0},    {64, 1, 0.3, 0.2},
                              {64, 1.35, 0, 0}, {16, 2, -0.4, -0.5}, {1024, 4, 1.5, 1}};
  for (MarginRule rule : rules) {
    for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
      for (GradientMode mode : {GradientMode::kExact, GradientMode::kStraightThrough}) {
        p.rule = rule;
        p.rule.fallback = fallback;
        p.rule.gradient = mode;
        SCOPED_TRACE(testing::Message() << rule.m1 << ' ' << rule.m2 << ' ' << rule.m3 << ' ' << int(fallback));
        expectTargetTerms(p);
      }
    }
  }
  for (int i = 0; i < 24; ++i) {
    for (float value : {10.0f + 3.0f * i, 1.0f + 0.05f * (i % 3), 0.02f * i, 0.3f - 0.02f * i})
      p.rowParametersB4.push_back(value);
  }
  expectTargetTerms(p);
}

TEST(CudaTargetTerms, LeaveTheSamplesOfOtherShardsAlone) {
  HYPERARC_NEEDS_DEVICE();
  const Problem p = makeProblem(20, 15, 2, 9, 4);
  expectTargetTerms(p, 0, 4);
  expectTargetTerms(p, 4, 7);
  expectTargetTerms(p, 11, 4);
}

TEST(CudaTargetTerms, ReadTheMasterOfEachPrecision) {
  HYPERARC_NEEDS_DEVICE();
  Problem rounded = makeProblem(9, 6, 2, 21, 4);
  for (float& w : rounded.weightsRD) w = widened(cuda::toBf16(w));
  // A bf16 master equals fp32 centres of the same values; bf16 compute reads its fp32 master, not the copy.
  const Problem exact = makeProblem(9, 6, 2, 21, 4);
  for (Precision precision : {Precision::kBf16Master, Precision::kBf16Compute}) {
    const Problem& p = precision == Precision::kBf16Master ? rounded : exact;
    TargetTerms expected(p.batch, p.dim, false), actual(p.batch, p.dim, true);
    runTargetTerms(p, DeviceCenters(p, Precision::kFp32), 0, expected);
    runTargetTerms(p, DeviceCenters(p, precision), 0, actual);
    EXPECT_EQ(actual.targetLogits.toHost(), expected.targetLogits.toHost());
    EXPECT_EQ(actual.tangentW.toHost(), expected.tangentW.toHost());
    EXPECT_EQ(actual.winner.toHost(), expected.winner.toHost());
  }
}

TEST(CudaFinishForward, EqualsTheCpuEngine) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 33, 130, 512}) {
    const Problem p = makeProblem(11, 30, 1, dim, 8);
    auto engine = makeEngine();
    auto centers = makeCenters(*engine, p);
    std::unique_ptr<Step> step;
    ASSERT_TRUE(centers->targetTerms(p.asBatch(), &step));
    ASSERT_TRUE(centers->negativeSums(step.get()));
    // No negatives, a NaN, a sum that leaves nothing of the target.
    step->sumExpB()[0] = 0.0f;
    step->sumExpB()[1] = kNan;
    step->sumExpB()[2] = 1e35f;
    ASSERT_TRUE(centers->finishForward(step.get()));
    const auto& expected = dynamic_cast<cpu::CpuStep&>(*step);

    TargetTerms terms(p.batch, dim, false);
    runTargetTerms(p, DeviceCenters(p, Precision::kFp32), 0, terms);
    const auto first = [&](const cpu::FloatArray& array) { return std::span<const float>(array.data(), p.batch); };
    const auto matrix = [&](const cpu::FloatArray& array) {
      return std::vector<float>(array.data(), array.data() + p.batch * dim);
    };
    const DeviceArray<float> sumExp(copyOf(step->sumExpB())), weightedSum(matrix(expected.weightedSum));
    const int64_t padded = cuda::paddedSamples(p.batch);
    DeviceArray<float> loss(p.batch), targetError(p.batch), gradientShift(padded), gradientFactor(padded);
    DeviceArray<float> embeddingGradient(p.batch * dim), coefficient(p.batch);
    cuda::launchFinishForward({.samples = p.batch,
                               .dim = static_cast<int32_t>(dim),
                               .inverseNormsX = terms.inverseNormsX.get(),
                               .unit = terms.unit.get(),
                               .scale = terms.scale.get(),
                               .shift = terms.shift.get(),
                               .targetLogits = terms.targetLogits.get(),
                               .slope = terms.slope.get(),
                               .tangentX = terms.tangentX.get(),
                               .sumExp = sumExp.get(),
                               .weightedSum = weightedSum.get(),
                               .loss = loss.get(),
                               .targetError = targetError.get(),
                               .gradientShift = gradientShift.get(),
                               .gradientFactor = gradientFactor.get(),
                               .embeddingGradient = embeddingGradient.get()},
                              nullptr);
    expectNear(loss.toHost(), first(expected.loss), "loss", 1e-6);
    expectNear(targetError.toHost(), first(expected.targetError), "1 - p");
    expectNear(gradientShift.toHost(), first(expected.gradientShift), "gradient shift");
    expectPadding(gradientShift.toHost(), p.batch, "gradient shift");
    expectPadding(gradientFactor.toHost(), p.batch, "gradient factor");
    // Shift and factor belong together: the factor undoes the rounding of the shift.
    const std::vector<float> shifts = gradientShift.toHost(), factors = gradientFactor.toHost();
    for (int64_t i = 0; i < p.batch; ++i) {
      if (i == 1) continue;
      const double whole = double(expected.gradientShift[i]) - std::log(double(expected.gradientFactor[i]));
      if (i == 0) {
        EXPECT_EQ(factors[i], 0.0f);
      } else {
        EXPECT_NEAR(double(shifts[i]) - std::log(double(factors[i])), whole, 1e-6);
      }
    }
    expectNear(embeddingGradient.toHost(), matrix(expected.embeddingGradient), "dX", 1e-6);

    cuda::launchTargetCoefficients(targetError.get(), terms.slope.get(), p.batch, 3.0 * p.batch, coefficient.get(),
                                   nullptr);
    const std::vector<float> errors = targetError.toHost(), slopes = terms.slope.toHost(),
                             coefficients = coefficient.toHost();
    for (int64_t i = 0; i < p.batch; ++i) {
      if (i == 1) continue;
      EXPECT_EQ(coefficients[i], static_cast<float>(-double(errors[i]) * slopes[i] / (3.0 * p.batch)));
    }
  }
}

TEST(CudaFindNonFinite, NamesTheLowestIndex) {
  HYPERARC_NEEDS_DEVICE();
  const int64_t count = 5000;
  DeviceArray<float> values(count);
  DeviceArray<unsigned long long> flag(1);
  const auto find = [&](const std::vector<float>& host) {
    values.set(host);
    flag.set({0});
    cuda::launchFindNonFinite(values.get(), count, flag.get(), nullptr);
    return flag.toHost()[0];
  };
  std::vector<float> host(count, std::numeric_limits<float>::max());
  EXPECT_EQ(find(host), 0u);
  host[4999] = kNan;
  EXPECT_EQ(find(host), 5000u);
  host[700] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(find(host), 701u);
  host[699] = kNan;
  EXPECT_EQ(find(host), 700u);
  host[0] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(find(host), 1u);
}

TEST(CudaRows, AreSeededAsOnTheCpu) {
  HYPERARC_NEEDS_DEVICE();
  constexpr uint64_t kSeed = uint64_t{5} << 40 | 17;
  for (int64_t dim : {1, 3, 4, 130, 513, 700, 1500, 4096}) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
      SCOPED_TRACE(testing::Message() << "D " << dim << " precision " << int(precision));
      const Problem p = makeProblem(1, 10, 2, dim, 1);
      const int64_t firstGlobalRow = (int64_t{1} << 33) + 6;
      const DeviceCenters centers(p, precision, true, firstGlobalRow);
      cuda::launchSeedRows(centers.view, kSeed, 0.01f, 3, 17, nullptr);
      std::vector<float> weights = centers.weightRows(), momentum = centers.momentumRows();
      const std::vector<float> norms = centers.inverseNorms.toHost();
      for (int64_t row = 0; row < 20; ++row) {
        std::vector<float> expected(dim);
        cpu::seedRow(kSeed, firstGlobalRow + row, 0.01f, dim, expected.data());
        for (int64_t d = 0; d < dim; ++d) {
          const bool isBf16 = precision == Precision::kBf16Master;
          const float old = p.weightsRD[row * dim + d], oldMomentum = p.momentumRD[row * dim + d];
          const float value = row < 3 ? old : expected[d];
          ASSERT_EQ(weights[row * dim + d], isBf16 ? widened(cuda::toBf16(value)) : value) << row << ' ' << d;
          const float expectedMomentum = row < 3 ? oldMomentum : 0.0f;
          ASSERT_EQ(momentum[row * dim + d], isBf16 ? widened(cuda::toBf16(expectedMomentum)) : expectedMomentum);
        }
        const double inverse = exactInverseNorm(&weights[row * dim], dim);
        ASSERT_NEAR(norms[row], inverse, 3e-7 * inverse);
      }
      if (precision == Precision::kBf16Compute) {
        EXPECT_EQ(centers.operandRows(), widenedRows(narrowed(weights, dim), dim));
      }
    }
  }
}

TEST(CudaRows, KeepNormsOfTinyAndHugeRows) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(1, 6, 1, 40, 1);
  const float sizes[] = {1e-30f, 0.9e-12f, 1.2e-12f, 1e-9f, 1e18f, 1e37f};
  for (int64_t row = 0; row < 6; ++row) {
    std::fill_n(&p.weightsRD[row * 40], 40, 0.0f);
    p.weightsRD[row * 40 + 7] = sizes[row];
  }
  const DeviceCenters centers(p, Precision::kFp32);
  const std::vector<float> norms = centers.inverseNorms.toHost();
  EXPECT_EQ(norms[0], 0.0f);
  EXPECT_EQ(norms[1], 0.0f);
  for (int row = 2; row < 6; ++row) EXPECT_NEAR(norms[row] * double(sizes[row]), 1.0, 3e-7);
}

TEST(CudaRows, WidenNarrowAndGather) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 7, 128, 300, 512, 515}) {
    const Problem p = makeProblem(1, 13, 1, dim, 2);
    const int32_t padded = cuda::paddedDim(static_cast<int32_t>(dim));
    const DeviceArray<float> rows(p.weightsRD);
    DeviceArray<Bf16> narrow(13 * padded);
    DeviceArray<float> wide(13 * dim);
    cuda::launchNarrowRows(rows.get(), static_cast<int32_t>(dim), padded, 13, narrow.get(), nullptr);
    EXPECT_EQ(widenedRows(narrow.toHost(), dim), widenedRows(narrowed(p.weightsRD, dim), dim));
    cuda::launchWidenRows(narrow.get(), padded, static_cast<int32_t>(dim), 13, wide.get(), nullptr);
    EXPECT_EQ(wide.toHost(), widenedRows(narrow.toHost(), dim));

    const DeviceCenters centers(p, Precision::kBf16Compute);
    const std::vector<int32_t> chosen = {0, 2, 3, 9, 12};
    const DeviceArray<int32_t> list(chosen);
    DeviceArray<Bf16> gathered(5 * padded);
    DeviceArray<float> norms(5);
    cuda::launchGatherRows(centers.view, {5, list.get()}, gathered.get(), norms.get(), nullptr);
    const std::vector<float> all = centers.operandRows(), some = widenedRows(gathered.toHost(), dim);
    const std::vector<float> allNorms = centers.inverseNorms.toHost(), someNorms = norms.toHost();
    for (int n = 0; n < 5; ++n) {
      EXPECT_EQ(someNorms[n], allNorms[chosen[n]]);
      for (int64_t d = 0; d < dim; ++d) ASSERT_EQ(some[n * dim + d], all[chosen[n] * dim + d]);
    }
  }
}

TEST(CudaRows, OfOtherClassesDecay) {
  HYPERARC_NEEDS_DEVICE();
  const cuda::SgdView sgd = {.learningRate = 0.3f, .momentum = 0.8f, .weightDecay = 0.01f, .roundingStep = 12};
  for (int64_t dim : {3, 130, 513, 4096}) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
      for (bool hasMomentum : {true, false}) {
        SCOPED_TRACE(testing::Message() << "D " << dim << " precision " << int(precision) << ' ' << hasMomentum);
        cuda::SgdView own = sgd;
        if (!hasMomentum) own.momentum = 0.0f;
        const Problem p = makeProblem(1, 9, 2, dim, 2);
        const DeviceCenters centers(p, precision, hasMomentum, 40);
        std::vector<float> weights = centers.weightRows();
        std::vector<float> momentum = hasMomentum ? centers.momentumRows() : std::vector<float>(weights.size());
        const DeviceArray<int32_t> updated(std::vector<int32_t>{0, 4, 5, 8});
        const std::set<int64_t> updatedClasses = {0, 4, 5, 8};
        cuda::launchDecayOthers(centers.view, {4, updated.get()}, own, nullptr);
        for (int64_t n = 0; n < static_cast<int64_t>(weights.size()); ++n) {
          const int64_t row = n / dim, d = n % dim;
          if (updatedClasses.count(row / 2) > 0) continue;
          cuda::sgdElement(0.0f, weights[n], momentum[n], own);
          if (precision == Precision::kBf16Master) {
            const uint32_t random = cuda::roundingWords(40 + row, static_cast<int32_t>(d / 4), 12).word[d % 4];
            weights[n] = widened(cuda::toBf16Stochastic(weights[n], random & 0xffff));
            momentum[n] = widened(cuda::toBf16Stochastic(momentum[n], random >> 16));
          }
        }
        EXPECT_EQ(centers.weightRows(), weights);
        if (hasMomentum) {
          EXPECT_EQ(centers.momentumRows(), momentum);
        }
        if (precision == Precision::kBf16Compute) {
          EXPECT_EQ(centers.operandRows(), widenedRows(narrowed(weights, dim), dim));
        }
        const std::vector<float> norms = centers.inverseNorms.toHost();
        for (int64_t row = 0; row < 18; ++row) {
          const double inverse = exactInverseNorm(&weights[row * dim], dim);
          ASSERT_NEAR(norms[row], inverse, 3e-7 * inverse);
        }
      }
    }
  }
}

TEST(CudaRows, OfAnEmptyListAllDecayAndOfNoListNone) {
  HYPERARC_NEEDS_DEVICE();
  const cuda::SgdView sgd = {.learningRate = 0.5f, .momentum = 0.0f, .weightDecay = 0.5f, .roundingStep = 0};
  const Problem p = makeProblem(1, 3, 1, 8, 2);
  const DeviceCenters centers(p, Precision::kFp32, false);
  cuda::launchDecayOthers(centers.view, {3, nullptr}, sgd, nullptr);
  EXPECT_EQ(centers.weightRows(), p.weightsRD);
  const DeviceArray<int32_t> none(1);
  cuda::launchDecayOthers(centers.view, {0, none.get()}, sgd, nullptr);
  const std::vector<float> weights = centers.weightRows();
  for (size_t n = 0; n < weights.size(); ++n) EXPECT_FLOAT_EQ(weights[n], 0.75f * p.weightsRD[n]);
}

TEST(CudaCosines, EqualDoublePrecision) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 3, 130, 513}) {
    for (int64_t subCenters : {1, 3, 16}) {
      for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
        SCOPED_TRACE(testing::Message() << "K " << subCenters << " D " << dim << " precision " << int(precision));
        const Problem p = makeProblem(133, 90, subCenters, dim, 6);
        const DeviceCenters centers(p, precision);
        TargetTerms terms(p.batch, dim, false);
        runTargetTerms(p, centers, 0, terms);
        const int64_t first = 17, count = 70;
        DeviceArray<float> out(p.batch * count);
        cuda::launchCosines(centers.view, terms.unit.get(), p.batch, first, count, out.get(), nullptr);
        const std::vector<float> cosines = out.toHost(), unit = terms.unit.toHost(), weights = centers.weightRows();
        for (int64_t i = 0; i < p.batch; ++i) {
          for (int64_t j = 0; j < count; ++j) {
            double best = -2.0;
            for (int64_t k = 0; k < subCenters; ++k) {
              const float* row = &weights[((first + j) * subCenters + k) * dim];
              double dot = 0.0;
              for (int64_t d = 0; d < dim; ++d) dot += double(unit[i * dim + d]) * row[d];
              best = std::max(best, dot * exactInverseNorm(row, dim));
            }
            ASSERT_NEAR(cosines[i * count + j], best, 5e-7) << i << ' ' << j;
          }
        }
      }
    }
  }
}

TEST(CudaCosines, LetNanWin) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(2, 3, 3, 5, 6);
  p.weightsRD[4 * 5] = kNan;
  const DeviceCenters centers(p, Precision::kFp32);
  TargetTerms terms(2, 5, false);
  runTargetTerms(p, centers, 0, terms);
  DeviceArray<float> out(6);
  cuda::launchCosines(centers.view, terms.unit.get(), 2, 0, 3, out.get(), nullptr);
  const std::vector<float> cosines = out.toHost();
  for (int n = 0; n < 6; ++n) EXPECT_EQ(std::isnan(cosines[n]), n % 3 == 1) << n;
}

}  // namespace
}  // namespace hyperarc::test

#endif
