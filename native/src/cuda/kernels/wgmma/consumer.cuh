// A consumer warpgroup's actions (hopper/protocol.h): scores by wgmma, exponentials in registers, output by wgmma.
// `Pass` says what the exponentials are and what becomes of finished output (negative_pass.cuh, gradient_pass.cuh).
#pragma once

#include "hopper/protocol.h"
#include "kernels/wgmma/barrier.cuh"
#include "kernels/wgmma/wgmma.cuh"

namespace hyperarc::cuda::wgmma {

inline constexpr float kLog2e = 1.44269504088896341f;

/// Dynamic shared memory.
HYPERARC_DEVICE char* sharedMemory() {
  HYPERARC_DYNAMIC_SHARED(char, memory);
  return memory;
}

/// Which of a CTA's threads this is. What can be asked for again is not kept in registers.
struct Place {
  int consumer;     // warpgroup
  int warp;         // in the warpgroup
  uint32_t shared;  // address of dynamic shared memory

  HYPERARC_DEVICE static int lane() { return static_cast<int>(threadIdx.x % 32); }
  /// Row (0 … 63) that this thread holds: the one at half 0, and eight further at half 1.
  HYPERARC_DEVICE int row(int half) const { return 16 * warp + 8 * half + lane() / 4; }
  /// Column of the pair that it holds in a group of eight.
  HYPERARC_DEVICE static int pair() { return lane() % 4 * 2; }
};

/// Sum over the four lanes that hold a row.
HYPERARC_DEVICE float quadSum(float value) {
  value += __shfl_xor_sync(0xffffffffu, value, 1);
  return value + __shfl_xor_sync(0xffffffffu, value, 2);
}

/// Registers of a consumer thread.
template <class S>
struct Fragments {
  static constexpr int kOutput = hopper::accumulatorRegisters(S::kOutputColumns);
  static constexpr int kScores = hopper::accumulatorRegisters(hopper::kTile);
  static constexpr int kSteps = hopper::kTile / hopper::kInstructionK;

  float output[kOutput];
  float scores[kScores];
  uint32_t weights[kSteps][4];  // f(scores) in bf16, as the A operand of the next product
  /// Of this thread's part of its two rows, and its own tiles: Σ f, and Σ of what f was rounded to.
  float sum[2];
  float roundedSum[2];
};

template <class S, class Pass>
class Consumer {
 public:
  using Map = hopper::SharedMap<S>;

  HYPERARC_DEVICE Consumer(Pass& pass, const Place& place) : pass_(pass), place_(place) {}

  HYPERARC_DEVICE int consumer() const { return place_.consumer; }
  HYPERARC_DEVICE static constexpr bool stages() { return Pass::kStages; }
  HYPERARC_DEVICE void wait(int barrier, uint32_t parity) const { waitBarrier(barrierAt(barrier), parity); }
  HYPERARC_DEVICE void arrive(int barrier) const {
    __syncwarp();
    if (place_.lane() == 0) arriveBarrier(barrierAt(barrier));
  }
  HYPERARC_DEVICE void arriveCluster(int barrier) const {
    __syncwarp();
    if (place_.lane() < hopper::kCluster) arriveBarrierAt(barrierAt(barrier), static_cast<uint32_t>(place_.lane()));
  }
  /// The consumers that share rows. Barrier 0 is the block's.
  HYPERARC_DEVICE void join() const {
    if constexpr (S::kSeesaw) {
      joinThreads(1, hopper::kConsumers * 128);
    } else {
      joinThreads(1 + place_.consumer, 128);
    }
  }

  HYPERARC_DEVICE void begin(const hopper::Segment& segment) {
    HYPERARC_UNROLL
    for (int n = 0; n < Fragments<S>::kOutput; ++n) f_.output[n] = 0.0f;
    HYPERARC_UNROLL
    for (int half = 0; half < 2; ++half) f_.sum[half] = f_.roundedSum[half] = 0.0f;
    pass_.begin(segment, place_);
  }

