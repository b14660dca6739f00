#include "cpu/philox.h"

#include <algorithm>

#include "common/normal.h"

// normalPair is a chain of fused multiply-adds: an instruction where the processor has it, else a slow exact function
// with the same result. The choice at load time needs glibc, and a sanitizer would run before it is set up.
#if HYPERARC_X86 && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define HYPERARC_FMA_CLONES __attribute__((target_clones("default", "fma")))
#else
#define HYPERARC_FMA_CLONES
#endif

namespace hyperarc::cpu {

HYPERARC_FMA_CLONES void seedRow(uint64_t seed, int64_t globalRow, float stddev, int64_t dim, float* rowD) {
  constexpr uint32_t kSeedingStream = 0x57454947;
  const uint64_t row = static_cast<uint64_t>(globalRow);
  for (int64_t d0 = 0; d0 < dim; d0 += 4) {
    const PhiloxBlock words = philox(
        {static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32), static_cast<uint32_t>(d0 / 4), kSeedingStream},
        seed);
    float values[4];
    for (int pair = 0; pair < 2; ++pair) {
      const NormalPair normals = normalPair(words[2 * pair], words[2 * pair + 1]);
      values[2 * pair] = static_cast<float>(stddev * normals.first);
      values[2 * pair + 1] = static_cast<float>(stddev * normals.second);
    }
    std::copy_n(values, std::min<int64_t>(4, dim - d0), rowD + d0);
  }
}

}  // namespace hyperarc::cpu
