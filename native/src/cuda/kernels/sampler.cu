// Partial FC's sampler: exactly the classes of cpu/sampler.cc (docs/numerics.md, "Sampler"). The keys are drawn anew in
// each sweep instead of being kept: three sweeps count them by 11, 11 and 10 bits and so find the largest key that is
// in (the threshold), one counts what each tile of classes keeps, and one writes. Of classes whose key equals the
// threshold the lowest are in. Counts are sums of integers, so the order in which blocks arrive changes nothing.
#include "device/philox.h"
#include "kernels/finish_row.cuh"
#include "kernels/kernels.h"
#include "runtime/launch.h"

namespace hyperarc::cuda {

namespace {

constexpr int kThreads = 256;
/// Classes a thread draws at once: the words of one Philox counter.
constexpr int kWords = 4;
constexpr int kClassesPerRound = kThreads * kWords;
/// A block's share of the classes. Two counts of each tile are all the scratch that grows with C.
constexpr int kRoundsPerTile = 16;
constexpr int64_t kClassesPerTile = int64_t{kClassesPerRound} * kRoundsPerTile;

constexpr int kDigits = 3;
constexpr int kBins = 2048;

HYPERARC_HD constexpr int digitShift(int digit) { return digit == 0 ? 21 : digit == 1 ? 10 : 0; }
HYPERARC_HD constexpr int digitBins(int digit) { return digit == 2 ? 1024 : 2048; }

struct Scratch {
  uint32_t counts[kDigits][kBins];
  /// The threshold's bits found so far; and how many more classes are wanted from those that share them.
  uint32_t threshold;
  uint32_t missing;
};

/// What a tile keeps: certainly (positives, and keys below the threshold), and perhaps (keys equal to it).
struct TileCount {
  uint32_t certain;
  uint32_t equal;
};

/// Bits of the masks: one a word.
struct Draw {
  uint32_t key[kWords];
  uint32_t classes;  // below C
  uint32_t positives;
};

/// The keys of the classes [first, first + 4); first is a multiple of 4.
HYPERARC_DEVICE Draw drawClasses(const SamplerArgs& args, int64_t first) {
  Draw draw = {};
  if (first >= args.classes) return draw;
  const PhiloxWords words = philox({{static_cast<uint32_t>(first / kWords), args.shard,
                                     static_cast<uint32_t>(args.step), static_cast<uint32_t>(args.step >> 32)}},
                                   args.seed);
  const int32_t count = static_cast<int32_t>(args.positiveCount);
  int32_t next = lowerBound(args.positives, count, first);
  HYPERARC_UNROLL
  for (int w = 0; w < kWords; ++w) {
    draw.key[w] = words.word[w];
    if (first + w < args.classes) draw.classes |= 1u << w;
    if (next < count && args.positives[next] == first + w) {
      draw.positives |= 1u << w;
      ++next;
    }
  }
  return draw;
}

/// Which of the drawn classes are in for certain, and which are if there is room.
struct Kept {
  uint32_t certain;
  uint32_t equal;
};

HYPERARC_DEVICE Kept keptOf(const Draw& draw, uint32_t threshold) {
  Kept kept = {draw.positives, 0};
  HYPERARC_UNROLL
  for (int w = 0; w < kWords; ++w) {
    const uint32_t bit = draw.classes & ~draw.positives & 1u << w;
    if (draw.key[w] < threshold) kept.certain |= bit;
    if (draw.key[w] == threshold) kept.equal |= bit;
  }
  return kept;
}

HYPERARC_DEVICE int64_t firstClassOf(int round) {
  return int64_t{blockIdx.x} * kClassesPerTile + int64_t{round} * kClassesPerRound + threadIdx.x * kWords;
}

__global__ void startKernel(Scratch* scratch, uint32_t missing) { scratch->missing = missing; }

/// Counts the negatives whose higher digits are the threshold's, by the digit `digit` of their keys.
__global__ void __launch_bounds__(kThreads) countDigitKernel(SamplerArgs args, Scratch* scratch, int digit) {
  __shared__ uint32_t counts[kBins];
  for (int bin = threadIdx.x; bin < kBins; bin += kThreads) counts[bin] = 0;
  __syncthreads();
  const int shift = digitShift(digit);
  const uint32_t digitMask = digitBins(digit) - 1;
  // The bits above this digit.
  const uint32_t known = digit == 0 ? 0u : ~0u << digitShift(digit - 1);
  const uint32_t threshold = scratch->threshold;
  for (int round = 0; round < kRoundsPerTile; ++round) {
    const Draw draw = drawClasses(args, firstClassOf(round));
    HYPERARC_UNROLL
    for (int w = 0; w < kWords; ++w) {
      const bool isNegative = draw.classes >> w & ~(draw.positives >> w) & 1u;
      if (!isNegative || (draw.key[w] & known) != threshold) continue;
      atomicAdd(&counts[draw.key[w] >> shift & digitMask], 1u);
    }
  }
  __syncthreads();
  for (int bin = threadIdx.x; bin < kBins; bin += kThreads) {
    if (counts[bin] != 0) atomicAdd(&scratch->counts[digit][bin], counts[bin]);
  }
}

/// Sum of `value` over the threads before this one; *total over all. Every thread of the block calls.
HYPERARC_DEVICE uint32_t sumBefore(uint32_t value, uint32_t* total) {
  __shared__ uint32_t warpSums[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  uint32_t inclusive = value;
  for (int offset = 1; offset < 32; offset *= 2) {
    const uint32_t other = __shfl_up_sync(0xffffffffu, inclusive, offset);
    if (lane >= offset) inclusive += other;
  }
  __syncthreads();
  if (lane == 31) warpSums[warp] = inclusive;
  __syncthreads();
  uint32_t before = 0, all = 0;
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w < warp) before += warpSums[w];
    all += warpSums[w];
  }
  *total = all;
  return before + inclusive - value;
}

/// One block: the bin in which the running count reaches `missing` is the threshold's digit.
__global__ void __launch_bounds__(kThreads) chooseDigitKernel(Scratch* scratch, int digit) {
  constexpr int kBinsPerThread = kBins / kThreads;
  const uint32_t missing = scratch->missing;
  const uint32_t* counts = scratch->counts[digit] + threadIdx.x * kBinsPerThread;
  uint32_t sum = 0, total = 0;
  for (int n = 0; n < kBinsPerThread; ++n) sum += counts[n];
  uint32_t before = sumBefore(sum, &total);
  // sumBefore has barriers: every thread has read `missing` by now.
  if (missing == 0) return;  // nothing is wanted, and no key is below 0
  for (int n = 0; n < kBinsPerThread; ++n) {
    const uint32_t count = counts[n];
    if (before < missing && missing <= before + count) {
      scratch->threshold |= static_cast<uint32_t>(threadIdx.x * kBinsPerThread + n) << digitShift(digit);
      scratch->missing = missing - before;
    }
    before += count;
  }
}

__global__ void __launch_bounds__(kThreads)
    countTilesKernel(SamplerArgs args, const Scratch* scratch, TileCount* tiles) {
  const uint32_t threshold = scratch->threshold;
  uint32_t certain = 0, equal = 0;
  for (int round = 0; round < kRoundsPerTile; ++round) {
    const Kept kept = keptOf(drawClasses(args, firstClassOf(round)), threshold);
    certain += __popc(kept.certain);
    equal += __popc(kept.equal);
  }
  TileCount total;
  sumBefore(certain, &total.certain);
  sumBefore(equal, &total.equal);
  if (threadIdx.x == 0) tiles[blockIdx.x] = total;
}

/// One block: each tile's counts become the sums over the tiles before it.
__global__ void __launch_bounds__(kThreads) sumTilesKernel(TileCount* tiles, int64_t count) {
  TileCount carried = {};
  for (int64_t first = 0; first < count; first += kThreads) {
    const int64_t n = first + threadIdx.x;
    const TileCount own = n < count ? tiles[n] : TileCount{};
    TileCount total;
    const TileCount before = {sumBefore(own.certain, &total.certain), sumBefore(own.equal, &total.equal)};
    if (n < count) tiles[n] = {carried.certain + before.certain, carried.equal + before.equal};
    carried.certain += total.certain;
    carried.equal += total.equal;
  }
}

__global__ void __launch_bounds__(kThreads)
    writeClassesKernel(SamplerArgs args, const Scratch* scratch, const TileCount* tiles) {
  const uint32_t threshold = scratch->threshold;
  const uint32_t missing = scratch->missing;
  TileCount before = tiles[blockIdx.x];
  for (int round = 0; round < kRoundsPerTile; ++round) {
    const int64_t first = firstClassOf(round);
    const Kept kept = keptOf(drawClasses(args, first), threshold);
    TileCount total;
    uint32_t certainBefore = before.certain + sumBefore(__popc(kept.certain), &total.certain);
    uint32_t equalBefore = before.equal + sumBefore(__popc(kept.equal), &total.equal);
    HYPERARC_UNROLL
    for (int w = 0; w < kWords; ++w) {
      const uint32_t certain = kept.certain >> w & 1u, equal = kept.equal >> w & 1u;
      // Of the equal ones before this class the first `missing` are in.
      const uint32_t place = certainBefore + (equalBefore < missing ? equalBefore : missing);
      if (certain != 0 || (equal != 0 && equalBefore < missing)) args.out[place] = static_cast<int32_t>(first + w);
      certainBefore += certain;
      equalBefore += equal;
    }
    before.certain += total.certain;
    before.equal += total.equal;
  }
}

}  // namespace

