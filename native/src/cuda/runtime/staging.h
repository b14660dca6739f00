// Page-locked host memory on its way to or from the device.
#pragma once

#include <cstdint>

#include "runtime/stream.h"

namespace hyperarc::cuda {

/// One piece that grows on demand. Throws CudaError.
class Staging {
 public:
  /// At least `bytes`, once the copies of the earlier use are done.
  void* take(int64_t bytes);
  /// The copies enqueued on `stream` until now are the last that use it.
  void release(cudaStream_t stream) { copied_.record(stream); }
  /// What those copies brought.
  const void* arrived() const;

 private:
  PinnedBuffer buffer_;
  Event copied_;
};

/// Two pieces in turn: one is filled or emptied by the host while the other is copied.
class RowStaging {
 public:
  static constexpr int64_t kBytes = int64_t{4} << 20;
  Staging& next() { return pieces_[turn_++ % 2]; }

 private:
  Staging pieces_[2];
  unsigned turn_ = 0;
};

}  // namespace hyperarc::cuda
