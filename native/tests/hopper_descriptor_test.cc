// wgmma's descriptors against the canonical layouts, as the PTX ISA tabulates them ("Canonical Layouts"; CUTLASS builds
// its descriptors from the same table, DeepGEMM's have the same numbers): both operands must be read where TMA wrote
// them.
//
// T elements are 16 bytes; W times T are as long as the swizzle. Offsets in elements, before the swizzle:
//   MN-major  ((T,W,m),(8,k)) : ((1,T,LBO),(W·T,SBO))
//   K-major   ((8,m),(T,2k))  : ((W·T,SBO),(1,T))
#include <gtest/gtest.h>

#include "cuda/hopper/layout.h"

namespace hyperarc::cuda::hopper {
namespace {

/// CuTe's layouts: an index is split by the shape, first mode fastest; each part goes its stride. The last mode is
/// open.
template <size_t kModes>
constexpr uint32_t laidOut(uint32_t index, const uint32_t (&shape)[kModes], const uint32_t (&stride)[kModes]) {
  uint32_t offset = 0;
  for (size_t mode = 0; mode < kModes; ++mode) {
    const bool isLast = mode + 1 == kModes;
    offset += (isLast ? index : index % shape[mode]) * stride[mode];
    index /= shape[mode];
  }
  return offset;
}

constexpr uint32_t kT = 8;  // bf16 in 16 bytes

/// `leading` and `stride` in elements.
constexpr uint32_t canonicalMnMajor(uint32_t mn, uint32_t k, uint32_t w, uint32_t leading, uint32_t stride) {
  return laidOut<3>(mn, {kT, w, 1}, {1, kT, leading}) + laidOut<2>(k, {8, 1}, {w * kT, stride});
}
constexpr uint32_t canonicalKMajor(uint32_t mn, uint32_t k, uint32_t w, uint32_t stride) {
  return laidOut<2>(mn, {8, 1}, {w * kT, stride}) + laidOut<2>(k, {kT, 1}, {1, kT});
}
/// Swizzle<3,4,3> on a byte address: three bits, from bit 4 on, are XORed with those three further up.
constexpr uint32_t swizzle343(uint32_t address) { return address ^ ((address & (7u << 7)) >> 3); }

/// A field of a descriptor: 14 bits from `shift` on, in units of 16 bytes.
constexpr uint32_t fieldBytes(uint64_t descriptor, int shift) {
  return static_cast<uint32_t>(descriptor >> shift & 0x3fff) * 16;
}
constexpr int kStart = 0, kLeading = 16, kStride = 32;

TEST(HopperCanonical, LayoutsAreTheIsasExample) {
  // "MN-Major, 64B swizzling and bf16 type": ((8,4,2),(8,2)):((1,8,256),(32,512)); LBO 256 elements, SBO 512.
  for (uint32_t mn = 0; mn < 64; ++mn) {
    for (uint32_t k = 0; k < 16; ++k) {
      const uint32_t exact = mn % 8 + mn / 8 % 4 * 8 + mn / 32 * 256 + k % 8 * 32 + k / 8 * 512;
      ASSERT_EQ(canonicalMnMajor(mn, k, 4, 256, 512), exact);
    }
  }
}

TEST(HopperCanonical, MnMajorReadsWhatTmaWrote) {
  // T in boxes of 64 classes × 64 columns: element (n, k) of the k16-th product is row 16·k16 + k, column n.
  constexpr uint32_t kBoxAt = 0x6000;
  for (uint32_t k16 = 0; k16 < 4; ++k16) {
    const uint64_t d = descriptorMnMajor(kBoxAt, k16, kBoxBytes);
    for (uint32_t n = 0; n < 256; ++n) {
      for (uint32_t k = 0; k < 16; ++k) {
        const uint32_t offset = canonicalMnMajor(n, k, 8, fieldBytes(d, kLeading) / 2, fieldBytes(d, kStride) / 2);
        const uint32_t read = swizzle343(fieldBytes(d, kStart) + offset * 2);
        ASSERT_EQ(read, kBoxAt + n / 64 * kBoxBytes + boxOffset(16 * k16 + k, n % 64)) << n << "," << k;
      }
    }
  }
}

TEST(HopperCanonical, KMajorReadsWhatTmaWrote) {
  constexpr uint32_t kBoxAt = 0x6000;
  for (uint32_t k16 = 0; k16 < 4; ++k16) {
    const uint64_t d = descriptorKMajor(kBoxAt, k16);
    for (uint32_t row = 0; row < 64; ++row) {
      for (uint32_t k = 0; k < 16; ++k) {
        const uint32_t offset = canonicalKMajor(row, k, 8, fieldBytes(d, kStride) / 2);
        const uint32_t read = swizzle343(fieldBytes(d, kStart) + offset * 2);
        ASSERT_EQ(read, kBoxAt + boxOffset(row, 16 * k16 + k)) << row << "," << k;
      }
    }
  }
}

}  // namespace
}  // namespace hyperarc::cuda::hopper
