// Pass 2 streams the class centres again: cosines recomputed, dW formed for a block of whole rows in cache, projected
// through the normalisation, and handed on row by row (to the SGD update, or to a dense buffer).
#include <algorithm>
#include <cmath>

#include "cpu/class_centers.h"

namespace hyperarc::cpu {

namespace {

/// What one step contributes, with 1/B of the whole update folded into its factors.
struct WeightedStep {
  const CpuStep* step;
  FloatArray factor;        // [B], padded
  FloatArray targetFactor;  // (p_i − 1)·h_i/B [B]
};

}  // namespace

void CpuClassCenters::clearAbsent(const CpuStep& step, const ClassSet& classes, int64_t first, int64_t last,
                                  int64_t samples, Panels scores) const {
  const ClassSet own = participants(step);
  // Steps that all sampled the same classes, or all of them, share one set with the pass.
  if (own.size() == classes.size()) return;
  int64_t next = own.lowerBound(classes.at(first));
  for (int64_t position = first; position < last; ++position) {
    if (next < own.size() && own.at(next) == classes.at(position)) {
      ++next;
      continue;
    }
    const int64_t row = (position - first) * config_.subCenters;
    for (int64_t i = 0; i < samples; i += blocking_.panel) {
      float* begin = scores.data + (i * scores.rowCapacity + row * blocking_.panel);
      std::fill_n(begin, config_.subCenters * blocking_.panel, 0.0f);
    }
  }
}

void CpuClassCenters::addStepGradient(const CpuStep& step, const ClassSet& classes, int64_t first, int64_t last,
                                      int64_t rows, const float* factorB, bool accumulate, BlockScratch& own) const {
  const Panels unitW = {own.unitRows.data(), blocking_.rowsPerBlock};
  const Panels scores = {own.scores.data(), blocking_.rowsPerBlock};
  const Panels gradient = {own.gradientRows.data(), blocking_.rowsPerBlock};
  for (int64_t i0 = 0; i0 < step.samples; i0 += blocking_.samplesPerBlock) {
    const int64_t samples = std::min(blocking_.samplesPerBlock, step.samples - i0);
    core_->kernels.multiply(unitW, step.unitTransposed(i0), scores, rows, config_.dim, samples, false);
    const SampleTerms terms = {step.scale.data() + i0, step.gradientShift.data() + i0, factorB + i0,
                               step.thresholdFrom(i0), &step.negatives};
    softmaxTerms(classes, first, last, step.targets, terms, i0, samples, scores, nullptr);
    clearAbsent(step, classes, first, last, samples, scores);
    core_->kernels.multiply(scores, step.unitRows(i0), gradient, rows, samples, config_.dim, accumulate || i0 > 0);
  }
}

void CpuClassCenters::streamGradient(const std::vector<CpuStep*>& steps, const ClassSet& classes, const RowSink& sink) {
  prepareScratch();
  double totalSamples = 0.0;
  for (const CpuStep* step : steps) totalSamples += static_cast<double>(step->samples);
  std::vector<WeightedStep> weighted;
  for (const CpuStep* step : steps) {
    WeightedStep one = {step, FloatArray(step->gradientFactor.size()), FloatArray(step->samples)};
    for (int64_t i = 0; i < step->samples; ++i) {
      one.factor[i] = static_cast<float>(step->gradientFactor[i] / totalSamples);
      one.targetFactor[i] =
          static_cast<float>(-static_cast<double>(step->targetError[i]) * step->slope[i] / totalSamples);
    }
    weighted.push_back(std::move(one));
  }
  const int64_t subCenters = config_.subCenters;
  core_->pool.parallelFor(blocking_.blocks(classes.size()), [&](int64_t block, int worker) {
    BlockScratch& own = scratch(worker);
    const Panels gradient = {own.gradientRows.data(), blocking_.rowsPerBlock};
    const int64_t first = block * blocking_.classesPerBlock;
    const int64_t last = std::min(first + blocking_.classesPerBlock, classes.size());
    const int64_t rows = loadBlock(classes, first, last, own);
    bool accumulate = false;
    for (const WeightedStep& one : weighted) {
      addStepGradient(*one.step, classes, first, last, rows, one.factor.data(), accumulate, own);
      accumulate = true;
    }
    for (const WeightedStep& one : weighted) {
      for (const TargetEntry& entry : targetsOf(one.step->targets, classes.at(first), classes.at(last - 1))) {
        const int64_t row = (classes.lowerBound(entry.localClass) - first) * subCenters + entry.winner;
        core_->kernels.addRow(gradient, row, one.step->tangentW.data() + int64_t{entry.sample} * config_.dim,
                              config_.dim, one.targetFactor[entry.sample]);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      core_->kernels.projectRow(gradient, {own.unitRows.data(), blocking_.rowsPerBlock}, r, config_.dim,
                                own.inverseNorms[r]);
      core_->kernels.readRow(gradient, r, own.row.data(), config_.dim);
      sink(classes.at(first + r / subCenters) * subCenters + r % subCenters, own.row.data());
    }
  });
}

}  // namespace hyperarc::cpu
