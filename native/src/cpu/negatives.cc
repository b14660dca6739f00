// Stages 2 and 3 of forward. Pass 1 streams the class centres: l_i = Σ e_ij and U_i = Σ e_ij·ŵ_j over the negatives,
// e_ij = exp(s_i·N(c_ij) − shift_i), each times N'(c_ij) in U; then loss and dX follow in O(B·D).
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "common/guard.h"
#include "common/small_sums.h"
#include "cpu/class_centers.h"

namespace hyperarc::cpu {

namespace {

/// From dT_i/d(s, m1, m2, m3) to this shard's share of the gradient of the mean loss. `error`: (1 − p_i)/B; `byScale`:
/// what the negatives add to the first column.
void finishRowGradient(CpuStep& step, int64_t i, double error, double byScale) {
  float* row = step.rowGradient.data() + 4 * i;
  for (int n = 0; n < 4; ++n) row[n] = static_cast<float>((n == 0 ? byScale : 0.0) - error * row[n]);
  // x̂_i·U_i is Σ e_ij·N'(c_ij)·c_ij, not the Σ e_ij·N(c_ij) that is needed.
  if (step.negatives.threshold != NegativeThreshold::kNone) row[0] = std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

void CpuClassCenters::sumNegatives(const NegativeInput& input, const ClassSet& classes, float* sumExpB,
                                   float* weightedSumBD) {
  const int64_t dim = config_.dim;
  const int64_t panel = blocking_.panel;
  const int64_t sweep = blocking_.sweepSamples(input.samples);
  const int64_t blocks = blocking_.blocks(classes.size());
  const int64_t chunks = blocking_.chunks(classes.size());
  const int64_t partialSize = sweep * blocking_.dimPadded;
  if (classes.size() == 0) {
    std::fill_n(sumExpB, input.samples, 0.0f);
    std::fill_n(weightedSumBD, input.samples * dim, 0.0f);
    return;
  }
  prepareScratch();
  if (partialSums_.size() < chunks * partialSize) partialSums_ = FloatArray(chunks * partialSize);
  std::vector<double> chunkSums(chunks * sweep);
  for (int64_t i0 = 0; i0 < input.samples; i0 += sweep) {
    const int64_t samples = std::min(sweep, input.samples - i0);
    const Panels unitX = {input.unitTransposed.data + i0 * dim, dim};
    const SampleTerms terms = {input.scale + i0, input.shift + i0, ones_.data(),
                               input.threshold == nullptr ? nullptr : input.threshold + i0, input.rule};
    std::fill(chunkSums.begin(), chunkSums.end(), 0.0);
    core_->pool.parallelFor(chunks, [&](int64_t chunk, int worker) {
      BlockScratch& own = scratch(worker);
      const Panels unitW = {own.unitRows.data(), blocking_.rowsPerBlock};
      const Panels scores = {own.scores.data(), blocking_.rowsPerBlock};
      const Panels partial = {partialSums_.data() + chunk * partialSize, sweep};
      const int64_t firstBlock = blocks * chunk / chunks;
      for (int64_t block = firstBlock; block < blocks * (chunk + 1) / chunks; ++block) {
        const int64_t first = block * blocking_.classesPerBlock;
        const int64_t last = std::min(first + blocking_.classesPerBlock, classes.size());
        const int64_t rows = loadBlock(classes, first, last, own);
        core_->kernels.multiply(unitW, unitX, scores, rows, dim, samples, false);
        softmaxTerms(classes, first, last, *input.targets, terms, i0, samples, scores,
                     chunkSums.data() + chunk * sweep);
        core_->kernels.multiplyTransposed(scores, unitW, partial, samples, rows, dim, block > firstBlock);
      }
    });
    for (int64_t i = 0; i < samples; ++i) {
      double sum = 0.0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += chunkSums[chunk * sweep + i];
      sumExpB[i0 + i] = static_cast<float>(sum);
    }
    core_->pool.parallelFor(blocking_.dimPadded / panel, [&](int64_t p, int) {
      const int64_t columns = std::min(panel, dim - p * panel);
      for (int64_t i = 0; i < samples; ++i) {
        const float* source = partialSums_.data() + (p * sweep + i) * panel;
        for (int64_t j = 0; j < columns; ++j) {
          double sum = 0.0;
          for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += source[chunk * partialSize + j];
          weightedSumBD[(i0 + i) * dim + p * panel + j] = static_cast<float>(sum);
        }
      }
    });
  }
}

std::vector<uint8_t> CpuClassCenters::hasNegatives(const CpuStep& step) const {
  const int64_t classes = participants(step).size();
  std::vector<uint8_t> result(step.samples, classes > 0);
  if (classes == 1) {
    for (const TargetEntry& entry : step.targets) result[entry.sample] = 0;
  }
  return result;
}

void CpuClassCenters::raiseSmallSums(CpuStep& step) {
  // Scales above 69, and rules that lower the negatives, can leave every one of them below fp32. Those rows are swept
  // again with a smaller shift.
  const ClassSet classes = participants(step);
  const int64_t dim = config_.dim;
  const std::vector<uint8_t> expectsSum = hasNegatives(step);
  while (true) {
    std::vector<int32_t> low;
    for (int64_t i = 0; i < step.samples; ++i) {
      if (expectsSum[i] && step.sumExp[i] < kSmallestSum) low.push_back(static_cast<int32_t>(i));
    }
    if (low.empty()) return;
    const int64_t count = static_cast<int64_t>(low.size());
    const int64_t padded = blocking_.padded(count);
    const bool hasRule = step.thresholdFrom(0) != nullptr;
    FloatArray unitX(padded * dim), scale(padded), shift(padded), threshold(hasRule ? padded : 0), sums(padded),
        weighted(count * dim);
    std::vector<TargetEntry> targets;
    for (const TargetEntry& entry : step.targets) {
      const auto place = std::lower_bound(low.begin(), low.end(), entry.sample);
      if (place == low.end() || *place != entry.sample) continue;
      targets.push_back({entry.localClass, static_cast<int32_t>(place - low.begin()), entry.winner});
    }
    const int64_t panel = blocking_.panel;
    for (int64_t n = 0; n < count; ++n) {
      const int64_t i = low[n];
      step.shift[i] -= kShiftLowering;
      scale[n] = step.scale[i];
      shift[n] = step.shift[i];
      if (hasRule) threshold[n] = step.threshold[i];
      for (int64_t d = 0; d < dim; ++d) {
        unitX[(n / panel * dim + d) * panel + n % panel] = step.unitXT[(i / panel * dim + d) * panel + i % panel];
      }
    }
    const NegativeInput input = {
        count,   {unitX.data(), dim}, scale.data(), shift.data(), hasRule ? threshold.data() : nullptr, &step.negatives,
        &targets};
    sumNegatives(input, classes, sums.data(), weighted.data());
    for (int64_t n = 0; n < count; ++n) {
      step.sumExp[low[n]] = sums[n];
      std::copy_n(weighted.data() + n * dim, dim, step.weightedSum.data() + low[n] * dim);
    }
  }
}

Status CpuClassCenters::negativeSums(Step* given) {
  return guarded("forward", [&]() -> Status {
    CpuStep* step = nullptr;
    if (Status status = ownStep(given, CpuStep::Stage::kTargets, &step); !status) return status;
    const NegativeInput input = {step->samples,      step->unitTransposed(0), step->scale.data(),
                                 step->shift.data(), step->thresholdFrom(0),  &step->negatives,
                                 &step->targets};
    sumNegatives(input, participants(*step), step->sumExp.data(), step->weightedSum.data());
    // Shards must agree on the shift, so only an engine that sees every class may choose another.
    if (config_.classes == config_.globalClasses) raiseSmallSums(*step);
    step->stage = CpuStep::Stage::kSums;
    return Status::ok();
  });
}

Status CpuClassCenters::finishForward(Step* given) {
  return guarded("forward", [&]() -> Status {
    CpuStep* step = nullptr;
    if (Status status = ownStep(given, CpuStep::Stage::kSums, &step); !status) return status;
    if (config_.classes != config_.globalClasses) {
      const std::vector<uint8_t> expectsSum = hasNegatives(*step);
      for (int64_t i = 0; i < step->samples; ++i) {
        if (expectsSum[i] && step->sumExp[i] < kSmallestSum) return lostNegatives(step->scale[i], i);
      }
    }
    const int64_t dim = config_.dim;
    const double batch = static_cast<double>(step->samples);
    for (int64_t i = 0; i < step->samples; ++i) {
      // A NaN in the centres must reach the loss, hence !(… <= 0).
      const double sum = step->sumExp[i];
      const bool hasNegatives = !(sum <= 0.0);
      const double logit = step->targetLogits[i];
      const double logSum = hasNegatives ? std::log(sum) + step->shift[i] : -std::numeric_limits<double>::infinity();
      const double gap = logSum - logit;
      const double softplus = hasNegatives ? std::max(gap, 0.0) + std::log1p(std::exp(-std::abs(gap))) : 0.0;
      const double error = hasNegatives ? 1.0 / (1.0 + std::exp(-gap)) : 0.0;
      step->loss[i] = static_cast<float>(softplus);
      step->targetError[i] = static_cast<float>(error);
      // q_ij·s_i = exp(s_i·N(c_ij) − A), A = ln(l_i + e^T) + … − ln s_i; what rounding A to fp32 loses goes into the
      // factor.
      const double offset = hasNegatives ? softplus + logit - std::log(static_cast<double>(step->scale[i])) : 0.0;
      step->gradientShift[i] = static_cast<float>(offset);
      step->gradientFactor[i] = hasNegatives ? static_cast<float>(std::exp(step->gradientShift[i] - offset)) : 0.0f;

      const double inverse = static_cast<double>(step->inverseNorms[i]) / batch;
      const double negativeFactor = hasNegatives ? step->scale[i] * error / sum : 0.0;
      const double targetFactor = -error * step->slope[i];
      double along = 0.0;
      const auto unit = [&](int64_t d) {
        return static_cast<double>(step->unitXT[(i / step->panel * dim + d) * step->panel + i % step->panel]);
      };
      for (int64_t d = 0; d < dim; ++d) along += step->weightedSum[i * dim + d] * unit(d);
      for (int64_t d = 0; d < dim; ++d) {
        const double tangent = step->weightedSum[i * dim + d] - along * unit(d);
        step->embeddingGradient[i * dim + d] =
            static_cast<float>(inverse * (negativeFactor * tangent + targetFactor * step->tangentX[i * dim + d]));
      }
      finishRowGradient(*step, i, error / batch, hasNegatives ? error / sum / batch * along : 0.0);
    }
    step->stage = CpuStep::Stage::kFinished;
    return Status::ok();
  });
}

Status CpuClassCenters::forward(const Batch& batch, std::unique_ptr<Step>* step) {
  std::unique_ptr<Step> made;
  if (Status status = targetTerms(batch, &made); !status) return status;
  if (Status status = negativeSums(made.get()); !status) return status;
  if (Status status = finishForward(made.get()); !status) return status;
  *step = std::move(made);
  return Status::ok();
}

}  // namespace hyperarc::cpu
