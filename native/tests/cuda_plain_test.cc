// The plain CUDA passes: each stage element by element against double precision on the operands that the device has,
// whole steps against the reference, and what must hold to the bit.
#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "cuda_arrays.h"
#include "device/sgd.h"

namespace hyperarc::test {
namespace {

using cuda::Bf16;

constexpr double kNormTolerance = 1e-5;
constexpr double kRowTolerance = 1e-4;

std::unique_ptr<cuda::Passes> plainPasses() { return cuda::makePlainPasses(cuda::Device{}); }

/// Steps one after another, as gradient accumulation concatenates them: what decides a pass, in host memory.
struct Samples {
  int64_t count = 0;
  int64_t stepCount = 1;
  std::vector<int32_t> list;  // classes that take part, sorted; all where isList is false
  bool isList = false;
  std::vector<uint8_t> hasClass;        // [steps, positions], empty for no mask
  std::vector<int32_t> stepOfSample;    // [B]
  std::vector<int32_t> targetPosition;  // [Bp]
};

/// One problem on the device, taken through all stages with the plain passes.
struct PlainRun {
  PlainRun(const Problem& problem, Precision precision, Samples given, bool hasMomentum = true,
           int64_t firstGlobalRow = 0)
      : p(problem),
        samples(std::move(given)),
        dim(problem.dim),
        centers(problem, precision, hasMomentum, firstGlobalRow),
        embeddings(p.embeddingsBD),
        rowParameters(parameters()),
        localClass(p.labelsB),
        inverseNormsX(p.batch),
        unit(p.batch * dim),
        unitBf16(precision == Precision::kFp32 ? 0 : padded() * centers.view.dimPadded),
        scale(padded()),
        shift(padded()),
        targetLogits(p.batch),
        targetCosine(p.batch),
        slope(p.batch),
        tangentX(p.batch * dim),
        tangentW(p.batch * dim),
        winner(p.batch),
        list(samples.list),
        targetPosition(samples.targetPosition),
        hasClass(samples.hasClass),
        stepOfSample(samples.stepOfSample),
        sumExp(p.batch),
        weightedSum(p.batch * dim),
        loss(p.batch),
        targetError(p.batch),
        gradientShift(padded()),
        gradientFactor(padded()),
        embeddingGradient(p.batch * dim),
        coefficient(p.batch),
        sortedPosition(sortedTargets(true)),
        sortedSample(sortedTargets(false)) {
    cuda::launchTargetTerms(
        {centers.view, p.batch, embeddings.get(), localClass.get(), rowParameters.get(), p.rule,
         std::log(double(p.classes)), inverseNormsX.get(), unit.get(), unitBf16.get(), scale.get(), shift.get(),
         targetLogits.get(), targetCosine.get(), slope.get(), tangentX.get(), tangentW.get(), winner.get()},
        nullptr);
  }

  void sumNegatives() {
    passes->negativeSums({centers.view, classes(), view(), sumExp.get(), weightedSum.get()}, workspace, nullptr);
    expectHonestWorkspace();
  }
  void finish() {
    cuda::launchFinishForward(
        {p.batch, static_cast<int32_t>(dim), inverseNormsX.get(), unit.get(), scale.get(), shift.get(),
         targetLogits.get(), slope.get(), tangentX.get(), sumExp.get(), weightedSum.get(), loss.get(),
         targetError.get(), gradientShift.get(), gradientFactor.get(), embeddingGradient.get()},
        nullptr);
    cuda::launchTargetCoefficients(targetError.get(), slope.get(), p.batch, double(p.batch), coefficient.get(),
                                   nullptr);
  }
  void formGradients(const cuda::GradientSink& sink) {
    passes->centerGradients({centers.view,
                             classes(),
                             view(),
                             1.0f / p.batch,
                             hasClass.get(),
                             stepOfSample.get(),
                             {static_cast<int32_t>(sortedSample.size()), sortedPosition.get(), sortedSample.get(),
                              winner.get(), coefficient.get(), tangentW.get()},
                             sink},
                            workspace, nullptr);
    expectHonestWorkspace();
  }
  /// dW [R, D]; rows that take no part stay 7.
  std::vector<float> denseGradients() {
    DeviceArray<float> dense(std::vector<float>(p.rows() * dim, 7.0f));
    formGradients({.isUpdate = false, .sgd = {}, .dense = dense.get()});
    return dense.toHost();
  }

