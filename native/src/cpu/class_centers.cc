#include "cpu/class_centers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "common/classes.h"
#include "common/guard.h"
#include "common/validation.h"
#include "cpu/philox.h"
#include "cpu/sampler.h"

namespace hyperarc::cpu {

namespace {

constexpr int64_t kRowsPerItem = 256;

}  // namespace

CpuClassCenters::CpuClassCenters(std::shared_ptr<Core> core, const CentersConfig& config)
    : core_(std::move(core)),
      config_(config),
      blocking_(core_->kernels, config.subCenters, config.dim),
      id_(nextCentersId()),
      weights_(config.classes * config.subCenters * config.dim),
      momentum_(config.momentum ? config.classes * config.subCenters * config.dim : 0),
      secondMoment_(isAdamW() ? config.classes * config.subCenters * config.dim : 0),
      inverseNorms_(config.classes * config.subCenters),
      ones_(blocking_.samplesPerBlock) {
  std::fill_n(ones_.data(), ones_.size(), 1.0f);
}

int64_t CpuClassCenters::bytes() const {
  return weights_.bytes() + momentum_.bytes() + secondMoment_.bytes() + inverseNorms_.bytes() + partialSums_.bytes() +
         static_cast<int64_t>(scratch_.size()) * BlockScratch::bytes(blocking_);
}

std::string CpuClassCenters::kernels(int64_t) const { return "cpu-" + core_->device.instructionSet; }

ClassSet CpuClassCenters::participants(const CpuStep& step) const {
  return step.allClasses ? ClassSet::all(config_.classes) : ClassSet::of(step.sampledClasses);
}

void CpuClassCenters::prepareScratch() {
  while (static_cast<int>(scratch_.size()) < core_->pool.threads()) {
    scratch_.push_back(std::make_unique<BlockScratch>(blocking_));
  }
}

void CpuClassCenters::refreshInverseNorms(int64_t firstRow, int64_t count) {
  core_->pool.parallelFor((count + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item, int) {
    const int64_t begin = firstRow + item * kRowsPerItem;
    const int64_t end = std::min(begin + kRowsPerItem, firstRow + count);
    for (int64_t row = begin; row < end; ++row) {
      inverseNorms_[row] = inverseNorm(core_->kernels, weightRow(row), config_.dim);
    }
  });
}

void CpuClassCenters::seedRows(uint64_t seed, float stddev, int64_t firstRow) {
  const int64_t globalFirst = config_.firstClass * config_.subCenters;
  const int64_t count = rowCount() - firstRow;
  core_->pool.parallelFor((count + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item, int) {
    const int64_t begin = firstRow + item * kRowsPerItem;
    const int64_t end = std::min(begin + kRowsPerItem, rowCount());
    for (int64_t row = begin; row < end; ++row) {
      seedRow(seed, globalFirst + row, stddev, config_.dim, weightRow(row));
      if (config_.momentum) std::fill_n(momentumRow(row), config_.dim, 0.0f);
      if (isAdamW()) std::fill_n(secondMomentRow(row), config_.dim, 0.0f);
    }
  });
  refreshInverseNorms(firstRow, count);
  ++version_;
}

Status CpuClassCenters::seedNormal(uint64_t seed, float stddev) {
  return guarded("seedNormal", [&]() -> Status {
    if (Status status = checkStddev(stddev); !status) return status;
    seedRows(seed, stddev, 0);
    updates_ = 0;
    return Status::ok();
  });
}

Status CpuClassCenters::setUpdates(uint64_t updates) {
  if (Status status = checkHasUpdates(config_); !status) return status;
  updates_ = updates;
  return Status::ok();
}

Status CpuClassCenters::writeRows(Buffer buffer, int64_t firstRow, int64_t count, const float* valuesRD) {
  return guarded("writeRows", [&]() -> Status {
    if (Status status = checkRows(firstRow, count, rowCount(), valuesRD); !status) return status;
    if (Status status = checkBuffer(buffer, config_); !status) return status;
    if (count == 0) return Status::ok();
    if (Status status = checkRowValues(buffer, valuesRD, count, config_.dim); !status) return status;
    float* target = arrayOf(*this, buffer).data() + firstRow * config_.dim;
    std::memcpy(target, valuesRD, static_cast<size_t>(count * config_.dim) * sizeof(float));
    if (buffer == Buffer::kWeights) {
      refreshInverseNorms(firstRow, count);
      ++version_;
    }
    return Status::ok();
  });
}

Status CpuClassCenters::readRows(Buffer buffer, int64_t firstRow, int64_t count, float* valuesRD) const {
  if (Status status = checkRows(firstRow, count, rowCount(), valuesRD); !status) return status;
  if (Status status = checkBuffer(buffer, config_); !status) return status;
  if (count == 0) return Status::ok();
  const float* source = arrayOf(*this, buffer).data() + firstRow * config_.dim;
  std::memcpy(valuesRD, source, static_cast<size_t>(count * config_.dim) * sizeof(float));
  return Status::ok();
}

Status CpuClassCenters::resize(int64_t classes, uint64_t seed, float stddev) {
  return guarded("resize", [&]() -> Status {
    CentersConfig config;
    if (Status status = checkResize(config_, classes, stddev, &config); !status) return status;
    const int64_t rows = classes * config.subCenters;
    const int64_t arrays = 1 + (config.momentum ? 1 : 0) + (isAdamW() ? 1 : 0);
    const int64_t needed = rows * config.dim * static_cast<int64_t>(sizeof(float)) * arrays;
    if (needed > availableMemoryBytes())
      return {StatusCode::kMemory, "classes: expected new centres that fit beside the old, received " +
                                       std::to_string(classes) + " classes of " + std::to_string(needed) +
                                       " bytes with " + std::to_string(availableMemoryBytes()) +
                                       " available; save and load into new centres"};
    FloatArray weights(rows * config.dim);
    FloatArray momentum(config.momentum ? rows * config.dim : 0);
    FloatArray secondMoment(isAdamW() ? rows * config.dim : 0);
    FloatArray inverseNorms(rows);
    const int64_t kept = std::min(rows, rowCount());
    std::copy_n(weights_.data(), kept * config.dim, weights.data());
    if (config.momentum) std::copy_n(momentum_.data(), kept * config.dim, momentum.data());
    if (isAdamW()) std::copy_n(secondMoment_.data(), kept * config.dim, secondMoment.data());
    std::copy_n(inverseNorms_.data(), kept, inverseNorms.data());
    weights_ = std::move(weights);
    momentum_ = std::move(momentum);
    secondMoment_ = std::move(secondMoment);
    inverseNorms_ = std::move(inverseNorms);
    config_ = config;
    seedRows(seed, stddev, kept);
    return Status::ok();
  });
}

Status CpuClassCenters::ownStep(Step* step, CpuStep::Stage stage, CpuStep** own) const {
  if (Status status = checkStep(step, stage, id_, version_); !status) return status;
  *own = static_cast<CpuStep*>(step);
  return Status::ok();
}

Status CpuClassCenters::finishedSteps(std::span<Step* const> steps, std::vector<CpuStep*>* own) const {
  if (Status status = checkFinished(steps, id_, version_); !status) return status;
  for (Step* step : steps) own->push_back(static_cast<CpuStep*>(step));
  return Status::ok();
}

Status CpuClassCenters::sample(const int32_t* labelsB, int64_t batch, const SampleOptions& options,
                               std::vector<int32_t>* classes) const {
  return guarded("sample", [&]() -> Status {
    if (Status status = checkLabels(labelsB, batch, config_.globalClasses); !status) return status;
    if (Status status = checkSample(options); !status) return status;
    const std::vector<int32_t> positives = positivesOf(labelsB, batch, config_);
    *classes = sampleClasses(core_->pool, positives, config_.classes, options);
    return Status::ok();
  });
}

}  // namespace hyperarc::cpu
