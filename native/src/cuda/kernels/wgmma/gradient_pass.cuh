// Pass 2: 64 classes' rows stationary, samples streamed: g_ij = q_ij·s_i, dŴ_j = Σ_i g_ij·x̂_i, and the row is finished
// on chip (kernels/finish_row.cuh).
#pragma once

#include "kernels/finish_row.cuh"
#include "kernels/wgmma/arguments.h"
#include "kernels/wgmma/consumer.cuh"

namespace hyperarc::cuda::wgmma {

/// What goes with a tile of 64 samples: arrays of s_i·log2e, of the offset in g = 2^(c·slope − offset) (+∞ for none),
/// and of the target's position, one after another: [tiles, 3, 64].
HYPERARC_DEVICE void sampleColumn(const SamplesView& samples, int64_t i, float* columns) {
  const float factor = samples.gradientFactor[i];
  float* column = columns + i / hopper::kTile * (hopper::kColumnArraysPass2 * hopper::kTile) + i % hopper::kTile;
  column[0] = samples.scale[i] * kLog2e;
  column[hopper::kTile] =
      factor > 0.0f ? fmaf(samples.gradientShift[i], kLog2e, -log2f(factor)) : __int_as_float(0x7f800000);
  column[2 * hopper::kTile] = __int_as_float(samples.targetPosition[i]);
}

/// First of sorted[0, count) that is not less than `bound`; by all lanes of a warp together.
HYPERARC_DEVICE int32_t lowerBoundOfWarp(const int32_t* sorted, int32_t count, int64_t bound, int lane) {
  int32_t low = 0, high = count;  // values before low are less, values from high on are not
  while (low < high) {
    const int32_t stride = (high - low + 31) / 32;
    const int32_t probe = low + lane * stride;
    const bool isLess = probe < high && __ldg(sorted + probe) < bound;
    const int less = __popc(__ballot_sync(0xffffffffu, isLess));  // sorted: the first lanes
    if (less == 0) return low;
    high = min(high, low + less * stride);
    low += (less - 1) * stride + 1;
  }
  return low;
}

template <class S>
class GradientPass {
 public:
  static constexpr int kColumnArrays = hopper::kColumnArraysPass2;
  static constexpr bool kStages = true;  // output goes through shared memory
  using Map = hopper::SharedMap<S>;

  HYPERARC_DEVICE explicit GradientPass(const GradientArguments& args) : args_(args) {}

  /// Asks for what the finishing of a segment's rows will read, so that it is in L2 by then; a lane a row.
  HYPERARC_DEVICE static void prefetch(const GradientArguments& args, int32_t firstPosition, int lane) {
    const CentersView& centers = args.gradients.centers;
    const ClassList& classes = args.gradients.classes;
    const bool isMaster = centers.precision == Precision::kBf16Master;
    const uint32_t rowBytes = isMaster ? static_cast<uint32_t>(centers.dimPadded) * sizeof(Bf16)
                                       : static_cast<uint32_t>(centers.dim) * sizeof(float);
    const void* weights = isMaster ? static_cast<const void*>(centers.weightsBf16) : centers.weights;
    const void* momentum = isMaster ? static_cast<const void*>(centers.momentumBf16) : centers.momentum;
    for (int n = lane; n < S::kRows && firstPosition + n < classes.count; n += 32) {
      const int64_t row = classes.list != nullptr ? __ldg(classes.list + firstPosition + n) : firstPosition + n;
      prefetchRow(weights, row, rowBytes, centers.rows);
      if (args.gradients.sink.isUpdate && momentum != nullptr) prefetchRow(momentum, row, rowBytes, centers.rows);
      prefetchL2(centers.inverseNorms + row);
    }
  }

  HYPERARC_DEVICE void begin(const hopper::Segment& segment, const Place& place) {
    HYPERARC_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int32_t position = firstRow(segment, place) + place.row(half);
      const bool isThere = position < args_.gradients.classes.count;
      inverseNorm_[half] = isThere ? __ldg(args_.inverseNorms + position) : 0.0f;
    }
    position_ = firstRow(segment, place) + place.row(0);
  }

