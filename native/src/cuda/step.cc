#include "step.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/classes.h"
#include "common/small_sums.h"
#include "margins/negative.h"

namespace hyperarc::cuda {

namespace {

/// Hands out pieces of one allocation, aligned to 256 bytes.
class Carver {
 public:
  template <typename T>
  int64_t take(int64_t count) {
    const int64_t offset = used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
    return offset;
  }
  int64_t used() const { return used_; }

 private:
  int64_t used_ = 0;
};

}  // namespace

StepLayout::StepLayout(int64_t samples, int32_t dim, bool isBf16, bool hasHostEmbeddings, int64_t sampledCount) {
  const int64_t padded = paddedSamples(samples);
  Carver carver;
  embeddings = carver.take<float>(hasHostEmbeddings ? samples * dim : 0);
  rowParameters = carver.take<float>(4 * samples);
  localClass = carver.take<int32_t>(samples);
  targetPosition = carver.take<int32_t>(padded);
  entryPosition = carver.take<int32_t>(samples);
  entrySample = carver.take<int32_t>(samples);
  sampledClasses = carver.take<int32_t>(sampledCount);
  uploadBytes = carver.used();
  nonFinite = carver.take<unsigned long long>(1);
  targetCosine = carver.take<float>(samples);
  targetLogits = carver.take<float>(samples);
  threshold = carver.take<float>(padded);
  sumExp = carver.take<float>(samples);
  loss = carver.take<float>(samples);
  rowGradient = carver.take<float>(4 * samples);
  embeddingGradient = carver.take<float>(samples * dim);
  downloadEnd = embeddingGradient + samples * dim * static_cast<int64_t>(sizeof(float));
  mirroredBytes = carver.used();
  inverseNormsX = carver.take<float>(samples);
  unit = carver.take<float>(samples * dim);
  unitBf16 = carver.take<Bf16>(isBf16 ? padded * paddedDim(dim) : 0);
  scale = carver.take<float>(padded);
  shift = carver.take<float>(padded);
  slope = carver.take<float>(samples);
  byM1 = carver.take<float>(samples);
  byM2 = carver.take<float>(samples);
  tangentX = carver.take<float>(samples * dim);
  tangentW = carver.take<float>(samples * dim);
  winner = carver.take<int32_t>(samples);
  weightedSum = carver.take<float>(samples * dim);
  targetError = carver.take<float>(samples);
  gradientShift = carver.take<float>(padded);
  gradientFactor = carver.take<float>(padded);
  coefficient = carver.take<float>(samples);
  deviceBytes = carver.used();
}

double logTerms(const CentersConfig& config, const MarginRule& rule) {
  return std::log(static_cast<double>(config.globalClasses) * margins::steepestNegative(rule.negatives));
}

void sortEntries(std::vector<TargetEntry>* entries) {
  std::sort(entries->begin(), entries->end(), [](const TargetEntry& a, const TargetEntry& b) {
    return a.position != b.position ? a.position < b.position : a.sample < b.sample;
  });
}

CudaStep::CudaStep(std::shared_ptr<Core> core, Passes& kernels, uint64_t centersId, uint64_t weights,
                   const CentersConfig& config, const Batch& batch)
    : TrackedStep(centersId, weights),
      samples(batch.batch),
      dim(config.dim),
      isBf16(config.precision != Precision::kFp32),
      isWhole(config.classes == config.globalClasses),
      hasHostGradient(!isWhole || !batch.embeddingsOnDevice),
      layout(batch.batch, config.dim, config.precision != Precision::kFp32, !batch.embeddingsOnDevice,
             batch.sampledClasses == nullptr ? 0 : batch.sampledCount),
      passes(kernels),
      localClass(localClassesOf(batch.labelsB, batch.batch, config)),
      rule(batch.rule),
      core_(std::move(core)),
      memory_(core_->takeStep(layout.deviceBytes, hasHostGradient ? layout.mirroredBytes : layout.embeddingGradient)) {
  if (batch.sampledClasses != nullptr) {
    allClasses = false;
    sampledClasses.assign(batch.sampledClasses, batch.sampledClasses + batch.sampledCount);
  }
  embeddings = batch.embeddingsOnDevice ? batch.embeddingsBD : at<float>(layout.embeddings);
  fillUploads(config, batch);
}

void CudaStep::fillUploads(const CentersConfig& config, const Batch& batch) {
  if (!batch.embeddingsOnDevice) {
    std::memcpy(hostAt<float>(layout.embeddings), batch.embeddingsBD,
                static_cast<size_t>(samples * dim) * sizeof(float));
  }
  const double largest = margins::largestNegative(batch.rule.negatives);
  const double smallest = margins::smallestNegative(batch.rule.negatives);
  float* rows = hostAt<float>(layout.rowParameters);
  for (int64_t i = 0; i < samples; ++i) {
    const MarginRule& rule = batch.rule;
    const float common[4] = {rule.scale, rule.m1, rule.m2, rule.m3};
    const float* own = batch.rowParametersB4 == nullptr ? common : batch.rowParametersB4 + 4 * i;
    std::copy_n(own, 4, rows + 4 * i);
    // The smallest term of l_i is exp(s_i·smallest − shift_i).
    const double shift = margins::firstShift<double>(own[0], own[3], largest, logTerms(config, rule));
    if (shift - own[0] * smallest > kSafeExponent) mayLoseNegatives = true;
  }
  std::copy(localClass.begin(), localClass.end(), hostAt<int32_t>(layout.localClass));
  int32_t* positions = hostAt<int32_t>(layout.targetPosition);
  std::fill_n(positions, paddedSamples(samples), -1);
  std::vector<TargetEntry> entries;
  entries.reserve(samples);
  for (int64_t i = 0; i < samples; ++i) {
    if (localClass[i] < 0) continue;
    // Checked before: the list holds every owned class of the batch.
    positions[i] =
        allClasses
            ? localClass[i]
            : static_cast<int32_t>(std::lower_bound(sampledClasses.begin(), sampledClasses.end(), localClass[i]) -
                                   sampledClasses.begin());
    entries.push_back({positions[i], static_cast<int32_t>(i)});
  }
  sortEntries(&entries);
  targetCount = static_cast<int32_t>(entries.size());
  for (int32_t n = 0; n < targetCount; ++n) {
    hostAt<int32_t>(layout.entryPosition)[n] = entries[n].position;
    hostAt<int32_t>(layout.entrySample)[n] = entries[n].sample;
  }
  std::copy(sampledClasses.begin(), sampledClasses.end(), hostAt<int32_t>(layout.sampledClasses));
}

void CudaStep::upload(int64_t begin, int64_t end) {
  check(cudaMemcpyAsync(at<char>(begin), hostAt<char>(begin), static_cast<size_t>(end - begin), cudaMemcpyHostToDevice,
                        core_->forwardStream.get()),
        "copy to the device");
}

void CudaStep::download(int64_t begin, int64_t end) {
  check(cudaMemcpyAsync(hostAt<char>(begin), at<char>(begin), static_cast<size_t>(end - begin), cudaMemcpyDeviceToHost,
                        core_->forwardStream.get()),
        "copy from the device");
}

SamplesView CudaStep::samplesView() const {
  SamplesView view = {};
  view.samples = samples;
  view.unit = at<float>(layout.unit);
  view.unitBf16 = isBf16 ? at<Bf16>(layout.unitBf16) : nullptr;
  view.scale = at<float>(layout.scale);
  view.shift = at<float>(layout.shift);
  view.gradientShift = at<float>(layout.gradientShift);
  view.gradientFactor = at<float>(layout.gradientFactor);
  view.targetPosition = at<int32_t>(layout.targetPosition);
  view.threshold = at<float>(layout.threshold);
  return view;
}

ClassList CudaStep::classList(int64_t classes) const {
  if (allClasses) return {classes, nullptr};
  return {static_cast<int64_t>(sampledClasses.size()), at<int32_t>(layout.sampledClasses)};
}

}  // namespace hyperarc::cuda
