// What becomes of dW: the update fused into pass 2, or a dense buffer.
#include <algorithm>
#include <string>

#include "common/adamw.h"
#include "common/classes.h"
#include "common/guard.h"
#include "common/validation.h"
#include "cpu/class_centers.h"

namespace hyperarc::cpu {

namespace {

/// Classes that take part in any of the steps, into `sorted`; false when that is all of them.
bool unionOfClasses(const std::vector<CpuStep*>& steps, std::vector<int32_t>* sorted) {
  for (const CpuStep* step : steps) {
    if (step->allClasses) return false;
  }
  for (const CpuStep* step : steps) mergeClasses(sorted, step->sampledClasses);
  return true;
}

}  // namespace

CpuClassCenters::RowUpdate CpuClassCenters::rowUpdate(const UpdateOptions& options) {
  const auto refreshNorm = [this](int64_t row) {
    inverseNorms_[row] = inverseNorm(core_->kernels, weightRow(row), config_.dim);
  };
  if (isAdamW()) {
    return [this, refreshNorm, factors = adamwFactors(options, updates_ + 1)](int64_t row, const float* gradientD) {
      core_->kernels.adamwRow(gradientD, weightRow(row), momentumRow(row), secondMomentRow(row), config_.dim, factors);
      refreshNorm(row);
    };
  }
  return [this, refreshNorm, options](int64_t row, const float* gradientD) {
    core_->kernels.sgdRow(gradientD, weightRow(row), momentumRow(row), config_.dim, options.learningRate,
                          options.momentum, options.weightDecay);
    refreshNorm(row);
  };
}

void CpuClassCenters::decayOthers(const ClassSet& updated, const RowUpdate& update) {
  constexpr int64_t kClassesPerItem = 1024;
  core_->pool.parallelFor((config_.classes + kClassesPerItem - 1) / kClassesPerItem, [&](int64_t item, int) {
    const int64_t first = item * kClassesPerItem;
    int64_t next = updated.lowerBound(first);
    for (int64_t j = first; j < std::min(first + kClassesPerItem, config_.classes); ++j) {
      if (next < updated.size() && updated.at(next) == j) {
        ++next;
        continue;
      }
      for (int64_t row = j * config_.subCenters; row < (j + 1) * config_.subCenters; ++row) {
        update(row, nullptr);
      }
    }
  });
}

Status CpuClassCenters::update(std::span<Step* const> given, const UpdateOptions& options) {
  return guarded("update", [&]() -> Status {
    if (Status status = checkUpdate(options, config_); !status) return status;
    std::vector<CpuStep*> steps;
    if (Status status = finishedSteps(given, &steps); !status) return status;
    std::vector<int32_t> sampled;
    const bool isPartial = unionOfClasses(steps, &sampled);
    const ClassSet classes = isPartial ? ClassSet::of(sampled) : ClassSet::all(config_.classes);
    const RowUpdate update = rowUpdate(options);
    streamGradient(steps, classes, update);
    if (isPartial && options.unsampled == Unsampled::kDecayed) decayOthers(classes, update);
    if (isAdamW()) ++updates_;
    ++version_;
    return Status::ok();
  });
}

Status CpuClassCenters::gradients(std::span<Step* const> given, float* gradientCKD) {
  return guarded("gradients", [&]() -> Status {
    std::vector<CpuStep*> steps;
    if (Status status = finishedSteps(given, &steps); !status) return status;
    if (gradientCKD == nullptr)
      return {StatusCode::kShape, "gradientCKD: expected a buffer [C, K, D], received none; pass one"};
    std::vector<int32_t> sampled;
    const bool isPartial = unionOfClasses(steps, &sampled);
    if (isPartial) std::fill_n(gradientCKD, rowCount() * config_.dim, 0.0f);
    streamGradient(
        steps, isPartial ? ClassSet::of(sampled) : ClassSet::all(config_.classes),
        [&](int64_t row, float* gradientD) { std::copy_n(gradientD, config_.dim, gradientCKD + row * config_.dim); });
    return Status::ok();
  });
}

}  // namespace hyperarc::cpu
