// A block of classes in cache: ŵ packed, and what becomes of its cosines.
#include <algorithm>
#include <cmath>

#include "common/guard.h"
#include "common/validation.h"
#include "cpu/class_centers.h"

namespace hyperarc::cpu {

int64_t CpuClassCenters::loadBlock(const ClassSet& classes, int64_t first, int64_t last, BlockScratch& scratch) const {
  int64_t rows = 0;
  for (int64_t position = first; position < last; ++position) {
    const int64_t row = classes.at(position) * config_.subCenters;
    for (int64_t k = 0; k < config_.subCenters; ++k, ++rows) {
      scratch.weightRows[rows] = weightRow(row + k);
      scratch.inverseNorms[rows] = inverseNorms_[row + k];
    }
  }
  core_->kernels.packRows(scratch.weightRows.data(), scratch.inverseNorms.data(), rows, config_.dim,
                          {scratch.unitRows.data(), blocking_.rowsPerBlock});
  return rows;
}

void CpuClassCenters::softmaxTerms(const ClassSet& classes, int64_t first, int64_t last,
                                   const std::vector<TargetEntry>& targets, const SampleTerms& terms,
                                   int64_t firstSample, int64_t samples, Panels scores, double* sums) const {
  const KernelTable& kernels = core_->kernels;
  const int64_t rows = (last - first) * config_.subCenters;
  const auto setTargets = [&](float value) {
    setTargetScores(classes, first, last, targets, firstSample, samples, scores, value);
  };
  if (terms.threshold != nullptr) {
    // The targets go first: what the kernel leaves in place no longer says what it added to the sums.
    setTargets(kAbsent);
    const NegativeBranch &above = terms.rule->above, &below = terms.rule->below;
    kernels.negativeTerms(scores, rows, config_.subCenters, samples,
                          {terms.scale,
                           terms.shift,
                           terms.factor,
                           terms.threshold,
                           {above.value[0], above.value[1], above.value[2], above.slope[0], above.slope[1]},
                           {below.value[0], below.value[1], below.value[2], below.slope[0], below.slope[1]}},
                          sums);
    return;
  }
  if (config_.subCenters == 1) {
    kernels.exponentiate(scores, rows, samples, terms.scale, terms.shift, terms.factor);
  } else {
    kernels.exponentiateMaximum(scores, rows, config_.subCenters, samples, terms.scale, terms.shift, terms.factor);
  }
  setTargets(0.0f);
  if (sums != nullptr) kernels.sumRows(scores, rows, samples, sums);
}

void CpuClassCenters::setTargetScores(const ClassSet& classes, int64_t first, int64_t last,
                                      const std::vector<TargetEntry>& targets, int64_t firstSample, int64_t samples,
                                      Panels scores, float value) const {
  for (const TargetEntry& entry : targetsOf(targets, classes.at(first), classes.at(last - 1))) {
    const int64_t sample = entry.sample - firstSample;
    if (sample < 0 || sample >= samples) continue;
    const int64_t row = (classes.lowerBound(entry.localClass) - first) * config_.subCenters;
    float* panel = scores.data + sample / blocking_.panel * scores.rowCapacity * blocking_.panel;
    for (int64_t k = 0; k < config_.subCenters; ++k)
      panel[(row + k) * blocking_.panel + sample % blocking_.panel] = value;
  }
}

Status CpuClassCenters::cosines(const float* embeddingsBD, int64_t batch, float* cosinesBC) {
  return guarded("cosines", [&]() -> Status {
    if (Status status = checkEmbeddings(embeddingsBD, batch, config_.dim); !status) return status;
    if (cosinesBC == nullptr)
      return {StatusCode::kShape, "cosinesBC: expected a buffer [B, C], received none; pass one"};
    prepareScratch();
    const ClassSet classes = ClassSet::all(config_.classes);
    const int64_t samplesPerBlock = blocking_.samplesPerBlock;
    FloatArray inverseNormsX(samplesPerBlock);
    FloatArray unitX(samplesPerBlock * config_.dim);
    for (int64_t i0 = 0; i0 < batch; i0 += samplesPerBlock) {
      const int64_t samples = std::min(samplesPerBlock, batch - i0);
      const float* embeddings = embeddingsBD + i0 * config_.dim;
      for (int64_t i = 0; i < samples; ++i) {
        inverseNormsX[i] = inverseNorm(core_->kernels, embeddings + i * config_.dim, config_.dim);
      }
      const Panels unit = {unitX.data(), config_.dim};
      core_->kernels.packTransposed(embeddings, inverseNormsX.data(), samples, config_.dim, unit);
      core_->pool.parallelFor(blocking_.blocks(config_.classes), [&](int64_t block, int worker) {
        const int64_t first = block * blocking_.classesPerBlock;
        const int64_t last = std::min(first + blocking_.classesPerBlock, config_.classes);
        BlockScratch& own = scratch(worker);
        const int64_t rows = loadBlock(classes, first, last, own);
        const Panels scores = {own.scores.data(), blocking_.rowsPerBlock};
        core_->kernels.multiply({own.unitRows.data(), blocking_.rowsPerBlock}, unit, scores, rows, config_.dim, samples,
                                false);
        for (int64_t i = 0; i < samples; ++i) {
          const float* column =
              scores.data + i / blocking_.panel * scores.rowCapacity * blocking_.panel + i % blocking_.panel;
          float* out = cosinesBC + (i0 + i) * config_.classes;
          for (int64_t j = first; j < last; ++j) {
            float best = column[(j - first) * config_.subCenters * blocking_.panel];
            for (int64_t k = 1; k < config_.subCenters; ++k) {
              const float candidate = column[((j - first) * config_.subCenters + k) * blocking_.panel];
              if (candidate > best || std::isnan(candidate)) best = candidate;
            }
            out[j] = best;
          }
        }
      });
    }
    return Status::ok();
  });
}

}  // namespace hyperarc::cpu