  HYPERARC_DEVICE void exponentials(const float* columns, int32_t, const Place& place, Fragments<S>& f) const {
    HYPERARC_UNROLL
    for (int eight = 0; eight < Fragments<S>::kScores / 4; ++eight) {
      const float* column = columns + 8 * eight + place.pair();
      const float2 slope = *reinterpret_cast<const float2*>(column);
      const float2 offset = *reinterpret_cast<const float2*>(column + hopper::kTile);
      const int2 target = *reinterpret_cast<const int2*>(column + 2 * hopper::kTile);
      HYPERARC_UNROLL
      for (int half = 0; half < 2; ++half) {
        float& g0 = f.scores[4 * eight + 2 * half];
        float& g1 = f.scores[4 * eight + 2 * half + 1];
        g0 = exp2Fast(fmaf(g0 * inverseNorm_[half], slope.x, -offset.x));
        g1 = exp2Fast(fmaf(g1 * inverseNorm_[half], slope.y, -offset.y));
        if (target.x == position_ + 8 * half) g0 = 0.0f;
        if (target.y == position_ + 8 * half) g1 = 0.0f;
      }
    }
    const auto one = [](int, int) { return 1.0f; };
    roundWeights<S>(f, one, one);
  }

  static_assert(kSamplePadding % (2 * hopper::kTile) == 0);  // held tiles: at least two a segment

