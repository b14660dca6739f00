#include "cpu/philox.h"

#include <algorithm>
#include <cmath>

namespace hyperarc::cpu {

void seedRow(uint64_t seed, int64_t globalRow, float stddev, int64_t dim, float* rowD) {
  constexpr uint32_t kSeedingStream = 0x57454947;
  constexpr double kTwoPi = 6.283185307179586476925286766559;
  const uint64_t row = static_cast<uint64_t>(globalRow);
  for (int64_t d0 = 0; d0 < dim; d0 += 4) {
    const PhiloxBlock words = philox(
        {static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32), static_cast<uint32_t>(d0 / 4), kSeedingStream},
        seed);
    float values[4];
    for (int pair = 0; pair < 2; ++pair) {
      // (word + 0.5)·2⁻³² lies strictly between 0 and 1: the logarithm is finite.
      const double u0 = (words[2 * pair] + 0.5) * 0x1p-32;
      const double u1 = (words[2 * pair + 1] + 0.5) * 0x1p-32;
      const double radius = std::sqrt(-2.0 * std::log(u0));
      values[2 * pair] = static_cast<float>(stddev * (radius * std::cos(kTwoPi * u1)));
      values[2 * pair + 1] = static_cast<float>(stddev * (radius * std::sin(kTwoPi * u1)));
    }
    std::copy_n(values, std::min<int64_t>(4, dim - d0), rowD + d0);
  }
}

}  // namespace hyperarc::cpu
