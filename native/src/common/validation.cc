#include "common/validation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

#include "common/failure.h"
#include "common/margin_checks.h"

namespace hyperarc {

namespace {

Status checkSampled(const Batch& batch, const CentersConfig& config) {
  const int32_t* sampled = batch.sampledClasses;
  if (sampled == nullptr) return Status::ok();
  if (batch.sampledCount < 0)
    return failure(StatusCode::kShape, "sampledCount: expected at least 0, received ", batch.sampledCount,
                   "; pass the length of sampledClasses");
  for (int64_t n = 0; n < batch.sampledCount; ++n) {
    if (sampled[n] < 0 || sampled[n] >= config.classes)
      return rangeError("sampledClasses[", n, "]: expected a local class in [0, ", config.classes, "), received ",
                        sampled[n], "; use the indices that sample() returns");
    if (n > 0 && sampled[n] <= sampled[n - 1])
      return rangeError("sampledClasses[", n, "]: expected sorted distinct classes, received ", sampled[n], " after ",
                        sampled[n - 1], "; sort them and drop duplicates");
  }
  for (int64_t i = 0; i < batch.batch; ++i) {
    const int64_t local = batch.labelsB[i] - config.firstClass;
    if (local < 0 || local >= config.classes) continue;
    if (!std::binary_search(sampled, sampled + batch.sampledCount, static_cast<int32_t>(local)))
      return rangeError("sampledClasses: expected to hold the class of every sample, received none for labelsB[", i,
                        "] = ", batch.labelsB[i], "; sample() keeps all positives of the labels it is given");
  }
  return Status::ok();
}

/// Index of the first NaN or infinity in values [rows, dim], −1 if there is none.
int64_t firstNonFinite(const float* values, int64_t rows, int64_t dim) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = values + i * dim;
    // Exponents of all ones are NaN and infinity. Integers, because a sum of floats would not be vectorised.
    uint32_t found = 0;
    for (int64_t d = 0; d < dim; ++d) found |= (std::bit_cast<uint32_t>(row[d]) & 0x7f800000u) + 0x00800000u;
    if ((found & 0x80000000u) == 0) continue;
    return std::find_if(row, row + dim, [](float x) { return !std::isfinite(x); }) - values;
  }
  return -1;
}

}  // namespace

CentersConfig completed(CentersConfig config) {
  if (config.globalClasses == 0) config.globalClasses = config.classes;
  return config;
}

Status checkCentersConfig(const CentersConfig& config) {
  constexpr int64_t kMaxClasses = std::numeric_limits<int32_t>::max();
  if (config.classes < 1 || config.classes > kMaxClasses)
    return rangeError("classes: expected 1 to ", kMaxClasses, ", received ", config.classes,
                      "; pass the number of identities");
  if (config.subCenters < 1 || config.subCenters > 16)
    return rangeError("subCenters: expected 1 to 16, received ", config.subCenters,
                      "; use 1 for a plain head, 3 for sub-centres");
  if (config.dim < 1 || config.dim > 4096)
    return rangeError("dim: expected 1 to 4096, received ", config.dim, "; pass the embedding size, usually 512");
  if (config.globalClasses < config.classes || config.globalClasses > kMaxClasses)
    return rangeError("globalClasses: expected 0 or ", config.classes, " to ", kMaxClasses, ", received ",
                      config.globalClasses, "; it counts the classes of all shards");
  if (config.firstClass < 0 || config.firstClass > config.globalClasses - config.classes)
    return rangeError("firstClass: expected the ", config.classes, " owned classes within [0, ", config.globalClasses,
                      "), received a first of ", config.firstClass, "; check firstClass and globalClasses");
  if (config.optimizer != Optimizer::kSgd && config.optimizer != Optimizer::kAdamW)
    return rangeError("optimizer: expected 0 or 1, received ", static_cast<int32_t>(config.optimizer),
                      "; see Optimizer");
  if (config.optimizer == Optimizer::kAdamW && !config.momentum)
    return rangeError(
        "momentum: expected true with optimizer adamw, which holds both moments, received false; leave it out");
  return Status::ok();
}