  cuda::ClassList classes() const { return {positions(), samples.isList ? list.get() : nullptr}; }
  cuda::SamplesView view() const {
    return {p.batch,     unit.get(),          unitBf16.get(),       scale.get(),
            shift.get(), gradientShift.get(), gradientFactor.get(), targetPosition.get()};
  }
  int64_t positions() const { return samples.isList ? static_cast<int64_t>(samples.list.size()) : p.classes; }
  int64_t classAt(int64_t position) const { return samples.isList ? samples.list[position] : position; }

  Problem p;
  Samples samples;
  int64_t dim;
  DeviceCenters centers;
  DeviceArray<float> embeddings, rowParameters;
  DeviceArray<int32_t> localClass;
  DeviceArray<float> inverseNormsX, unit;
  DeviceArray<Bf16> unitBf16;
  DeviceArray<float> scale, shift, targetLogits, targetCosine, slope, tangentX, tangentW;
  DeviceArray<int32_t> winner, list, targetPosition;
  DeviceArray<uint8_t> hasClass;
  DeviceArray<int32_t> stepOfSample;
  DeviceArray<float> sumExp, weightedSum, loss, targetError, gradientShift, gradientFactor, embeddingGradient;
  DeviceArray<float> coefficient;
  DeviceArray<int32_t> sortedPosition, sortedSample;
  TestWorkspace workspace;
  std::unique_ptr<cuda::Passes> passes = plainPasses();

 private:
  int64_t padded() const { return cuda::paddedSamples(p.batch); }
  std::vector<float> parameters() const {
    if (!p.rowParametersB4.empty()) return p.rowParametersB4;
    std::vector<float> rows;
    for (int64_t i = 0; i < p.batch; ++i) rows.insert(rows.end(), {p.rule.scale, p.rule.m1, p.rule.m2, p.rule.m3});
    return rows;
  }
  std::vector<int32_t> sortedTargets(bool ofPositions) const {
    std::vector<std::pair<int32_t, int32_t>> entries;
    for (int64_t i = 0; i < p.batch; ++i) {
      if (samples.targetPosition[i] >= 0) entries.emplace_back(samples.targetPosition[i], static_cast<int32_t>(i));
    }
    std::sort(entries.begin(), entries.end());
    std::vector<int32_t> result;
    for (const auto& [position, sample] : entries) result.push_back(ofPositions ? position : sample);
    return result;
  }
  void expectHonestWorkspace() const {
    EXPECT_LE(workspace.largest, passes->workspaceBytes(centers.view, positions(), samples.isList, p.batch));
  }
};

/// All classes, or those of `list`.
Samples samplesOf(const Problem& p) {
  Samples samples;
  samples.count = p.batch;
  samples.isList = p.isSampled;
  samples.list = p.sampled;
  samples.targetPosition.assign(cuda::paddedSamples(p.batch), -1);
  for (int64_t i = 0; i < p.batch; ++i) {
    if (!p.isSampled) {
      samples.targetPosition[i] = p.labelsB[i];
      continue;
    }
    const auto place = std::lower_bound(p.sampled.begin(), p.sampled.end(), p.labelsB[i]);
    if (place != p.sampled.end() && *place == p.labelsB[i]) {
      samples.targetPosition[i] = static_cast<int32_t>(place - p.sampled.begin());
    }
  }
  return samples;
}

/// What the passes multiply, as the device has it, in double.
struct Operands {
  explicit Operands(const PlainRun& run)
      : dim(run.dim),
        subCenters(run.p.subCenters),
        unit(run.centers.view.precision == Precision::kFp32 ? run.unit.toHost()
                                                            : widenedRows(run.unitBf16.toHost(), run.dim)),
        rows(run.centers.operandRows()),
        master(run.centers.weightRows()),
        inverseNorms(run.centers.inverseNorms.toHost()) {}

