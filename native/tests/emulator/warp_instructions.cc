// The instructions of device/warp.h, from the PTX ISA, section 9.7 ("mma.m16n8k16", "ldmatrix", "cp.async").
#include "warp_instructions.h"

#include <bit>
#include <cstring>

#include "memory.h"
#include "warp_emulation.h"

namespace hyperarc::emulator {
namespace {

constexpr uint32_t kAllLanes = 0xffffffffu;

struct MmaArguments {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

struct MatrixArguments {
  uint32_t* r;
  const unsigned char* row;  // of matrix lane/8, row lane%8
};

/// The eight columns of one row of B or D. A vector type: loops of floats were not turned into multiply-adds.
using Row = float __attribute__((vector_size(32)));

float bf16Value(uint32_t bits) { return std::bit_cast<float>(bits << 16); }

template <typename Arguments>
uint64_t asValue(const Arguments* arguments) {
  return reinterpret_cast<uintptr_t>(arguments);
}

template <typename Arguments>
const Arguments& argumentsOf(const Thread& lane) {
  return *reinterpret_cast<const Arguments*>(static_cast<uintptr_t>(lane.value));
}

bool isAligned16(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

/// Shared memory is the dynamic buffer or a static array, whose bounds are not known here. Certainly wrong are device
/// memory and what lies just beside the buffer.
void requireShared(const void* pointer, size_t bytes, const char* instruction, Site site) {
  constexpr uintptr_t kBeside = 256;
  const Executor& executor = Executor::instance();
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  const auto begin = reinterpret_cast<uintptr_t>(executor.sharedMemory());
  const uintptr_t end = begin + (begin != 0 ? executor.call()->sharedBytes : 0);
  if (begin != 0 && address >= begin && address + bytes <= end) return;
  const bool isBeside = begin != 0 && address + bytes + kBeside > begin && address < end + kBeside;
  if (pointer == nullptr || isBeside || isDeviceMemory(pointer)) {
    fail("%s (%s:%d): %p is not in shared memory", instruction, site.file, site.line, pointer);
  }
}

}  // namespace

void mmaBf16(float* d, const uint32_t* a, const uint32_t* b, Site site) {
  const MmaArguments arguments{d, a, b};
  warpCollective(WarpOperation::kMma, kAllLanes, asValue(&arguments), 0, site);
}

void multiplyFragments(Thread* lanes) {
  float a[16][16];  // [m][k]
  Row b[16];        // [k][n]
  Row d[16];        // [m][n]
  for (int lane = 0; lane < 32; ++lane) {
    const MmaArguments& arguments = argumentsOf<MmaArguments>(lanes[lane]);
    const int group = lane / 4;
    const int pair = lane % 4 * 2;
    for (int half = 0; half < 2; ++half) {    // rows group, group + 8
      for (int side = 0; side < 2; ++side) {  // columns pair, pair + 8
        const uint32_t word = arguments.a[side * 2 + half];
        a[group + 8 * half][pair + 8 * side] = bf16Value(word & 0xffffu);
        a[group + 8 * half][pair + 8 * side + 1] = bf16Value(word >> 16);
      }
      d[group + 8 * half][pair] = arguments.d[2 * half];
      d[group + 8 * half][pair + 1] = arguments.d[2 * half + 1];
      const uint32_t word = arguments.b[half];
      b[pair + 8 * half][group] = bf16Value(word & 0xffffu);
      b[pair + 8 * half + 1][group] = bf16Value(word >> 16);
    }
  }
  // fp32 sums over k in order. Products of two bf16 are exact; the chip's own order and rounding of the sum are not
  // specified.
  for (int m = 0; m < 16; m += 4) {
    Row sums[4] = {d[m], d[m + 1], d[m + 2], d[m + 3]};
    for (int k = 0; k < 16; ++k) {
      for (int row = 0; row < 4; ++row) sums[row] += a[m + row][k] * b[k];
    }
    for (int row = 0; row < 4; ++row) d[m + row] = sums[row];
  }
  for (int lane = 0; lane < 32; ++lane) {
    float* out = argumentsOf<MmaArguments>(lanes[lane]).d;
    const int group = lane / 4;
    const int pair = lane % 4 * 2;
    out[0] = d[group][pair];
    out[1] = d[group][pair + 1];
    out[2] = d[group + 8][pair];
    out[3] = d[group + 8][pair + 1];
  }
}

void loadMatrices(uint32_t* r, const void* sharedRow, bool isTransposed, Site site) {
  if (!isAligned16(sharedRow))
    fail("ldmatrix (%s:%d) from %p, which is not 16-byte aligned", site.file, site.line, sharedRow);
  requireShared(sharedRow, 16, "ldmatrix", site);
  const MatrixArguments arguments{r, static_cast<const unsigned char*>(sharedRow)};
  warpCollective(isTransposed ? WarpOperation::kLoadMatrixTransposed : WarpOperation::kLoadMatrix, kAllLanes,
                 asValue(&arguments), 0, site);
}

void distributeMatrices(Thread* lanes, bool isTransposed) {
  uint16_t elements[8][8];
  for (int matrix = 0; matrix < 4; ++matrix) {
    for (int row = 0; row < 8; ++row) {
      std::memcpy(elements[row], argumentsOf<MatrixArguments>(lanes[matrix * 8 + row]).row, 16);
    }
    for (int lane = 0; lane < 32; ++lane) {
      const int row = lane / 4;
      const int column = lane % 4 * 2;
      const uint32_t low = isTransposed ? elements[column][row] : elements[row][column];
      const uint32_t high = isTransposed ? elements[column + 1][row] : elements[row][column + 1];
      argumentsOf<MatrixArguments>(lanes[lane]).r[matrix] = low | high << 16;
    }
  }
}

void copyAsync(void* shared, const void* global, bool isValid, Site site) {
  if (!isAligned16(shared) || !isAligned16(global)) {
    fail("cp.async (%s:%d) from %p to %p: both must be 16-byte aligned", site.file, site.line, global, shared);
  }
  requireShared(shared, 16, "cp.async", site);
  // Whoever reads the destination before the wait reads NaN; whoever still needed what was there has lost it.
  std::memset(shared, 0xff, 16);
  Executor::instance().current()->pending.copies.push_back({shared, isValid ? global : nullptr});
}

void commitCopies() {
  PendingCopies& pending = Executor::instance().current()->pending;
  pending.groupEnds.push_back(pending.copies.size());
}

void waitForCopies(int pendingGroups) {
  PendingCopies& pending = Executor::instance().current()->pending;
  const size_t groups = pending.groupEnds.size();
  if (groups <= static_cast<size_t>(pendingGroups)) return;
  const size_t landing = groups - static_cast<size_t>(pendingGroups);
  const size_t copies = pending.groupEnds[landing - 1];
  for (size_t i = 0; i < copies; ++i) {
    const PendingCopies::Copy& copy = pending.copies[i];
    if (copy.from == nullptr) {
      std::memset(copy.to, 0, 16);
    } else {
      std::memcpy(copy.to, copy.from, 16);
    }
  }
  pending.copies.erase(pending.copies.begin(), pending.copies.begin() + static_cast<ptrdiff_t>(copies));
  pending.groupEnds.erase(pending.groupEnds.begin(), pending.groupEnds.begin() + static_cast<ptrdiff_t>(landing));
  for (size_t& end : pending.groupEnds) end -= copies;
}

uint32_t sharedOffset(const void* shared) {
  return static_cast<uint32_t>(static_cast<const unsigned char*>(shared) -
                               static_cast<const unsigned char*>(dynamicShared()));
}

}  // namespace hyperarc::emulator
