// Checks of everything that crosses the public API. Messages: "argument: expected …, received …; fix".
#pragma once

#include <cstdint>
#include <span>

#include "hyperarc/engine.h"
#include "hyperarc/status.h"

namespace hyperarc {

/// The configuration with globalClasses filled in.
CentersConfig completed(CentersConfig config);
/// E_SHAPE, E_RANGE. `globalClasses` must already be filled in. Which precisions it may be is the engine's to say.
Status checkCentersConfig(const CentersConfig& config);
/// What Engine::plan takes.
Status checkPlan(const CentersConfig& config, int64_t batch, double rate);
/// The configuration after ClassCenters::resize.
Status checkResize(const CentersConfig& config, int64_t classes, float stddev, CentersConfig* resized);
/// Everything but the values of the embeddings, which may be anywhere.
Status checkBatch(const Batch& batch, const CentersConfig& config);
/// Embeddings in host memory: their shape, and that they are finite.
Status checkEmbeddings(const float* embeddingsBD, int64_t batch, int64_t dim);
/// E_NONFINITE for `value`, the element `index` of [B, D].
Status nonFiniteEmbedding(float value, int64_t index, int64_t dim);
/// Embeddings anywhere: the pointer and the batch size.
Status checkEmbeddingsShape(const float* embeddingsBD, int64_t batch, int64_t dim);
Status checkLabels(const int32_t* labelsB, int64_t batch, int64_t globalClasses);
/// What ClassCenters::update takes for centres of this configuration.
Status checkUpdate(const UpdateOptions& options, const CentersConfig& config);
/// What ClassCenters::setUpdates is for.
Status checkHasUpdates(const CentersConfig& config);
Status checkSample(const SampleOptions& options);
Status checkStddev(float stddev);
Status checkRows(int64_t firstRow, int64_t rowCount, int64_t rows, const void* values);
/// What is to be written to rows of a buffer: E_NONFINITE for NaN or infinity, E_RANGE for a second moment below 0.
Status checkRowValues(Buffer buffer, const float* valuesRD, int64_t rowCount, int64_t dim);
/// E_RANGE for a buffer that centres of this configuration do not hold.
Status checkBuffer(Buffer buffer, const CentersConfig& config);

}  // namespace hyperarc