Status checkPlan(const CentersConfig& config, int64_t batch, double rate) {
  if (Status status = checkCentersConfig(config); !status) return status;
  if (batch < 1 || batch > std::numeric_limits<int32_t>::max())
    return failure(StatusCode::kShape, "batch: expected at least 1 sample, received ", batch, "; pass the batch size");
  return checkSample({.rate = rate});
}

Status checkResize(const CentersConfig& config, int64_t classes, float stddev, CentersConfig* resized) {
  const bool isLastShard = config.firstClass + config.classes == config.globalClasses;
  *resized = config;
  resized->classes = classes;
  if (isLastShard) resized->globalClasses = config.firstClass + classes;
  if (Status status = checkCentersConfig(*resized); !status) return status;
  if (!isLastShard && classes != config.classes)
    return rangeError("classes: expected only the last shard to be resized, received ", classes,
                      " for an inner one; resize the shard that owns the last class");
  return checkStddev(stddev);
}

Status checkEmbeddingsShape(const float* embeddingsBD, int64_t batch, int64_t dim) {
  if (batch < 1 || batch > std::numeric_limits<int32_t>::max())
    return failure(StatusCode::kShape, "batch: expected at least 1 sample, received ", batch, "; skip empty batches");
  if (embeddingsBD == nullptr)
    return failure(StatusCode::kShape, "embeddingsBD: expected ", batch, " x ", dim,
                   " floats, received none; pass the embeddings");
  return Status::ok();
}

Status nonFiniteEmbedding(float value, int64_t index, int64_t dim) {
  return failure(StatusCode::kNonFinite, "embeddingsBD: expected finite numbers, received ", value, " in row ",
                 index / dim, ", element ", index % dim, "; the backbone diverged or its input holds NaN");
}

Status checkEmbeddings(const float* embeddingsBD, int64_t batch, int64_t dim) {
  if (Status status = checkEmbeddingsShape(embeddingsBD, batch, dim); !status) return status;
  const int64_t found = firstNonFinite(embeddingsBD, batch, dim);
  return found < 0 ? Status::ok() : nonFiniteEmbedding(embeddingsBD[found], found, dim);
}

Status checkLabels(const int32_t* labelsB, int64_t batch, int64_t globalClasses) {
  if (batch < 1)
    return failure(StatusCode::kShape, "batch: expected at least 1 sample, received ", batch, "; skip empty batches");
  if (labelsB == nullptr)
    return failure(StatusCode::kShape, "labelsB: expected ", batch, " labels, received none; pass one label a sample");
  for (int64_t i = 0; i < batch; ++i) {
    if (labelsB[i] < 0 || labelsB[i] >= globalClasses)
      return rangeError("labelsB[", i, "]: expected a class in [0, ", globalClasses, "), received ", labelsB[i],
                        "; check the dataset's identity count against the head's");
  }
  return Status::ok();
}

Status checkBatch(const Batch& batch, const CentersConfig& config) {
  if (Status status = checkLabels(batch.labelsB, batch.batch, config.globalClasses); !status) return status;
  if (Status status = checkEmbeddingsShape(batch.embeddingsBD, batch.batch, config.dim); !status) return status;
  if (Status status = checkMarginRule(batch.rule); !status) return status;
  if (batch.rowParametersB4 != nullptr) {
    if (Status status = checkRowParameters(batch.rule, batch.rowParametersB4, batch.batch); !status) return status;
  }
  return checkSampled(batch, config);
}

