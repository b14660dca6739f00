// Philox4x32-10 on the device, the same words as cpu/philox.h; and the random bits of stochastic rounding.
#pragma once

#include <cstdint>

#include "margins/host_device.h"

namespace hyperarc::cuda {

struct PhiloxWords {
  uint32_t word[4];
};

HYPERARC_HD PhiloxWords philox(PhiloxWords counter, uint64_t seed) {
  uint32_t key0 = static_cast<uint32_t>(seed);
  uint32_t key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Fourth counter words of the draws of stochastic rounding.
inline constexpr uint32_t kRoundingStream = 0x524F554Eu;
inline constexpr uint32_t kSecondMomentStream = 0x524F5532u;

/// Bits for elements 4b … 4b+3 of a row: the low half of a word rounds the weight, the high half the momentum; of
/// kSecondMomentStream the low half rounds AdamW's second moment. docs/numerics.md, "Stochastic rounding".
HYPERARC_HD PhiloxWords roundingWords(int64_t globalRow, int32_t fourth, uint64_t roundingStep,
                                      uint32_t stream = kRoundingStream) {
  const uint64_t row = static_cast<uint64_t>(globalRow);
  return philox({{static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32), static_cast<uint32_t>(fourth), stream}},
                roundingStep);
}

}  // namespace hyperarc::cuda
