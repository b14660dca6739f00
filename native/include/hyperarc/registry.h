// Class centres and steps by number. A TensorFlow op can carry only numbers as attributes, so the addon gives each of
// its objects an id that is unique in the process, and the op's kernel comes back to the object through it. Every
// function here may be called from any thread. No id is ever used twice.
#pragma once

#include <cstdint>

#include "hyperarc/status.h"
#include "hyperarc/types.h"

namespace hyperarc {

/// Where forwardById writes; each may be null.
struct ForwardOutputs {
  float* lossB = nullptr;                  // [B] per-sample loss
  float* embeddingGradientBD = nullptr;    // [B, D] gradient of the mean loss
  float* targetCosineB = nullptr;          // [B]
  float* rowGradientB4 = nullptr;          // [B, 4] gradient of the mean loss by each sample's (s, m1, m2, m3)
  bool embeddingGradientOnDevice = false;  // embeddingGradientBD is device memory
};

/// The shape of the centres with this id. E_DISPOSED if there are none (never were, or disposed).
Status describeCenters(int64_t centersId, CentersConfig* config);

/// Runs ClassCenters::forward on the calling thread, holding the engine for that long, and leaves the step ready for
/// update. Embeddings in device memory may be of any device, and of work that is still enqueued there: it is waited
/// for, and an engine of another device gets a copy. `stepId` 0 keeps nothing. E_DISPOSED for an unknown id, E_BUSY
/// while an asynchronous operation uses either object, E_DEVICE for a step of another engine, and whatever forward
/// answers.
Status forwardById(int64_t centersId, int64_t stepId, const Batch& batch, const ForwardOutputs& out);

}  // namespace hyperarc
