// Device memory that others hand in, such as TensorFlow's tensors, for code that knows nothing of CUDA.
#pragma once

#include <cstdint>

#include "hyperarc/status.h"

namespace hyperarc {

/// Whether this build can read device memory: it has the CUDA engine.
bool readsDeviceMemory();

/// Waits until everything enqueued so far on the device that owns `memory` has run, on whichever stream: TensorFlow's
/// C API does not name the stream that fills a tensor. E_DEVICE where the device reports a failure. `*device` is that
/// device's index, −1 for host memory.
Status waitForDeviceOf(const void* memory, int32_t* device);

/// Copies `bytes` between host and device memory, in any direction, also between devices; complete on return.
Status copyMemory(void* to, const void* from, int64_t bytes);

}  // namespace hyperarc
