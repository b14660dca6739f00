#include "tensor_map.h"

#include <cstring>

#include "emulator/language.h"

namespace hyperarc::emulator {
TensorMap readMap(const CUtensorMap& map) {
  TensorMap result;
  std::memcpy(&result, &map, sizeof result);
  if (result.mark != kMapMark) fail("copies with a tensor map that cuTensorMapEncodeTiled did not make");
  return result;
}

void copyBoxOf(const TensorMap& map, const int64_t (&coordinates)[2], unsigned char* to, uint32_t offset) {
  const uint32_t rowBytes = map.box[0] * map.elementBytes;
  for (uint32_t row = 0; row < map.box[1]; ++row) {
    const int64_t y = coordinates[1] + row;
    for (uint32_t column = 0; column < map.box[0]; ++column) {
      const int64_t x = coordinates[0] + column;
      uint32_t place = row * rowBytes + column * map.elementBytes;
      if (map.isSwizzled) {
        // CUDA driver API, CU_TENSOR_MAP_SWIZZLE_128B: of each 1024 bytes, row r's 16-byte chunk c lies at chunk c ^ r.
        const uint32_t address = offset + place;
        const uint32_t r = address / 128 % 8;
        const uint32_t chunk = address / 16 % 8;
        place = (address & ~0x7fu) + ((chunk ^ r) * 16) + address % 16 - offset;
      }
      const bool isInside =
          x >= 0 && y >= 0 && static_cast<uint64_t>(x) < map.sizes[0] && static_cast<uint64_t>(y) < map.sizes[1];
      if (isInside) {
        std::memcpy(to + place,
                    map.data + static_cast<uint64_t>(y) * map.rowStride + static_cast<uint64_t>(x) * map.elementBytes,
                    map.elementBytes);
      } else {
        std::memset(to + place, 0, map.elementBytes);
      }
    }
  }
}

}  // namespace hyperarc::emulator

using hyperarc::emulator::TensorMap;

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                                const cuuint64_t* sizes, const cuuint64_t* strides, const cuuint32_t* box,
                                const cuuint32_t* elementStrides, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  if (map == nullptr || reinterpret_cast<uintptr_t>(map) % 64 != 0 || rank < 1 || rank > 2 || data == nullptr ||
      reinterpret_cast<uintptr_t>(data) % 16 != 0 || interleave != CU_TENSOR_MAP_INTERLEAVE_NONE) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  TensorMap result = {};
  result.mark = hyperarc::emulator::kMapMark;
  result.data = static_cast<const unsigned char*>(data);
  result.rank = rank;
  result.elementBytes = type == CU_TENSOR_MAP_DATA_TYPE_UINT32 ? 4 : 2;
  result.isSwizzled = swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
  for (uint32_t n = 0; n < 2; ++n) {
    result.sizes[n] = n < rank ? sizes[n] : 1;
    result.box[n] = n < rank ? box[n] : 1;
    if (n < rank && elementStrides[n] != 1) return CUDA_ERROR_INVALID_VALUE;
    if (result.sizes[n] < 1 || result.sizes[n] > uint64_t{1} << 32 || result.box[n] < 1 || result.box[n] > 256)
      return CUDA_ERROR_INVALID_VALUE;
  }
  result.rowStride = rank == 2 ? strides[0] : 0;
  if (rank == 2 && (result.rowStride % 16 != 0 || result.rowStride >= uint64_t{1} << 40 ||
                    result.rowStride < result.sizes[0] * result.elementBytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint32_t innerBytes = result.box[0] * result.elementBytes;
  if (innerBytes % 16 != 0 || (result.isSwizzled && innerBytes > 128)) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(map, &result, sizeof result);
  return CUDA_SUCCESS;
}
