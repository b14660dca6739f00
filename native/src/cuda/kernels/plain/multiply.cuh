// The fp32 matrix product of the plain kernels: a block computes a 128 × 64 tile of left · rightᵀ, where both operands
// are seen as lines by depth. Eight by four numbers a thread, operands through shared memory, the next step's fetched
// while this one is multiplied.
//
// Sums run in runs of 32 products. When a run is added to the sum, what the addition rounds off becomes the start of
// the next run (Kahan's compensation, held where the next run is anyway): the error of a long sum stays that of a run.
// A cosine's error reaches e^(s·c) multiplied by s, so this is what the fp32 bar of docs/numerics.md rests on. No
// element's sum depends on where the tiles fall.
#pragma once

#include "device/bf16.h"
#include "device/device.h"

namespace hyperarc::cuda::plain {

inline constexpr int kTileLeft = 128;
inline constexpr int kTileRight = 64;
inline constexpr int kTileDepth = 8;
inline constexpr int kTileThreads = 256;
inline constexpr int kStepsPerRun = 4;
/// Of one thread: kOwnLeft · kOwnRight numbers.
inline constexpr int kOwnLeft = 8;
inline constexpr int kOwnRight = 4;
inline constexpr int kThreadsRight = kTileRight / kOwnRight;
static_assert(kThreadsRight * (kTileLeft / kOwnLeft) == kTileThreads);

/// A dense matrix as an operand, of fp32 or bf16 numbers: element (line, depth), 0 beyond the last line.
/// kDepthIsContiguous says which of the two indices is contiguous in memory; `stride` is the distance of the other
/// one's neighbours.
template <bool kDepthIsContiguous, typename Element = float>
struct Matrix {
  const Element* data;
  int32_t stride;
  int64_t lines;
};

HYPERARC_DEVICE float numberOf(float element) { return element; }
HYPERARC_DEVICE float numberOf(Bf16 element) { return toFloat(element); }

/// Two steps of both operands; rows are padded so that a fetch along depth is stored with few bank conflicts.
struct alignas(16) TileShared {
  float left[2][kTileDepth][kTileLeft + 4];
  float right[2][kTileDepth][kTileRight + 4];
};

/// Brings one step after another of an operand, kLines × kTileDepth, to shared memory by way of registers: threads that
/// are neighbours fetch what are neighbours in memory.
template <int kLines, bool kAlongDepth, typename Element>
class Fetch {
 public:
  HYPERARC_DEVICE Fetch(const Matrix<kAlongDepth, Element>& operand, int64_t firstLine, int64_t firstDepth)
      : itemStride_(int64_t{operand.stride} * kTileThreads / (kAlongDepth ? kTileDepth : kLines)) {
    const int64_t own = firstLine + line(0);
    const int64_t depthOfOwn = firstDepth + depth(0);
    next_ = operand.data + (kAlongDepth ? own * operand.stride + depthOfOwn : depthOfOwn * operand.stride + own);
    lines_ = static_cast<int>(operand.lines - own < kLines ? operand.lines - own : kLines);
  }
  /// `depthLeft`: depth from here to the end.
  HYPERARC_DEVICE void load(int depthLeft) {
    // One address that moves on: eight of them would not fit in the registers.
    const Element* at = next_;
    HYPERARC_UNROLL
    for (int n = 0; n < kItems; ++n) {
      const bool isInside = line(n) - line(0) < lines_ && depth(n) < depthLeft;
      held_[n] = isInside ? numberOf(*at) : 0.0f;
      at += itemStride_;
    }
    next_ = kAlongDepth ? next_ + kTileDepth : at;
  }
  HYPERARC_DEVICE void store(float (&shared)[kTileDepth][kLines + 4]) const {
    HYPERARC_UNROLL
    for (int n = 0; n < kItems; ++n) shared[depth(n)][line(n)] = held_[n];
  }

 private:
  static constexpr int kItems = kLines * kTileDepth / kTileThreads;

