#include "cpu/step.h"

#include <algorithm>

namespace hyperarc::cpu {

std::span<const TargetEntry> targetsOf(const std::vector<TargetEntry>& sorted, int64_t first, int64_t last) {
  const auto before = [](const TargetEntry& entry, int64_t value) { return entry.localClass < value; };
  const auto begin = std::lower_bound(sorted.begin(), sorted.end(), first, before);
  const auto end = std::lower_bound(begin, sorted.end(), last + 1, before);
  return {begin, end};
}

CpuStep::CpuStep(uint64_t centersId, uint64_t weights, const Blocking& blocking, const Batch& input)
    : TrackedStep(centersId, weights),
      samples(input.batch),
      dim(blocking.dim),
      panel(blocking.panel),
      negatives(input.rule.negatives),
      inverseNorms(blocking.padded(input.batch)),
      unitXT(blocking.padded(input.batch) * blocking.dim),
      unitX(input.batch * blocking.dimPadded),
      scale(blocking.padded(input.batch)),
      shift(blocking.padded(input.batch)),
      threshold(input.rule.negatives.threshold == NegativeThreshold::kNone ? 0 : blocking.padded(input.batch)),
      targetLogits(blocking.padded(input.batch)),
      targetCosine(blocking.padded(input.batch)),
      slope(blocking.padded(input.batch)),
      tangentX(input.batch * blocking.dim),
      tangentW(input.batch * blocking.dim),
      sumExp(blocking.padded(input.batch)),
      weightedSum(input.batch * blocking.dim),
      loss(blocking.padded(input.batch)),
      embeddingGradient(input.batch * blocking.dim),
      rowGradient(4 * input.batch),
      targetError(blocking.padded(input.batch)),
      gradientShift(blocking.padded(input.batch)),
      gradientFactor(blocking.padded(input.batch)) {
  targets.reserve(samples);
  if (input.sampledClasses != nullptr) {
    allClasses = false;
    sampledClasses.assign(input.sampledClasses, input.sampledClasses + input.sampledCount);
  }
}

int64_t CpuStep::bytesFor(const Blocking& blocking, int64_t batch) {
  // With a negative rule's thresholds: a plan knows no rule.
  const int64_t vectors = 12 * blocking.padded(batch) + 4 * batch;
  const int64_t matrices =
      blocking.padded(batch) * blocking.dim + batch * blocking.dimPadded + 4 * batch * blocking.dim;
  return (vectors + matrices) * static_cast<int64_t>(sizeof(float)) + batch * static_cast<int64_t>(sizeof(TargetEntry));
}

int64_t CpuStep::bytes() const {
  int64_t total =
      static_cast<int64_t>(targets.capacity() * sizeof(TargetEntry) + sampledClasses.capacity() * sizeof(int32_t));
  for (const FloatArray* array : {&inverseNorms, &unitXT, &unitX, &scale, &shift, &targetLogits, &targetCosine, &slope,
                                  &tangentX, &tangentW, &sumExp, &weightedSum, &loss, &embeddingGradient, &targetError,
                                  &gradientShift, &gradientFactor, &threshold, &rowGradient}) {
    total += array->bytes();
  }
  return total;
}

}  // namespace hyperarc::cpu
