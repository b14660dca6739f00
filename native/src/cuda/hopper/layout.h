// Where data lies for wgmma: swizzled boxes in shared memory, matrix descriptors, fragments in registers. All are
// functions of indices, tested exhaustively on the host (tests/hopper_layout_test.cc); the kernels use these very
// functions. PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions": shared-memory layouts, matrix descriptor,
// register fragments.
#pragma once

#include <cstdint>

#include "margins/host_device.h"

namespace hyperarc::cuda::hopper {

// ---- Boxes: 64 rows of 64 bf16 (128 bytes a row), swizzled with the 128-byte pattern, as TMA writes and wgmma reads
// them.

inline constexpr int kBoxRows = 64;
inline constexpr int kBoxColumns = 64;
inline constexpr int kBoxRowBytes = 128;
inline constexpr int kBoxBytes = kBoxRows * kBoxRowBytes;
/// The swizzle pattern repeats over this many bytes (8 rows): boxes start at multiples of it.
inline constexpr int kSwizzleBytes = 1024;

/// The 128-byte swizzle on a byte address or offset: bits 4–6 (the 16-byte unit) are XORed with bits 7–9 (the row of
/// eight).
HYPERARC_HD constexpr uint32_t swizzle128(uint32_t address) { return address ^ ((address >> 3) & 0x70u); }

/// Byte offset of element (row, column) in a box.
HYPERARC_HD constexpr uint32_t boxOffset(uint32_t row, uint32_t column) {
  return swizzle128(row * kBoxRowBytes + column * 2);
}

// ---- Matrix descriptors. 64 bits: 0–13 start address, 16–29 leading offset, 32–45 stride offset (each in units of 16
// bytes), 49–51 base offset (0: patterns are aligned), 62–63 swizzle (1: 128 bytes).

HYPERARC_HD constexpr uint64_t descriptor(uint32_t address, uint32_t leadingBytes, uint32_t strideBytes) {
  return uint64_t{(address & 0x3ffffu) >> 4} | uint64_t{(leadingBytes & 0x3ffffu) >> 4} << 16 |
         uint64_t{(strideBytes & 0x3ffffu) >> 4} << 32 | uint64_t{1} << 62;
}

/// Columns (along the inner dimension) of one wgmma.
inline constexpr int kInstructionK = 16;

/// K-major operand (the inner dimension is contiguous) inside one box: rows × 16, at the k16-th group of 16 columns.
/// Groups of 8 rows are 1024 bytes apart; the leading offset is not used. Stepping along K inside the 128-byte row only
/// moves the start address: the hardware swizzles final addresses.
HYPERARC_HD constexpr uint64_t descriptorKMajor(uint32_t boxAddress, uint32_t k16) {
  return descriptor(boxAddress + k16 * kInstructionK * 2, 16, kSwizzleBytes);
}

/// MN-major operand (transposed B: the outer dimension is contiguous): 16 rows of a box times any number of boxes side
/// by side, `boxStride` bytes apart. Groups of 8 along K are 1024 bytes apart (stride offset), groups of 64 along N
/// `boxStride` (leading).
HYPERARC_HD constexpr uint64_t descriptorMnMajor(uint32_t boxAddress, uint32_t k16, uint32_t boxStride) {
  return descriptor(boxAddress + k16 * kInstructionK * kBoxRowBytes, boxStride, kSwizzleBytes);
}

// ---- Fragments. A warpgroup has 128 threads; thread t is lane t mod 32 of warp t/32, which holds rows 16·warp …
// 16·warp + 15.

struct Cell {
  int row;
  int column;
};

/// fp32 accumulators of m64nN: register r of thread t.
HYPERARC_HD constexpr Cell accumulatorCell(int thread, int reg) {
  const int lane = thread % 32;
  return {thread / 32 * 16 + lane / 4 + reg / 2 % 2 * 8, reg / 4 * 8 + lane % 4 * 2 + reg % 2};
}
HYPERARC_HD constexpr int accumulatorRegisters(int columns) { return columns / 2; }

/// A operand m64k16 from registers: half h (0 low, 1 high) of 32-bit register r.
HYPERARC_HD constexpr Cell operandCell(int thread, int reg, int half) {
  const int lane = thread % 32;
  return {thread / 32 * 16 + lane / 4 + reg % 2 * 8, reg / 2 * 8 + lane % 4 * 2 + half};
}

/// Accumulators computed in place become the A operand of the next product without a move between threads: register r,
/// half h of the k16-th operand is this accumulator of the same thread.
HYPERARC_HD constexpr int accumulatorOfOperand(int k16, int reg, int half) { return 8 * k16 + 2 * reg + half; }

/// Address that a lane of warp `warp` gives to stmatrix.x4, so that the four operand registers of group k16 land in a
/// box: lanes 8m … 8m + 7 point to the rows of the 8×8 matrix in register m. Offset in the box.
HYPERARC_HD constexpr uint32_t storeMatrixOffset(int warp, int lane, int k16) {
  const int matrix = lane / 8;
  return boxOffset(static_cast<uint32_t>(16 * warp + matrix % 2 * 8 + lane % 8),
                   static_cast<uint32_t>(kInstructionK * k16 + matrix / 2 * 8));
}

// ---- Staging of finished rows: accumulators go through shared memory in rounds, so that a warp comes to hold a whole
// row.

/// Of the 64 rows of a warpgroup, round r stages `stageRows` (8 … 64): of each warp the threads whose row in a group of
/// eight lies in [r·n, (r+1)·n), n = stageRows/8. Where thread-held row (warp, half, eighth) lies in the stage, or −1
/// if another round has it.
HYPERARC_HD constexpr int stageRow(int stageRows, int round, int warp, int half, int eighth) {
  const int n = stageRows / 8;
  return eighth / n == round ? (warp * 2 + half) * n + eighth % n : -1;
}
/// The row (0 … 63) at `staged` in round r.
HYPERARC_HD constexpr int rowOfStage(int stageRows, int round, int staged) {
  const int n = stageRows / 8;
  return staged / (2 * n) * 16 + staged / n % 2 * 8 + round * n + staged % n;
}
/// Where a column of a staged row lies. Swizzled by row, so that the accumulators' stores of pairs do not meet in a
/// bank; aligned groups of 8 stay whole.
HYPERARC_HD constexpr int stageColumn(int staged, int column) { return column ^ (staged % 4 * 8); }

}  // namespace hyperarc::cuda::hopper
