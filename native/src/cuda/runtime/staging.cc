#include "runtime/staging.h"

namespace hyperarc::cuda {

void* Staging::take(int64_t bytes) {
  copied_.wait();
  if (bytes > buffer_.bytes()) {
    constexpr int64_t kStep = int64_t{1} << 16;
    buffer_ = PinnedBuffer();
    buffer_ = PinnedBuffer((bytes + kStep - 1) / kStep * kStep);
  }
  return buffer_.as();
}

const void* Staging::arrived() const {
  copied_.wait();
  return buffer_.as();
}

}  // namespace hyperarc::cuda