void launchSampler(const SamplerArgs& args, Workspace& workspace, cudaStream_t stream) {
  if (args.total == 0) return;
  const int64_t tiles = (args.classes + kClassesPerTile - 1) / kClassesPerTile;
  const int64_t bytes = static_cast<int64_t>(sizeof(Scratch)) + tiles * static_cast<int64_t>(sizeof(TileCount));
  auto* scratch = static_cast<Scratch*>(workspace.take(bytes));
  auto* tileCounts = reinterpret_cast<TileCount*>(scratch + 1);
  check(cudaMemsetAsync(scratch, 0, sizeof(Scratch), stream), "sampler");
  launch("startSampler", startKernel, {dim3(1), dim3(1)}, stream, scratch,
         static_cast<uint32_t>(args.total - args.positiveCount));
  const LaunchShape grid = {dim3(static_cast<unsigned>(tiles)), dim3(kThreads)};
  const LaunchShape oneBlock = {dim3(1), dim3(kThreads)};
  for (int digit = 0; digit < kDigits; ++digit) {
    launch("countDigit", countDigitKernel, grid, stream, args, scratch, digit);
    launch("chooseDigit", chooseDigitKernel, oneBlock, stream, scratch, digit);
  }
  launch("countTiles", countTilesKernel, grid, stream, args, scratch, tileCounts);
  launch("sumTiles", sumTilesKernel, oneBlock, stream, tileCounts, tiles);
  launch("writeClasses", writeClassesKernel, grid, stream, args, scratch, tileCounts);
}

}  // namespace hyperarc::cuda
