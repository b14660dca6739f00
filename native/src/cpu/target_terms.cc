// Stage 1 of forward: norms, target cosines, target logits and their derivatives, in double. O(B·D).
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/guard.h"
#include "common/validation.h"
#include "cpu/class_centers.h"
#include "margins/margin.h"
#include "margins/negative.h"

namespace hyperarc::cpu {

namespace {

constexpr double kZeroNorm = 1e-12;

double dot(const float* x, const float* y, int64_t dim) {
  double sum = 0.0;
  for (int64_t d = 0; d < dim; ++d) sum += static_cast<double>(x[d]) * static_cast<double>(y[d]);
  return sum;
}

double exactInverseNorm(const float* x, int64_t dim) {
  const double norm = std::sqrt(dot(x, x, dim));
  return norm < kZeroNorm ? 0.0 : 1.0 / norm;
}

margins::Row<double> marginRow(const Batch& batch, int64_t sample) {
  if (batch.rowParametersB4 == nullptr) return {batch.rule.scale, batch.rule.m1, batch.rule.m2, batch.rule.m3};
  const float* row = batch.rowParametersB4 + 4 * sample;
  return {row[0], row[1], row[2], row[3]};
}

}  // namespace

int32_t CpuClassCenters::winningSubCenter(const float* x, int64_t localClass) const {
  int32_t winner = 0;
  double largest = -std::numeric_limits<double>::infinity();
  for (int32_t k = 0; k < config_.subCenters && config_.subCenters > 1; ++k) {
    const float* w = weightRow(localClass * config_.subCenters + k);
    // ‖x‖ is common to all of them.
    const double candidate = dot(x, w, config_.dim) * exactInverseNorm(w, config_.dim);
    if (candidate > largest) {
      largest = candidate;
      winner = k;
    }
  }
  return winner;
}

void CpuClassCenters::computeTarget(const Batch& batch, const TargetEntry& entry, CpuStep& step) const {
  const int64_t dim = config_.dim;
  const int64_t i = entry.sample;
  const float* x = batch.embeddingsBD + i * dim;
  const float* w = weightRow(int64_t{entry.localClass} * config_.subCenters + entry.winner);
  const double inverseX = exactInverseNorm(x, dim);
  const double inverseW = exactInverseNorm(w, dim);
  const double cosine = dot(x, w, dim) * inverseX * inverseW;
  double squares = 0.0;
  for (int64_t d = 0; d < dim; ++d) {
    const double tangent = w[d] * inverseW - cosine * (x[d] * inverseX);
    squares += tangent * tangent;
  }
  // A zero vector is at a right angle to everything.
  const bool isZero = inverseX == 0.0 || inverseW == 0.0;
  const double sine = isZero ? 1.0 : std::sqrt(squares);
  const margins::Row<double> row = marginRow(batch, i);
  const margins::Angle<double> angle = margins::angleOf(cosine, sine);
  const auto target = margins::target(row, angle, batch.rule);
  step.targetCosine[i] = static_cast<float>(cosine);
  step.targetLogits[i] = static_cast<float>(target.logit);
  if (batch.rule.negatives.threshold == NegativeThreshold::kTarget) {
    step.threshold[i] = static_cast<float>(margins::targetThreshold(row, angle, batch.rule));
  }
  const double byRow[] = {target.logit / row.scale, target.byM1, target.byM2, -row.scale * batch.rule.blend};
  std::copy_n(byRow, 4, step.rowGradient.data() + 4 * i);
  if (isZero || sine < margins::kMinSine<double>) return;
  step.slope[i] = static_cast<float>(target.h);
  for (int64_t d = 0; d < dim; ++d) {
    const double unitX = x[d] * inverseX;
    const double unitW = w[d] * inverseW;
    step.tangentX[i * dim + d] = static_cast<float>((unitW - cosine * unitX) / sine);
    step.tangentW[i * dim + d] = static_cast<float>((unitX - cosine * unitW) / sine);
  }
}

Status CpuClassCenters::targetTerms(const Batch& batch, std::unique_ptr<Step>* out) {
  return guarded("forward", [&]() -> Status {
    if (batch.embeddingsOnDevice)
      return {
          StatusCode::kDevice,
          "embeddingsBD: expected host memory, received a CUDA device's; copy it to the host, or use device 'cuda:0'"};
    if (Status status = checkBatch(batch, config_); !status) return status;
    if (Status status = checkEmbeddings(batch.embeddingsBD, batch.batch, config_.dim); !status) return status;
    auto step = std::make_unique<CpuStep>(id_, version_, blocking_, batch);
    const NegativeRule& negatives = batch.rule.negatives;
    if (negatives.threshold == NegativeThreshold::kFixed) std::ranges::fill(step->threshold.span(), negatives.fixed);
    const double largest = margins::largestNegative(negatives);
    const double logTerms = std::log(static_cast<double>(config_.globalClasses) * margins::steepestNegative(negatives));
    for (int64_t i = 0; i < batch.batch; ++i) {
      step->inverseNorms[i] = static_cast<float>(exactInverseNorm(batch.embeddingsBD + i * config_.dim, config_.dim));
      const margins::Row<double> row = marginRow(batch, i);
      step->scale[i] = static_cast<float>(row.scale);
      step->shift[i] = static_cast<float>(margins::firstShift(row.scale, row.m3, largest, logTerms));
      const int64_t local = batch.labelsB[i] - config_.firstClass;
      if (local < 0 || local >= config_.classes) continue;
      const int32_t winner = winningSubCenter(batch.embeddingsBD + i * config_.dim, local);
      step->targets.push_back({static_cast<int32_t>(local), static_cast<int32_t>(i), winner});
    }
    std::sort(step->targets.begin(), step->targets.end(), [](const TargetEntry& a, const TargetEntry& b) {
      return a.localClass != b.localClass ? a.localClass < b.localClass : a.sample < b.sample;
    });
    core_->pool.parallelFor(static_cast<int64_t>(step->targets.size()),
                            [&](int64_t n, int) { computeTarget(batch, step->targets[n], *step); });
    std::vector<const float*> rows(batch.batch);
    for (int64_t i = 0; i < batch.batch; ++i) rows[i] = batch.embeddingsBD + i * config_.dim;
    core_->kernels.packRows(rows.data(), step->inverseNorms.data(), batch.batch, config_.dim, step->unitRows(0));
    core_->kernels.packTransposed(batch.embeddingsBD, step->inverseNorms.data(), batch.batch, config_.dim,
                                  step->unitTransposed(0));
    *out = std::move(step);
    return Status::ok();
  });
}

}  // namespace hyperarc::cpu
