// Checks of everything that crosses the public API. Messages: "argument: expected …, received …; fix".
#pragma once

#include <cstdint>
#include <span>

#include "hyperarc/engine.h"
#include "hyperarc/status.h"

namespace hyperarc::cpu {

/// E_SHAPE, E_RANGE, E_DTYPE. `globalClasses` must already be filled in.
Status checkCentersConfig(const CentersConfig& config);
Status checkBatch(const Batch& batch, const CentersConfig& config);
Status checkEmbeddings(const float* embeddingsBD, int64_t batch, int64_t dim);
Status checkLabels(const int32_t* labelsB, int64_t batch, int64_t globalClasses);
Status checkSgd(const SgdOptions& options, bool hasMomentum);
Status checkSample(const SampleOptions& options);
Status checkRows(int64_t firstRow, int64_t rowCount, int64_t rows, const void* values);

}  // namespace hyperarc::cpu