  double cosine(int64_t sample, int64_t row) const {
    double dot = 0.0;
    for (int64_t d = 0; d < dim; ++d) dot += double(unit[sample * dim + d]) * rows[row * dim + d];
    return dot * inverseNorms[row];
  }
  /// Row of the class's largest cosine.
  int64_t winner(int64_t sample, int64_t localClass, double* largest) const {
    int64_t winner = localClass * subCenters;
    *largest = cosine(sample, winner);
    for (int64_t row = winner + 1; row < (localClass + 1) * subCenters; ++row) {
      const double candidate = cosine(sample, row);
      if (candidate > *largest) {
        *largest = candidate;
        winner = row;
      }
    }
    return winner;
  }

  int64_t dim, subCenters;
  std::vector<float> unit, rows, master, inverseNorms;
};

void expectSums(const PlainRun& run) {
  const Operands o(run);
  const std::vector<float> scale = run.scale.toHost(), shift = run.shift.toHost();
  Doubles sums(run.p.batch), weighted(run.p.batch * run.dim);
  for (int64_t i = 0; i < run.p.batch; ++i) {
    for (int64_t position = 0; position < run.positions(); ++position) {
      if (position == run.samples.targetPosition[i]) continue;
      double c = 0.0;
      const int64_t row = o.winner(i, run.classAt(position), &c);
      const double e = std::exp(scale[i] * c - shift[i]);
      sums[i] += e;
      for (int64_t d = 0; d < run.dim; ++d) {
        weighted[i * run.dim + d] += e * o.inverseNorms[row] * o.rows[row * run.dim + d];
      }
    }
  }
  EXPECT_LE(relativeError(run.sumExp.toHost(), sums), kNormTolerance) << "l";
  EXPECT_LE(worstRowError(run.sumExp.toHost(), sums, 1), kRowTolerance) << "l of a sample";
  EXPECT_LE(relativeError(run.weightedSum.toHost(), weighted), kNormTolerance) << "U";
  EXPECT_LE(worstRowError(run.weightedSum.toHost(), weighted, run.dim), kRowTolerance) << "U of a sample";
}

/// In one or two dimensions the tangent part is all cancellation: errors are then measured against what it is the rest
/// of.
void expectGradients(PlainRun& run) {
  const std::vector<float> actual = run.denseGradients();
  const Operands o(run);
  const std::vector<float> scale = run.scale.toHost(), shift = run.gradientShift.toHost();
  const std::vector<float> factor = run.gradientFactor.toHost(), tangent = run.tangentW.toHost();
  const std::vector<float> coefficient = run.coefficient.toHost();
  const std::vector<int32_t> winners = run.winner.toHost();
  const int64_t dim = run.dim, subCenters = run.p.subCenters;
  Doubles sums(run.p.rows() * dim), expected(run.p.rows() * dim, 7.0);
  std::vector<bool> takesPart(run.p.rows());
  for (int64_t position = 0; position < run.positions(); ++position) {
    const int64_t localClass = run.classAt(position);
    for (int64_t k = 0; k < subCenters; ++k) takesPart[localClass * subCenters + k] = true;
    for (int64_t i = 0; i < run.p.batch; ++i) {
      if (position == run.samples.targetPosition[i]) {
        const int64_t row = localClass * subCenters + winners[i];
        for (int64_t d = 0; d < dim; ++d) sums[row * dim + d] += double(coefficient[i]) * tangent[i * dim + d];
        continue;
      }
      if (!run.samples.hasClass.empty() &&
          run.samples.hasClass[run.samples.stepOfSample[i] * run.positions() + position] == 0) {
        continue;
      }
      double c = 0.0;
      const int64_t row = o.winner(i, localClass, &c);
      const double q = factor[i] == 0.0f ? 0.0 : std::exp(scale[i] * c - shift[i]) * factor[i] / run.p.batch;
      for (int64_t d = 0; d < dim; ++d) sums[row * dim + d] += q * o.unit[i * dim + d];
    }
  }
  double worstAgainstScale = 0.0;
  for (int64_t row = 0; row < run.p.rows(); ++row) {
    if (!takesPart[row]) continue;
    double along = 0.0;
    for (int64_t d = 0; d < dim; ++d) along += sums[row * dim + d] * o.master[row * dim + d] * o.inverseNorms[row];
    for (int64_t d = 0; d < dim; ++d) {
      const double unit = double(o.master[row * dim + d]) * o.inverseNorms[row];
      expected[row * dim + d] = (sums[row * dim + d] - along * unit) * o.inverseNorms[row];
      const double difference = std::abs(actual[row * dim + d] - expected[row * dim + d]);
      if (o.inverseNorms[row] > 0.0f) {
        worstAgainstScale = std::max(worstAgainstScale, difference / o.inverseNorms[row]);
      } else {
        ASSERT_EQ(actual[row * dim + d], 0.0f) << "zero row " << row;
      }
    }
  }
  if (dim <= 2) {
    EXPECT_LE(worstAgainstScale, 1e-6 * run.p.rule.scale) << "dW against s/|w|";
    return;
  }
  EXPECT_LE(relativeError(actual, expected), kNormTolerance) << "dW";
  EXPECT_LE(worstRowError(actual, expected, dim), kRowTolerance) << "dW of a row";
}

void expectStages(const Problem& p, Precision precision) {
  PlainRun run(p, precision, samplesOf(p));
  run.sumNegatives();
  expectSums(run);
  run.finish();
  expectGradients(run);
}

/// Every second class and the classes of some labels.
void sampleHalf(Problem& p) {
  std::set<int32_t> chosen;
  for (int64_t j = 0; j < p.classes; j += 2) chosen.insert(static_cast<int32_t>(j));
  for (int64_t i = 0; i < p.batch; i += 3) chosen.insert(p.labelsB[i]);
  p.isSampled = true;
  p.sampled.assign(chosen.begin(), chosen.end());
}

TEST(CudaPlain, MatchesDoublePrecisionInEveryShape) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t dim : {1, 2, 3, 16, 17, 130, 513}) {
    for (int64_t subCenters : {1, 3}) {
      for (const auto& [batch, classes] :
           {std::pair<int64_t, int64_t>{1, 2}, {5, 63}, {17, 64}, {129, 65}, {33, 130}}) {
        SCOPED_TRACE(testing::Message() << "B " << batch << " C " << classes << " K " << subCenters << " D " << dim);
        Problem p = makeProblem(batch, classes, subCenters, dim, 11);
        expectStages(p, Precision::kFp32);
        if (classes < 64) continue;
        sampleHalf(p);
        expectStages(p, Precision::kFp32);
      }
    }
  }
}

