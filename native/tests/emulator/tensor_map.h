// A tensor map as the harness keeps it in CUtensorMap's opaque bytes, and the copy of one of its boxes.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace hyperarc::emulator {

/// "hypermap"
inline constexpr uint64_t kMapMark = 0x68797065726d6170;

struct TensorMap {
  uint64_t mark;  // tells a map from other bytes
  const unsigned char* data;
  uint64_t sizes[2];   // elements, innermost first; 1 for a dimension that is not there
  uint64_t rowStride;  // bytes
  uint32_t box[2];
  uint32_t rank;
  uint32_t elementBytes;
  bool isSwizzled;

  uint32_t boxBytes() const { return box[0] * box[1] * elementBytes; }
};
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap));

/// Fails where the bytes are no map.
TensorMap readMap(const CUtensorMap& map);

/// Brings the box at `coordinates` to `to`, which lies at offset `offset` of shared memory (the swizzle goes by
/// addresses). Zeros beyond the tensor.
void copyBoxOf(const TensorMap& map, const int64_t (&coordinates)[2], unsigned char* to, uint32_t offset);

}  // namespace hyperarc::emulator
