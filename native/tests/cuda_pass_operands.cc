#include "cuda_pass_operands.h"

#if HYPERARC_WITH_CUDA

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "cuda_device_array.h"
#include "margins/negative.h"
#ifdef HYPERARC_EMULATED
#include "emulator/prefetches.h"
#endif

namespace hyperarc::test {

using cuda::Bf16;
using cuda::paddedDim;
using cuda::paddedSamples;
using cuda::toBf16;
using cuda::toFloat;

namespace {

std::vector<float> normals(int64_t count, double deviation, std::mt19937& random) {
  std::normal_distribution<double> normal(0.0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(random));
  return values;
}

std::vector<Bf16> paddedBf16(const std::vector<float>& rows, int32_t dim, int32_t dimPadded, int64_t rowCount) {
  std::vector<Bf16> out(rowCount * dimPadded, Bf16{0});
  for (int64_t r = 0; r < static_cast<int64_t>(rows.size()) / dim; ++r) {
    for (int32_t d = 0; d < dim; ++d) out[r * dimPadded + d] = toBf16(rows[r * dim + d]);
  }
  return out;
}

/// N(c) and N'(c) of a sample's negative; c itself without a rule.
margins::Negative<double> negativeOf(const PassOperands& o, int64_t sample, double c) {
  if (o.shape.rule.threshold == NegativeThreshold::kNone) return {c, 1.0};
  return margins::negative(o.shape.rule, o.threshold[sample], c);
}

}  // namespace

PassOperands::PassOperands(const PassShape& given) : shape(given), dimPadded(paddedDim(given.dim)) {
  makeCenters();
  makeSamples();
  makeThresholds();
  makeTargets();
  makeGradientTerms();
}

double PassOperands::cosine(int64_t sample, int64_t row) const {
  double dot = 0.0;
  for (int32_t d = 0; d < dimPadded; ++d) {
    dot += static_cast<double>(toFloat(unitBf16[sample * dimPadded + d])) *
           static_cast<double>(toFloat(weightsBf16[row * dimPadded + d]));
  }
  return dot * inverseNorms[row];
}

double PassOperands::master(int64_t row, int32_t d) const {
  return shape.precision == Precision::kBf16Master ? toFloat(weightsBf16[row * dimPadded + d])
                                                   : weights[row * shape.dim + d];
}

void PassOperands::makeCenters() {
  std::mt19937 random(shape.seed);
  weights = normals(shape.classes * shape.dim, 0.05, random);
  momentum = normals(shape.classes * shape.dim, 0.01, random);
  if (shape.classes > 3) std::fill_n(weights.begin() + 3 * shape.dim, shape.dim, 0.0f);
  weightsBf16 = paddedBf16(weights, shape.dim, dimPadded, shape.classes);
  momentumBf16 = paddedBf16(momentum, shape.dim, dimPadded, shape.classes);
  inverseNorms.resize(shape.classes);
  for (int64_t r = 0; r < shape.classes; ++r) {
    double squares = 0.0;
    for (int32_t d = 0; d < shape.dim; ++d) squares += master(r, d) * master(r, d);
    inverseNorms[r] = squares < 1e-24 ? 0.0f : static_cast<float>(1.0 / std::sqrt(squares));
  }
  if (!shape.isList) return;
  for (int64_t r = 0; r < shape.classes; ++r) {
    if (random() % 2 == 0 || r + 1 == shape.classes) list.push_back(static_cast<int32_t>(r));
  }
}

void PassOperands::makeSamples() {
  std::mt19937 random(shape.seed + 1);
  const int64_t batch = shape.samples, batchPadded = paddedSamples(batch);
  std::vector<float> embeddings = normals(batch * shape.dim, 1.0, random);
  targetPosition.assign(batchPadded, -1);
  for (int64_t i = 0; i < batch; ++i) {
    // Every seventh sample's class is not in the pass; the others crowd on few classes.
    if (i % 7 != 6) targetPosition[i] = static_cast<int32_t>(random() % std::min<int64_t>(positions(), 1 + batch / 2));
    const bool isNear = i % 4 < 2;
    if (!isNear) continue;
    const int64_t position = i % 4 == 0 || targetPosition[i] < 0 ? random() % positions() : targetPosition[i];
    for (int32_t d = 0; d < shape.dim; ++d) {
      float& x = embeddings[i * shape.dim + d];
      x = 0.3f * x + 20.0f * weights[classAt(position) * shape.dim + d];
    }
  }
  if (batch > 2) std::fill_n(embeddings.begin() + 2 * shape.dim, shape.dim, 0.0f);
  unit = embeddings;
  for (int64_t i = 0; i < batch; ++i) {
    double squares = 0.0;
    for (int32_t d = 0; d < shape.dim; ++d) squares += std::pow(embeddings[i * shape.dim + d], 2.0);
    for (int32_t d = 0; d < shape.dim; ++d) {
      unit[i * shape.dim + d] =
          squares == 0.0 ? 0.0f : static_cast<float>(embeddings[i * shape.dim + d] / std::sqrt(squares));
    }
  }
  unitBf16 = paddedBf16(unit, shape.dim, dimPadded, batchPadded);
  scale.assign(batchPadded, 0.0f);
  shift.assign(batchPadded, 0.0f);
  for (int64_t i = 0; i < batch; ++i) {
    scale[i] = shape.largestScale * (i % 5 == 0 ? 1.0f : static_cast<float>(8 + random() % 56) / 64.0f);
    shift[i] = static_cast<float>(random() % 5);
  }
}

void PassOperands::makeThresholds() {
  threshold.assign(scale.size(), 0.0f);
  if (shape.rule.threshold == NegativeThreshold::kNone) return;
  std::mt19937 random(shape.seed + 3);
  for (int64_t i = 0; i < shape.samples; ++i) {
    const bool isFixed = shape.rule.threshold == NegativeThreshold::kFixed;
    threshold[i] = isFixed ? shape.rule.fixed : static_cast<float>(random() % 50) / 100.0f;
    Doubles cosines;
    for (int64_t p = 0; p < positions(); ++p) cosines.push_back(cosine(i, classAt(p)));
    const auto isNear = [&](double c) { return std::abs(c - threshold[i]) < 1e-5; };
    while (std::any_of(cosines.begin(), cosines.end(), isNear)) threshold[i] += 3e-5f;
  }
}

void PassOperands::makeTargets() {
  std::mt19937 random(shape.seed + 2);
  for (int64_t i = 0; i < shape.samples; ++i) {
    if (targetPosition[i] >= 0) targetSamples.push_back(static_cast<int32_t>(i));
  }
  std::stable_sort(targetSamples.begin(), targetSamples.end(),
                   [&](int32_t a, int32_t b) { return targetPosition[a] < targetPosition[b]; });
  for (int32_t i : targetSamples) targetPositions.push_back(targetPosition[i]);
  winner.assign(shape.samples, 0);
  coefficient = normals(shape.samples, 0.5, random);
  tangentW = normals(shape.samples * shape.dim, 1.0 / std::sqrt(shape.dim), random);
}

void PassOperands::makeGradientTerms() {
  gradientShift.assign(scale.size(), 0.0f);
  gradientFactor.assign(scale.size(), 0.0f);
  const ExactSums sums = exactNegativeSums(*this);
  for (int64_t i = 0; i < shape.samples; ++i) {
    if (sums.sumExp[i] == 0.0 || i == 9) continue;
    gradientShift[i] = static_cast<float>(std::log(sums.sumExp[i]) + shift[i]);
    gradientFactor[i] = scale[i] / (1.0f + 0.25f * static_cast<float>(i % 8));
  }
  inverseTotal = 1.0f / static_cast<float>(shape.samples);
}

ExactSums exactNegativeSums(const PassOperands& o) {
  ExactSums sums = {Doubles(o.shape.samples), Doubles(o.shape.samples * o.shape.dim)};
  for (int64_t i = 0; i < o.shape.samples; ++i) {
    for (int64_t p = 0; p < o.positions(); ++p) {
      if (p == o.targetPosition[i]) continue;
      const int64_t row = o.classAt(p);
      const double c = o.cosine(i, row);
      const margins::Negative<double> negative = negativeOf(o, i, c);
      const double e = std::exp(o.scale[i] * negative.value - o.shift[i]);
      sums.sumExp[i] += e;
      sums.above += c > o.threshold[i];
      for (int32_t d = 0; d < o.shape.dim; ++d) {
        sums.weightedSum[i * o.shape.dim + d] += e * negative.slope * o.inverseNorms[row] *
                                                 static_cast<double>(toFloat(o.weightsBf16[row * o.dimPadded + d]));
      }
    }
  }
  return sums;
}

Doubles exactDenseGradients(const PassOperands& o) {
  const int32_t dim = o.shape.dim;
  Doubles dense(o.shape.classes * dim, 7.0);
  for (int64_t p = 0; p < o.positions(); ++p) {
    const int64_t row = o.classAt(p);
    Doubles gradient(dim);
    for (int64_t i = 0; i < o.shape.samples; ++i) {
      if (p == o.targetPosition[i]) {
        for (int32_t d = 0; d < dim; ++d) {
          gradient[d] += static_cast<double>(o.coefficient[i]) * o.tangentW[i * dim + d];
        }
        continue;
      }
      const margins::Negative<double> negative = negativeOf(o, i, o.cosine(i, row));
      const double q = std::exp(o.scale[i] * negative.value - o.gradientShift[i]) * negative.slope *
                       o.gradientFactor[i] * o.inverseTotal;
      for (int32_t d = 0; d < dim; ++d) {
        gradient[d] += q * static_cast<double>(toFloat(o.unitBf16[i * o.dimPadded + d]));
      }
    }
    double along = 0.0;
    for (int32_t d = 0; d < dim; ++d) along += gradient[d] * o.master(row, d) * o.inverseNorms[row];
    for (int32_t d = 0; d < dim; ++d) {
      dense[row * dim + d] = (gradient[d] - along * o.master(row, d) * o.inverseNorms[row]) * o.inverseNorms[row];
    }
  }
  return dense;
}

namespace {

/// Everything on the device, as the views name it.
struct DeviceOperands {
  explicit DeviceOperands(const PassOperands& o)
      : weights(o.shape.precision == Precision::kBf16Compute ? o.weights : std::vector<float>{}),
        momentum(o.shape.precision == Precision::kBf16Compute && o.shape.hasMomentum ? o.momentum
                                                                                     : std::vector<float>{}),
        weightsBf16(o.weightsBf16),
        momentumBf16(o.shape.precision == Precision::kBf16Master && o.shape.hasMomentum ? o.momentumBf16
                                                                                        : std::vector<Bf16>{}),
        inverseNorms(o.inverseNorms),
        list(o.list),
        unit(o.unit),
        unitBf16(o.unitBf16),
        scale(o.scale),
        shift(o.shift),
        gradientShift(o.gradientShift),
        gradientFactor(o.gradientFactor),
        targetPosition(o.targetPosition),
        threshold(o.threshold),
        targetPositions(o.targetPositions),
        targetSamples(o.targetSamples),
        winner(o.winner),
        coefficient(o.coefficient),
        tangentW(o.tangentW) {
    centers.precision = o.shape.precision;
    centers.rows = o.shape.classes;
    centers.firstGlobalRow = o.shape.firstGlobalRow;
    centers.subCenters = 1;
    centers.dim = o.shape.dim;
    centers.dimPadded = o.dimPadded;
    centers.weights = weights.get();
    centers.momentum = momentum.get();
    centers.weightsBf16 = weightsBf16.get();
    centers.momentumBf16 = momentumBf16.get();
    centers.inverseNorms = inverseNorms.get();
    classes = {o.positions(), o.shape.isList ? list.get() : nullptr};
    samples = {o.shape.samples,     unit.get(),           unitBf16.get(),       scale.get(),    shift.get(),
               gradientShift.get(), gradientFactor.get(), targetPosition.get(), threshold.get()};
    targets = {static_cast<int32_t>(o.targetSamples.size()),
               targetPositions.get(),
               targetSamples.get(),
               winner.get(),
               coefficient.get(),
               tangentW.get()};
  }