TEST(CudaPlain, MatchesDoublePrecisionOnBf16Operands) {
  HYPERARC_NEEDS_DEVICE();
  for (Precision precision : {Precision::kBf16Compute, Precision::kBf16Master}) {
    for (int64_t dim : {3, 130, 513, 1100}) {
      for (int64_t subCenters : {1, 2}) {
        SCOPED_TRACE(testing::Message() << "K " << subCenters << " D " << dim << " precision " << int(precision));
        Problem p = makeProblem(19, 70, subCenters, dim, 12);
        expectStages(p, precision);
        sampleHalf(p);
        expectStages(p, precision);
      }
    }
  }
}

TEST(CudaPlain, MatchesDoublePrecisionAcrossChunks) {
  HYPERARC_NEEDS_DEVICE();
  // More classes, rows of sub-centres, and samples than a chunk holds; and a D that makes chunks shorter.
  expectStages(makeProblem(3, 8200, 1, 4, 3), Precision::kFp32);
  expectStages(makeProblem(3, 2800, 3, 4, 3), Precision::kFp32);
  expectStages(makeProblem(2051, 5, 1, 4, 3), Precision::kFp32);
  expectStages(makeProblem(2051, 5, 1, 4, 3), Precision::kBf16Compute);
  expectStages(makeProblem(2, 4099, 1, 4096, 3), Precision::kFp32);
}