namespace {

Status checkSgd(const UpdateOptions& options, bool hasMomentum) {
  if (!(options.momentum >= 0.0f && options.momentum < 1.0f))
    return rangeError("momentum: expected a number in [0, 1), received ", options.momentum, "; the usual value is 0.9");
  if (options.momentum != 0.0f && !hasMomentum)
    return rangeError("momentum: expected 0 for class centres made without a momentum buffer, received ",
                      options.momentum, "; create them with momentum: true");
  return Status::ok();
}

Status checkAdamW(const UpdateOptions& options) {
  for (const auto& [name, beta, usual] :
       {std::tuple{"beta1", options.beta1, 0.9}, std::tuple{"beta2", options.beta2, 0.999}}) {
    if (!(beta >= 0.0 && beta < 1.0))
      return rangeError(name, ": expected a number in [0, 1), received ", beta, "; the usual value is ", usual);
  }
  // Smaller ones vanish in fp32 at the first update.
  if (!(options.epsilon >= 1e-30 && options.epsilon <= 1.0))
    return rangeError("epsilon: expected a number in [1e-30, 1], received ", options.epsilon,
                      "; the usual value is 1e-8");
  return Status::ok();
}

}  // namespace

Status checkUpdate(const UpdateOptions& options, const CentersConfig& config) {
  if (!(options.learningRate >= 0.0f && std::isfinite(options.learningRate)))
    return rangeError("learningRate: expected a finite number of at least 0, received ", options.learningRate,
                      "; check the schedule");
  const bool isAdamW = config.optimizer == Optimizer::kAdamW;
  if (!(options.weightDecay >= 0.0f && std::isfinite(options.weightDecay)))
    return rangeError("weightDecay: expected a finite number of at least 0, received ", options.weightDecay,
                      "; the usual value is ", isAdamW ? "0.1" : "5e-4");
  return isAdamW ? checkAdamW(options) : checkSgd(options, config.momentum);
}

Status checkHasUpdates(const CentersConfig& config) {
  if (config.optimizer == Optimizer::kAdamW) return Status::ok();
  return rangeError(
      "updates: expected class centres made with optimizer adamw, received ones moved by sgd, which counts "
      "none; leave the number out");
}

Status checkSample(const SampleOptions& options) {
  if (!(options.rate > 0.0 && options.rate <= 1.0))
    return rangeError("rate: expected a number in (0, 1], received ", options.rate,
                      "; 1 uses every class, 0.1 a tenth");
  return Status::ok();
}

Status checkStddev(float stddev) {
  if (!(stddev >= 0.0f && std::isfinite(stddev)))
    return rangeError("stddev: expected a finite number of at least 0, received ", stddev,
                      "; the field's usual value is 0.01");
  return Status::ok();
}

Status checkRows(int64_t firstRow, int64_t rowCount, int64_t rows, const void* values) {
  if (firstRow < 0 || rowCount < 0 || firstRow > rows || rowCount > rows - firstRow)
    return rangeError("firstRow: expected rows within [0, ", rows, "), received ", rowCount, " rows from ", firstRow,
                      "; a row is class*subCenters + subCenter");
  if (rowCount > 0 && values == nullptr)
    return failure(StatusCode::kShape, "values: expected ", rowCount, " rows, received none; pass a buffer");
  return Status::ok();
}

Status checkRowValues(Buffer buffer, const float* valuesRD, int64_t rowCount, int64_t dim) {
  if (firstNonFinite(valuesRD, rowCount, dim) >= 0)
    return failure(StatusCode::kNonFinite,
                   "values: expected finite numbers, received NaN or infinity; the saved centres are damaged");
  if (buffer == Buffer::kSecondMoment) {
    const float* end = valuesRD + rowCount * dim;
    const float* negative = std::find_if(valuesRD, end, [](float x) { return x < 0.0f; });
    if (negative != end)
      return rangeError("values: expected a second moment of at least 0, received ", *negative,
                        "; the saved centres are damaged");
  }
  return Status::ok();
}

Status checkBuffer(Buffer buffer, const CentersConfig& config) {
  if (buffer == Buffer::kMomentum && !config.momentum)
    return rangeError("buffer: expected weights, received momentum; these centres hold no momentum buffer");
  if (buffer == Buffer::kSecondMoment && config.optimizer != Optimizer::kAdamW)
    return rangeError(
        "buffer: expected weights or momentum, received secondMoment; only centres made with optimizer adamw "
        "hold it");
  return Status::ok();
}

}  // namespace hyperarc