  DeviceArray<float> weights, momentum;
  DeviceArray<Bf16> weightsBf16, momentumBf16;
  DeviceArray<float> inverseNorms;
  DeviceArray<int32_t> list;
  DeviceArray<float> unit;
  DeviceArray<Bf16> unitBf16;
  DeviceArray<float> scale, shift, gradientShift, gradientFactor;
  DeviceArray<int32_t> targetPosition;
  DeviceArray<float> threshold;
  DeviceArray<int32_t> targetPositions, targetSamples, winner;
  DeviceArray<float> coefficient, tangentW;
  cuda::CentersView centers = {};
  cuda::ClassList classes;
  cuda::SamplesView samples;
  cuda::TargetsView targets;
};

/// Exactly the bytes that the passes said they would need; every take starts from bytes that are no number.
class CountedWorkspace final : public cuda::Workspace {
 public:
  explicit CountedWorkspace(int64_t bytes)
      : array_(std::vector<uint8_t>(std::max<int64_t>(bytes, 1), 0xff)), bytes_(bytes) {}
  void* take(int64_t bytes) override {
    EXPECT_LE(bytes, bytes_) << "more than workspaceBytes()";
    return array_.get();
  }

 private:
  DeviceArray<uint8_t> array_;
  int64_t bytes_;
};

int64_t workspaceBytes(const PassOperands& o, const DeviceOperands& device, const cuda::Passes& passes) {
  return passes.workspaceBytes(device.centers, o.positions(), o.shape.isList, o.shape.samples);
}

void runGradients(const PassOperands& o, const DeviceOperands& device, cuda::Passes& passes,
                  const cuda::GradientSink& sink) {
  cuda::CenterGradients args = {device.centers, device.classes, device.samples, o.inverseTotal, nullptr,
                                nullptr,        device.targets, sink,           o.shape.rule};
  CountedWorkspace workspace(workspaceBytes(o, device, passes));
  passes.centerGradients(args, workspace, nullptr);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

}  // namespace

PassSums runNegativeSums(const PassOperands& o, cuda::Passes& passes) {
  const DeviceOperands device(o);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  DeviceArray<float> sumExp(std::vector<float>(o.shape.samples, nan));
  DeviceArray<float> weightedSum(std::vector<float>(o.shape.samples * o.shape.dim, nan));
  CountedWorkspace workspace(workspaceBytes(o, device, passes));
  passes.negativeSums({device.centers, device.classes, device.samples, sumExp.get(), weightedSum.get(), o.shape.rule},
                      workspace, nullptr);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  return {sumExp.toHost(), weightedSum.toHost()};
}

std::vector<float> runDenseGradients(const PassOperands& o, cuda::Passes& passes) {
  const DeviceOperands device(o);
  DeviceArray<float> dense(std::vector<float>(o.shape.classes * o.shape.dim, 7.0f));
  runGradients(o, device, passes, {false, {}, dense.get()});
  return dense.toHost();
}

UpdatedCenters runUpdate(const PassOperands& o, cuda::Passes& passes, const cuda::UpdateView& sgd) {
  const DeviceOperands device(o);
  runGradients(o, device, passes, {true, sgd, nullptr});
  return {device.weights.toHost(), device.momentum.toHost(), device.inverseNorms.toHost(), device.weightsBf16.toHost(),
          device.momentumBf16.toHost()};
}

#ifdef HYPERARC_EMULATED
namespace {

/// Notes a prefetch where it lies in the array.
template <typename T>
bool note(const emulator::Prefetch& prefetch, const DeviceArray<T>& array, PrefetchedCenters::Buffer& buffer) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(array.get());
  const size_t bytes = static_cast<size_t>(array.size()) * sizeof(T);
  buffer.bytes.resize(bytes);
  if (prefetch.begin < begin || prefetch.begin >= begin + bytes) return false;
  ++buffer.requests;
  const auto first = buffer.bytes.begin() + static_cast<ptrdiff_t>(prefetch.begin - begin);
  std::fill_n(first, std::max(prefetch.bytes, 1u), true);
  return true;
}

PrefetchedCenters prefetchedBy(const PassOperands& o, cuda::Passes& passes, bool isUpdate) {
  const DeviceOperands device(o);
  const DeviceArray<float> dense(std::vector<float>(o.shape.classes * o.shape.dim));
  const emulator::PrefetchRecording recording;
  runGradients(o, device, passes, {isUpdate, {0.1f, 0.9f, 5e-4f, 3}, isUpdate ? nullptr : dense.get()});
  PrefetchedCenters centers;
  for (const emulator::Prefetch& prefetch : recording.prefetches()) {
    const bool isKnown =
        note(prefetch, device.inverseNorms, centers.inverseNorms) ||
        (o.shape.precision == Precision::kBf16Master
             ? note(prefetch, device.weightsBf16, centers.weights) ||
                   note(prefetch, device.momentumBf16, centers.momentum)
             : note(prefetch, device.weights, centers.weights) || note(prefetch, device.momentum, centers.momentum));
    EXPECT_TRUE(isKnown) << "a prefetch of what is no centre";
  }
  return centers;
}

}  // namespace

PrefetchedCenters prefetchedByUpdate(const PassOperands& o, cuda::Passes& passes) {
  return prefetchedBy(o, passes, true);
}

PrefetchedCenters prefetchedByDenseGradients(const PassOperands& o, cuda::Passes& passes) {
  return prefetchedBy(o, passes, false);
}
#endif

}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