/// Whole steps against the reference, which shares nothing with the kernels but the margin functions.
void expectStep(const Problem& p) {
  const ReferenceStep expected = referenceStep(p);
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  run.finish();
  const std::vector<float> loss = run.loss.toHost(), gradientX = run.embeddingGradient.toHost();
  EXPECT_LE(relativeError(loss, expected.lossB), kNormTolerance) << "loss";
  EXPECT_LE(relativeError(gradientX, expected.embeddingGradientBD), kNormTolerance) << "dX";
  EXPECT_LE(worstRowError(gradientX, expected.embeddingGradientBD, p.dim), kRowTolerance) << "dX row";
  std::vector<float> gradientW = run.denseGradients();
  if (p.isSampled) {
    for (int64_t n = 0; n < static_cast<int64_t>(gradientW.size()); ++n) {
      const auto localClass = static_cast<int32_t>(n / (p.subCenters * p.dim));
      if (!std::binary_search(p.sampled.begin(), p.sampled.end(), localClass)) {
        ASSERT_EQ(gradientW[n], 7.0f);
        gradientW[n] = 0.0f;
      }
    }
  }
  EXPECT_LE(relativeError(gradientW, expected.centerGradientRD), kNormTolerance) << "dW";
  EXPECT_LE(worstRowError(gradientW, expected.centerGradientRD, p.dim), kRowTolerance) << "dW row";
}

TEST(CudaPlain, WholeStepsMatchTheReference) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t subCenters : {1, 2, 16}) {
    for (int64_t dim : {3, 127, 512}) {
      SCOPED_TRACE(testing::Message() << "K " << subCenters << " D " << dim);
      expectStep(makeProblem(24, 60, subCenters, dim, 9));
    }
  }
  expectStep(makeProblem(300, 400, 1, 64, 9));
  expectStep(makeProblem(16, 3000, 1, 512, 9));
  expectStep(makeProblem(12, 50, 1, 4096, 9));
  Problem sampled = makeProblem(20, 100, 2, 40, 9);
  std::set<int32_t> classes(sampled.labelsB.begin(), sampled.labelsB.end());
  for (int32_t j = 0; j < 100; j += 3) classes.insert(j);
  sampled.isSampled = true;
  sampled.sampled.assign(classes.begin(), classes.end());
  expectStep(sampled);
}

TEST(CudaPlain, TargetsOnTheirCenterAndOppositeStayFinite) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(8, 20, 1, 33, 3);
  for (int64_t d = 0; d < p.dim; ++d) {
    p.embeddingsBD[1 * p.dim + d] = 2.0f * p.weightsRD[p.labelsB[1] * p.dim + d];
    p.embeddingsBD[2 * p.dim + d] = -2.0f * p.weightsRD[p.labelsB[2] * p.dim + d];
  }
  for (Fallback fallback : {Fallback::kHard, Fallback::kEasy, Fallback::kNone, Fallback::kClip}) {
    p.rule.fallback = fallback;
    expectStep(p);
  }
}

TEST(CudaPlain, NoClassesGiveZeros) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(5, 20, 2, 7, 3);
  p.isSampled = true;
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  EXPECT_EQ(run.sumExp.toHost(), std::vector<float>(5, 0.0f));
  EXPECT_EQ(run.weightedSum.toHost(), std::vector<float>(5 * 7, 0.0f));
  run.finish();
  EXPECT_EQ(run.loss.toHost(), std::vector<float>(5, 0.0f));
  EXPECT_EQ(run.denseGradients(), std::vector<float>(p.rows() * 7, 7.0f));
}