  /// Rows go through shared memory, so that a warp has a whole one, and are finished there.
  template <class Join>
  HYPERARC_DEVICE void finish(const hopper::Segment& segment, const Place& place, Fragments<S>& f,
                              const Join& join) const {
    const CenterGradients& gradients = args_.gradients;
    const int32_t first = firstRow(segment, place);
    // The factor of a row comes in when it is finished: there is no room for a second copy of the output.
    float2* sums = reinterpret_cast<float2*>(sharedMemory() + Map::kRowSums);  // [consumers, 64]
    HYPERARC_UNROLL
    for (int half = 0; half < 2; ++half) {
      const float2 own = make_float2(quadSum(f.sum[half]), quadSum(f.roundedSum[half]));
      if (place.lane() % 4 == 0) sums[64 * place.consumer + place.row(half)] = own;
    }
    TargetRange targets = {
        lowerBoundOfWarp(gradients.targets.position, gradients.targets.count, first, place.lane()),
        lowerBoundOfWarp(gradients.targets.position, gradients.targets.count, first + 64, place.lane())};
    float* stage = reinterpret_cast<float*>(sharedMemory() + Map::stage(S::firstRow(place.consumer) / 64));
    constexpr int kRounds = 64 / S::kStageRows;
    constexpr int kWarps = (S::kSeesaw ? hopper::kConsumers : 1) * hopper::kWarpsPerWarpgroup;
    const int warp = (S::kSeesaw ? place.consumer * hopper::kWarpsPerWarpgroup : 0) + place.warp;
    // Hides where these come from: else addresses of the stage are formed before all tiles, and kept on the stack.
    int eighth = place.lane() / 4, pair = place.pair();
    asm volatile("" : "+r"(eighth), "+r"(pair));
#pragma unroll 1  // code and registers: a row's state is large
    for (int round = 0; round < kRounds; ++round) {
      HYPERARC_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int staged = hopper::stageRow(S::kStageRows, round, place.warp, half, eighth);
        if (staged < 0) continue;
        float* to = stage + staged * S::kDim + S::firstColumn(place.consumer);
        HYPERARC_UNROLL
        for (int eight = 0; eight < Fragments<S>::kOutput / 4; ++eight) {
          *reinterpret_cast<float2*>(to + hopper::stageColumn(staged, 8 * eight + pair)) =
              make_float2(f.output[4 * eight + 2 * half], f.output[4 * eight + 2 * half + 1]);
        }
      }
      join();
      // Lane n has the factor and the index of this warp's n-th row: one division for all of them, and no row's loads
      // wait for its entry in the list.
      const int own = warp + kWarps * place.lane();
      float factors = 0.0f;
      int32_t indices = 0;
      if (own < S::kStageRows) {
        const int row = hopper::rowOfStage(S::kStageRows, round, own);
        const float2 other = S::kSeesaw ? sums[64 + row] : make_float2(0.0f, 0.0f);
        const float2 sum = sums[(S::kSeesaw ? 0 : 64 * place.consumer) + row];
        factors = rowFactor(sum.x + other.x, sum.y + other.y);
        indices = rowIndex(first + row);
      }
#pragma unroll 1
      for (int n = 0; n < S::kStageRows / kWarps; n += kRowsAtOnce) {
        StagedRow rows[kRowsAtOnce];
        HYPERARC_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) {
          const int staged = warp + kWarps * (n + r);
          rows[r] = {staged, first + hopper::rowOfStage(S::kStageRows, round, staged),
                     __shfl_sync(0xffffffffu, factors, n + r), __shfl_sync(0xffffffffu, indices, n + r)};
          // Beyond the classes the first row again: it is finished twice, with the same bits.
          if (r > 0 && rows[r].position >= gradients.classes.count) rows[r] = rows[0];
        }
        if (rows[0].position >= gradients.classes.count) break;  // those that follow lie further on
        finishStaged(stage, rows, targets);
      }
      if (round + 1 < kRounds) join();  // the last one is the protocol's
    }
    if constexpr (S::kStagesInTiles) fenceAsyncProxy();  // TMA writes there next
  }

 private:
  /// In whole 16 bytes: rows of fp32 may begin and end within some. The last row's may end with the buffer; what it has
  /// there is left to the load.
  HYPERARC_DEVICE static void prefetchRow(const void* buffer, int64_t row, uint32_t rowBytes, int64_t rows) {
    const int64_t begin = (row * rowBytes) & ~int64_t{15};
    const int64_t end = min(((row + 1) * rowBytes + 15) & ~int64_t{15}, (rows * rowBytes) & ~int64_t{15});
    if (begin < end) prefetchToL2(static_cast<const char*>(buffer) + begin, static_cast<uint32_t>(end - begin));
  }

  HYPERARC_DEVICE static int32_t firstRow(const hopper::Segment& segment, const Place& place) {
    return (segment.group * hopper::kCluster + static_cast<int32_t>(clusterRank())) * S::kRows +
           S::firstRow(place.consumer);
  }

  /// 1/B_total, times Σg/Σg' where g' is what the tensor cores were given for g: takes out what the roundings to bf16
  /// have in common, all of it where one sample has nearly all of a row's sum.
  HYPERARC_DEVICE float rowFactor(float sum, float roundedSum) const {
    return args_.gradients.inverseTotal * (roundedSum > 0.0f ? sum / roundedSum : 1.0f);
  }

  /// The row of centres at a position; any beyond the classes.
  HYPERARC_DEVICE int32_t rowIndex(int32_t position) const {
    const ClassList& classes = args_.gradients.classes;
    return classes.list != nullptr && position < classes.count ? __ldg(classes.list + position) : position;
  }

  /// The targets of one position, of those of this segment.
  HYPERARC_DEVICE TargetRange targetsAt(int32_t position, const TargetRange& targets) const {
    const int32_t* positions = args_.gradients.targets.position;
    TargetRange own = {targets.begin, targets.begin};
    while (own.begin < targets.end && __ldg(positions + own.begin) < position) ++own.begin;
    for (own.end = own.begin; own.end < targets.end && __ldg(positions + own.end) == position;) ++own.end;
    return own;
  }

  /// Rows that a warp finishes at a time (finish_row.cuh): one alone waits for memory, shuffles and its norm.
  static constexpr int kRowsAtOnce = 2;
  struct StagedRow {
    int staged;
    int32_t position;
    float factor;
    int64_t index;  // of the centre
  };

  HYPERARC_DEVICE void finishStaged(const float* stage, const StagedRow (&rows)[kRowsAtOnce],
                                    const TargetRange& targets) const {
    constexpr int kQuads = S::kDim / 128;
    const CenterGradients& gradients = args_.gradients;
    float v[kRowsAtOnce][kQuads][4];
    HYPERARC_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) {
      HYPERARC_UNROLL
      for (int q = 0; q < kQuads; ++q) {
        const int column = hopper::stageColumn(rows[r].staged, quadColumn<1>(q));
        const float4 four = *reinterpret_cast<const float4*>(stage + rows[r].staged * S::kDim + column);
        v[r][q][0] = four.x * rows[r].factor;
        v[r][q][1] = four.y * rows[r].factor;
        v[r][q][2] = four.z * rows[r].factor;
        v[r][q][3] = four.w * rows[r].factor;
      }
    }
    TargetRange own[kRowsAtOnce];
    HYPERARC_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) own[r] = {targets.begin, targets.begin};
    if (targets.begin < targets.end) {  // seldom: a segment has 64 of all classes
      HYPERARC_UNROLL
      for (int r = 0; r < kRowsAtOnce; ++r) own[r] = targetsAt(rows[r].position, targets);
    }
    int64_t index[kRowsAtOnce];
    HYPERARC_UNROLL
    for (int r = 0; r < kRowsAtOnce; ++r) index[r] = rows[r].index;
    // With AdamW the row's state does not fit: 76 bytes of spills at D = 256 (decision 29).
    finishRows<1, Updates::kSgd>(gradients.centers, index, gradients.targets, own, gradients.sink, v);
  }

  const GradientArguments& args_;
  float inverseNorm_[2];
  int32_t position_;  // of the row at half 0; beyond the classes it is no sample's target
};

}  // namespace hyperarc::cuda::wgmma
