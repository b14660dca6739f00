// Pass 1: 64 samples' rows stationary, classes streamed: e_ij = exp(s_i·c_ij − shift_i), l_i = Σ_j e_ij, U_i = Σ_j
// e_ij·ŵ_j. The scores are products with raw rows w_j: c_ij = S_ij/‖w_j‖, and U takes e_ij/‖w_j‖ times w_j.
#pragma once

#include "kernels/wgmma/arguments.h"
#include "kernels/wgmma/consumer.cuh"

namespace hyperarc::cuda::wgmma {

template <class S>
class NegativePass {
 public:
  static constexpr int kColumnArrays = hopper::kColumnArraysPass1;
  static constexpr bool kStages = false;  // output goes through shared memory

  HYPERARC_DEVICE explicit NegativePass(const NegativeArguments& args) : args_(args) {}
  HYPERARC_DEVICE static void prefetch(const NegativeArguments&, int32_t, int) {}

  HYPERARC_DEVICE void begin(const hopper::Segment& segment, const Place& place) {
    const int32_t padded = static_cast<int32_t>(paddedSamples(args_.samples.samples));
    HYPERARC_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int32_t i = firstRow(segment, place) + place.row(half);
      // The last cluster may hold rows beyond the padded samples; they are zeros and nobody reads their sums.
      const bool isThere = i < padded;
      slope_[half] = isThere ? __ldg(args_.samples.scale + i) * kLog2e : 0.0f;
      minusOffset_[half] = isThere ? __ldg(args_.samples.shift + i) * -kLog2e : 0.0f;
      target_[half] = isThere ? __ldg(args_.samples.targetPosition + i) : -1;
    }
  }

  HYPERARC_DEVICE void exponentials(const float* columns, int32_t tile, const Place& place, Fragments<S>& f) const {
    constexpr int kEights = Fragments<S>::kScores / 4;
    float inverseNorm[kEights][2];
    HYPERARC_UNROLL
    for (int eight = 0; eight < kEights; ++eight) {
      const float2 two = *reinterpret_cast<const float2*>(columns + 8 * eight + place.pair());
      inverseNorm[eight][0] = two.x;
      inverseNorm[eight][1] = two.y;
    }
    HYPERARC_UNROLL
    for (int n = 0; n < Fragments<S>::kScores; ++n) {
      const int half = n / 2 % 2;
      f.scores[n] = exp2Fast(fmaf(f.scores[n] * inverseNorm[n / 4][n % 2], slope_[half], minusOffset_[half]));
    }
    // Rare: a sample's own class among the tile's 64, or the end of the classes (beyond it, rows and inverse norms are
    // 0).
    const int32_t first = tile * hopper::kTile;
    const int32_t there = static_cast<int32_t>(min(args_.classes - first, int64_t{hopper::kTile}));
    const uint32_t own0 = static_cast<uint32_t>(target_[0] - first), own1 = static_cast<uint32_t>(target_[1] - first);
    if (there < hopper::kTile || own0 < hopper::kTile || own1 < hopper::kTile) {
      HYPERARC_UNROLL
      for (int n = 0; n < Fragments<S>::kScores; ++n) {
        const int column = 8 * (n / 4) + place.pair() + n % 2;
        if (column >= there || static_cast<uint32_t>(column) == (n / 2 % 2 == 0 ? own0 : own1)) f.scores[n] = 0.0f;
      }
    }
    // A zero row has no direction to add: its weight, times what is left of the row, is nothing beside the others' unit
    // vectors.
    const auto factorOf = [&](int eight, int n) { return inverseNorm[eight][n] > 0.0f ? inverseNorm[eight][n] : 1.0f; };
    roundWeights<S>(f, factorOf, [&](int eight, int n) { return __fdividef(1.0f, factorOf(eight, n)); });
  }

  /// U and the sums become the split's partial sums, or are added to what an earlier segment of this cluster left
  /// there.
  template <class Join>
  HYPERARC_DEVICE void finish(const hopper::Segment& segment, const Place& place, Fragments<S>& f, const Join&) const {
    const int part = S::kSeesaw ? place.consumer : 0;
    HYPERARC_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int64_t i = firstRow(segment, place) + place.row(half);
      float* to = args_.partialU + (int64_t{segment.split} * args_.partialRows + i) * S::kDim +
                  S::firstColumn(place.consumer) + place.pair();
      HYPERARC_UNROLL
      for (int eight = 0; eight < Fragments<S>::kOutput / 4; ++eight) {
        add(to + 8 * eight, f.output[4 * eight + 2 * half], f.output[4 * eight + 2 * half + 1], segment.continues);
      }
      const float sum = quadSum(f.sum[half]), roundedSum = quadSum(f.roundedSum[half]);
      if (place.lane() % 4 == 0) {
        add(args_.partialSums + 2 * (int64_t{segment.split * S::kParts + part} * args_.partialRows + i), sum,
            roundedSum, segment.continues);
      }
    }
  }

 private:
  HYPERARC_DEVICE static int32_t firstRow(const hopper::Segment& segment, const Place& place) {
    return (segment.group * hopper::kCluster + static_cast<int32_t>(clusterRank())) * S::kRows +
           S::firstRow(place.consumer);
  }
  HYPERARC_DEVICE static void add(float* to, float first, float second, bool continues) {
    float2* pair = reinterpret_cast<float2*>(to);
    const float2 before = continues ? *pair : make_float2(0.0f, 0.0f);
    *pair = make_float2(before.x + first, before.y + second);
  }

  const NegativeArguments& args_;
  float slope_[2];        // s_i·log2e
  float minusOffset_[2];  // −shift_i·log2e
  int32_t target_[2];
};

/// l and U of a sample: the sum over the splits, in their order. The tensor cores were given e rounded to bf16; scaling
/// U by Σe/Σe' takes out what the roundings have in common, all of it where one class has nearly all of a sample's sum.
template <class S>
HYPERARC_DEVICE void sumPartials(const NegativeArguments& args, int dim, float* sumExp, float* weightedSum) {
  const int64_t i = blockIdx.x;
  float sum = 0.0f, roundedSum = 0.0f;
  for (int64_t n = 0; n < int64_t{args.schedule.splits} * S::kParts; ++n) {
    const float* partial = args.partialSums + 2 * (n * args.partialRows + i);
    sum += partial[0];
    roundedSum += partial[1];
  }
  const float ratio = roundedSum > 0.0f ? sum / roundedSum : 1.0f;
  for (int d = static_cast<int>(threadIdx.x); d < dim; d += static_cast<int>(blockDim.x)) {
    float total = 0.0f;
    for (int64_t split = 0; split < args.schedule.splits; ++split) {
      total += args.partialU[(split * args.partialRows + i) * S::kDim + d];
    }
    weightedSum[i * dim + d] = total * ratio;
  }
  if (threadIdx.x == 0) sumExp[i] = sum;
}

}  // namespace hyperarc::cuda::wgmma