TEST(CudaPlain, OneClassOfOwnSamplesMovesByNothing) {
  HYPERARC_NEEDS_DEVICE();
  const Problem p = makeProblem(3, 1, 1, 9, 3);
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  EXPECT_EQ(run.sumExp.toHost(), std::vector<float>(3, 0.0f));
  run.finish();
  for (float value : run.denseGradients()) EXPECT_EQ(value, 0.0f);
}

TEST(CudaPlain, MasksClassesThatAStepDidNotDraw) {
  HYPERARC_NEEDS_DEVICE();
  for (int64_t subCenters : {1, 3}) {
    Problem p = makeProblem(37, 150, subCenters, 20, 14);
    sampleHalf(p);
    Samples samples = samplesOf(p);
    samples.stepCount = 3;
    std::mt19937 random(4);
    for (int64_t i = 0; i < p.batch; ++i) samples.stepOfSample.push_back(static_cast<int32_t>(i * 3 / p.batch));
    for (int64_t n = 0; n < 3 * static_cast<int64_t>(p.sampled.size()); ++n)
      samples.hasClass.push_back(random() % 3 > 0);
    PlainRun run(p, Precision::kFp32, samples);
    run.sumNegatives();
    run.finish();
    // A sample whose step had no negative for it: its exponent has no bound, and it must not count.
    std::vector<float> shift = run.gradientShift.toHost(), factor = run.gradientFactor.toHost();
    shift[5] = -1000.0f;
    factor[5] = 0.0f;
    run.gradientShift.set(shift);
    run.gradientFactor.set(factor);
    expectGradients(run);
  }
}

TEST(CudaPlain, EqualSubCentersGiveTheGradientToTheLowest) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(6, 8, 3, 12, 5);
  for (int64_t j = 0; j < p.classes; ++j) {
    for (int64_t d = 0; d < p.dim; ++d) {
      float* w = &p.weightsRD[j * 3 * p.dim + d];
      w[2 * p.dim] = w[p.dim];
    }
  }
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  run.finish();
  const std::vector<float> gradient = run.denseGradients();
  for (int64_t j = 0; j < p.classes; ++j) {
    for (int64_t d = 0; d < p.dim; ++d) EXPECT_EQ(gradient[(j * 3 + 2) * p.dim + d], 0.0f);
  }
}

TEST(CudaPlain, ANanReachesLossAndGradients) {
  HYPERARC_NEEDS_DEVICE();
  Problem p = makeProblem(4, 10, 2, 6, 5);
  p.weightsRD[(7 * 2 + 1) * 6 + 3] = std::nanf("");
  p.labelsB = {0, 1, 7, 3};
  PlainRun run(p, Precision::kFp32, samplesOf(p));
  run.sumNegatives();
  run.finish();
  const std::vector<float> loss = run.loss.toHost();
  for (int i : {0, 1, 3}) EXPECT_TRUE(std::isnan(loss[i])) << i;
}