  /// Of this thread's item n.
  static HYPERARC_DEVICE int line(int n) {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlongDepth ? thread / kTileDepth + n * (kTileThreads / kTileDepth) : thread % kLines;
  }
  static HYPERARC_DEVICE int depth(int n) {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlongDepth ? thread % kTileDepth : thread / kLines + n * (kTileThreads / kLines);
  }

  const Element* next_;  // item 0 of the next step
  int64_t itemStride_;   // from item n to item n + 1
  int lines_;            // lines of the matrix from item 0's on, at most kLines
  float held_[kItems];
};

/// First line of this thread's numbers, within the tile.
HYPERARC_DEVICE int ownLeft() { return static_cast<int>(threadIdx.x) / kThreadsRight * kOwnLeft; }
HYPERARC_DEVICE int ownRight() { return static_cast<int>(threadIdx.x) % kThreadsRight * kOwnRight; }

/// sum[l][r] = Σ_depth left(firstLeft + ownLeft() + l, depth)·right(firstRight + ownRight() + r, depth), depth in
/// [depthBegin, depthEnd). All threads of the block call; `shared` is free after the caller's next barrier.
template <bool kLeftAlong, bool kRightAlong, typename Element>
HYPERARC_DEVICE void multiplyTile(const Matrix<kLeftAlong>& left, const Matrix<kRightAlong, Element>& right,
                                  int64_t firstLeft, int64_t firstRight, int64_t depthBegin, int64_t depthEnd,
                                  TileShared& shared, float (&sum)[kOwnLeft][kOwnRight]) {
  Fetch<kTileLeft, kLeftAlong, float> fetchLeft(left, firstLeft, depthBegin);
  Fetch<kTileRight, kRightAlong, Element> fetchRight(right, firstRight, depthBegin);
  float run[kOwnLeft][kOwnRight] = {};
  HYPERARC_UNROLL
  for (int l = 0; l < kOwnLeft; ++l) {
    HYPERARC_UNROLL
    for (int r = 0; r < kOwnRight; ++r) sum[l][r] = 0.0f;
  }
  int depthLeft = static_cast<int>(depthEnd - depthBegin);
  fetchLeft.load(depthLeft);
  fetchRight.load(depthLeft);
  fetchLeft.store(shared.left[0]);
  fetchRight.store(shared.right[0]);
  __syncthreads();
  for (int step = 0; depthLeft > 0; ++step) {
    depthLeft -= kTileDepth;
    const bool hasNext = depthLeft > 0;
    if (hasNext) {
      fetchLeft.load(depthLeft);
      fetchRight.load(depthLeft);
    }
    const auto& stepLeft = shared.left[step % 2];
    const auto& stepRight = shared.right[step % 2];
    HYPERARC_UNROLL
    for (int d = 0; d < kTileDepth; ++d) {
      float a[kOwnLeft], b[kOwnRight];
      HYPERARC_UNROLL
      for (int l = 0; l < kOwnLeft; ++l) a[l] = stepLeft[d][ownLeft() + l];
      HYPERARC_UNROLL
      for (int r = 0; r < kOwnRight; ++r) b[r] = stepRight[d][ownRight() + r];
      HYPERARC_UNROLL
      for (int l = 0; l < kOwnLeft; ++l) {
        HYPERARC_UNROLL
        for (int r = 0; r < kOwnRight; ++r) run[l][r] = fmaf(a[l], b[r], run[l][r]);
      }
    }
    if (step % kStepsPerRun == kStepsPerRun - 1 || !hasNext) {
      HYPERARC_UNROLL
      for (int l = 0; l < kOwnLeft; ++l) {
        HYPERARC_UNROLL
        for (int r = 0; r < kOwnRight; ++r) {
          const float before = sum[l][r];
          sum[l][r] = before + run[l][r];
          run[l][r] = run[l][r] - (sum[l][r] - before);
        }
      }
    }
    if (hasNext) {
      // The other half was last read in the step before, which every thread left at the barrier below.
      fetchLeft.store(shared.left[(step + 1) % 2]);
      fetchRight.store(shared.right[(step + 1) % 2]);
      __syncthreads();
    }
  }
}

}  // namespace hyperarc::cuda::plain