  /// S = A·Tᵀ over the columns of the tile's part, committed; part 0, which comes first, starts from zero.
  HYPERARC_DEVICE void score(int slot, int part) {
    const int group = S::firstRow(place_.consumer) / 64;
    fence();
    HYPERARC_UNROLL
    for (int n = 0; n < S::kBoxesPerPart; ++n) {
      const int box = part * S::kBoxesPerPart + n;
      HYPERARC_UNROLL
      for (int k16 = 0; k16 < hopper::kBoxColumns / hopper::kInstructionK; ++k16) {
        multiplyScores(f_.scores, hopper::descriptorKMajor(place_.shared + Map::rowsBox(group, box), k16),
                       hopper::descriptorKMajor(place_.shared + Map::tileBox(slot, box), k16), box + k16 > 0);
      }
    }
    commit();
  }

  /// f of the scores, rounded into operand registers.
  HYPERARC_DEVICE void exponentials(int slot, int32_t tile) {
    pin(f_.scores);
    pass_.exponentials(reinterpret_cast<const float*>(sharedMemory() + Map::columns(slot)), tile, place_, f_);
  }

  HYPERARC_DEVICE void storeScores(int slot) const {
    HYPERARC_UNROLL
    for (int k16 = 0; k16 < Fragments<S>::kSteps; ++k16) {
      storeMatrices(place_.shared + Map::scores(slot) + hopper::storeMatrixOffset(place_.warp, place_.lane(), k16),
                    f_.weights[k16]);
    }
    fenceAsyncProxy();  // the other consumer's wgmma reads them
  }

  /// O += f(S)·T from registers, committed.
  HYPERARC_DEVICE void addOwn(int slot) {
    fence();
    HYPERARC_UNROLL
    for (int k16 = 0; k16 < Fragments<S>::kSteps; ++k16) {
      multiplyOutput(f_.output, f_.weights[k16], hopper::descriptorMnMajor(outputBox(slot), k16, hopper::kBoxBytes));
    }
    commit();
  }
  /// The same with the other consumer's f(S) from shared memory.
  HYPERARC_DEVICE void addOther(int slot) {
    fence();
    HYPERARC_UNROLL
    for (int k16 = 0; k16 < Fragments<S>::kSteps; ++k16) {
      multiplyOutput(f_.output, hopper::descriptorKMajor(place_.shared + Map::scores(slot), k16),
                     hopper::descriptorMnMajor(outputBox(slot), k16, hopper::kBoxBytes));
    }
    commit();
  }
  /// The product with the other's scores has retired; the scores committed after it, a group a part, may not have.
  HYPERARC_DEVICE void retireOther() const { waitGroups<S::kParts>(); }
  HYPERARC_DEVICE void retireAll() const { waitGroups<0>(); }

  HYPERARC_DEVICE void finish(const hopper::Segment& segment) {
    pin(f_.output);
    pass_.finish(segment, place_, f_, [this] { join(); });
  }

 private:
  HYPERARC_DEVICE uint32_t barrierAt(int barrier) const {
    return place_.shared + Map::kBarriers + static_cast<uint32_t>(barrier) * 8;
  }
  /// First of the boxes under this consumer's output columns.
  HYPERARC_DEVICE uint32_t outputBox(int slot) const {
    return place_.shared + Map::tileBox(slot, S::firstColumn(place_.consumer) / hopper::kBoxColumns);
  }

  Pass& pass_;
  const Place place_;
  Fragments<S> f_;
};

/// Rounds f (in `scores`) times its column's factor into operand registers, and sums f as it is and as it was rounded.
/// The factor of a column is `factorOf(eight, n)`, columns 8·eight + pair + n, and `inverseOf` its inverse.
/// Factors are not 0.
template <class S, class FactorOf, class InverseOf>
HYPERARC_DEVICE void roundWeights(Fragments<S>& f, const FactorOf& factorOf, const InverseOf& inverseOf) {
  HYPERARC_UNROLL
  for (int n = 0; n < Fragments<S>::kScores; n += 2) {
    const int eight = n / 4, half = n / 2 % 2;
    const uint32_t packed = packBf16(f.scores[n] * factorOf(eight, 0), f.scores[n + 1] * factorOf(eight, 1));
    f.weights[n / 8][n / 2 % 4] = packed;
    f.sum[half] += f.scores[n] + f.scores[n + 1];
    f.roundedSum[half] = fmaf(bitsFloat(packed << 16), inverseOf(eight, 0), f.roundedSum[half]);
    f.roundedSum[half] = fmaf(bitsFloat(packed & 0xffff0000u), inverseOf(eight, 1), f.roundedSum[half]);
  }
}

}  // namespace hyperarc::cuda::wgmma