TEST(CudaPlain, UpdatesWithTheDenseGradient) {
  HYPERARC_NEEDS_DEVICE();
  for (Precision precision : {Precision::kFp32, Precision::kBf16Compute, Precision::kBf16Master}) {
    for (int64_t dim : {3, 130, 513, 1030, 2100}) {
      for (bool hasMomentum : {true, false}) {
        SCOPED_TRACE(testing::Message() << "D " << dim << " precision " << int(precision) << ' ' << hasMomentum);
        const cuda::SgdView sgd = {
            .learningRate = 0.5f, .momentum = hasMomentum ? 0.9f : 0.0f, .weightDecay = 1e-3f, .roundingStep = 77};
        const int64_t firstGlobalRow = (int64_t{1} << 33) + 5;
        Problem p = makeProblem(7, 30, 2, dim, 6);
        sampleHalf(p);
        PlainRun run(p, precision, samplesOf(p), hasMomentum, firstGlobalRow);
        run.sumNegatives();
        run.finish();
        const std::vector<float> dense = run.denseGradients();
        std::vector<float> weights = run.centers.weightRows();
        std::vector<float> momentum = hasMomentum ? run.centers.momentumRows() : std::vector<float>(weights.size());
        run.formGradients({.isUpdate = true, .sgd = sgd, .dense = nullptr});
        for (int64_t n = 0; n < static_cast<int64_t>(weights.size()); ++n) {
          const int64_t row = n / dim, d = n % dim;
          if (!std::binary_search(p.sampled.begin(), p.sampled.end(), static_cast<int32_t>(row / 2))) continue;
          cuda::sgdElement(dense[n], weights[n], momentum[n], sgd);
          if (precision != Precision::kBf16Master) continue;
          const uint32_t random =
              cuda::roundingWords(firstGlobalRow + row, static_cast<int32_t>(d / 4), sgd.roundingStep).word[d % 4];
          weights[n] = widened(cuda::toBf16Stochastic(weights[n], random & 0xffffu));
          momentum[n] = widened(cuda::toBf16Stochastic(momentum[n], random >> 16));
        }
        EXPECT_EQ(run.centers.weightRows(), weights);
        if (hasMomentum) {
          EXPECT_EQ(run.centers.momentumRows(), momentum);
        }
        if (precision == Precision::kBf16Compute) {
          EXPECT_EQ(run.centers.operandRows(), widenedRows(narrowed(weights, dim), dim));
        }
        const std::vector<float> norms = run.centers.inverseNorms.toHost();
        for (int64_t row = 0; row < p.rows(); ++row) {
          const double inverse = exactInverseNorm(&weights[row * dim], dim);
          ASSERT_NEAR(norms[row], inverse, 3e-7 * inverse) << "row " << row;
        }
      }
    }
  }
}

TEST(CudaPlain, GivesTheSameBitsTwice) {
  HYPERARC_NEEDS_DEVICE();
  const Problem p = makeProblem(40, 700, 1, 50, 6);
  const auto bitsOf = [&] {
    PlainRun run(p, Precision::kFp32, samplesOf(p));
    run.sumNegatives();
    run.finish();
    std::vector<float> all = run.weightedSum.toHost();
    for (const std::vector<float>& more : {run.sumExp.toHost(), run.denseGradients()}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  };
  const std::vector<float> first = bitsOf(), second = bitsOf();
  EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0);
}

TEST(CudaPlain, TakesBoundedMemory) {
  HYPERARC_NEEDS_DEVICE();
  const auto passes = plainPasses();
  for (int32_t dim : {1, 512, 2048, 4096}) {
    for (int32_t subCenters : {1, 16}) {
      cuda::CentersView centers = {};
      centers.precision = Precision::kBf16Master;
      centers.subCenters = subCenters;
      centers.dim = dim;
      centers.dimPadded = cuda::paddedDim(dim);
      const int64_t most = passes->workspaceBytes(centers, 100'000'000 / subCenters, false, 1'000'000);
      EXPECT_LE(most, int64_t{320} << 20) << "D " << dim;
      EXPECT_LE(passes->workspaceBytes(centers, 1000, false, 1), most);
    }
  }
  cuda::CentersView centers = {};
  centers.subCenters = 1;
  centers.dim = 512;
  EXPECT_LE(passes->workspaceBytes(centers, 10'000'000, false, 1024), int64_t{80} << 20);
}

TEST(CudaPlain, SaysWhatItIs) {
  HYPERARC_NEEDS_DEVICE();
  EXPECT_EQ(plainPasses()->name(), "plain-fp32");
  EXPECT_TRUE(plainPasses()->supportsMask());
}

}  // namespace
}  // namespace hyperarc::test

#endif
