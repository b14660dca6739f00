// The plain kernels: both passes for any D, K and precision in fp32 arithmetic, the most accurate of the families and
// the one that takes a mask. Classes and samples are cut into chunks; of each pair of chunks the cosines, then softmax
// terms, are held (at most 64 MB, never B × C), between two matrix products. docs/kernels/plain.md.
#include <algorithm>

#include "kernels/finish_row.cuh"
#include "kernels/kernels.h"
#include "kernels/plain/multiply.cuh"
#include "kernels/plain/softmax_terms.cuh"
#include "kernels/row_launch.cuh"
#include "passes.h"
#include "runtime/launch.h"

namespace hyperarc::cuda {

namespace plain {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kSamplesPerChunk = 2048;
constexpr int64_t kRowsPerChunk = 8192;
/// Numbers of a chunk of rows [rows, D].
constexpr int64_t kRowNumbers = int64_t{16} << 20;
/// Depth of a split of pass 1's second product at least, and blocks that are enough to fill a device.
constexpr int64_t kSplitDepth = 512;
constexpr int64_t kEnoughBlocks = 512;

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// How a call is cut: a function of its shape alone, since the cuts decide the order of sums.
struct Cut {
  int64_t samples;  // of a chunk
  int64_t classes;  // of a chunk
  int64_t rows;     // classes·K
  int64_t splits;   // of the sum over rows in U

  Cut(const CentersView& centers, int64_t passClasses, int64_t passSamples) {
    const int64_t most = std::min(kRowsPerChunk, kRowNumbers / centers.dim);
    classes = std::max<int64_t>(1, std::min(passClasses, most / centers.subCenters));
    rows = classes * centers.subCenters;
    samples = std::min(passSamples, kSamplesPerChunk);
    const int64_t tiles = ceilDivide(samples, kTileLeft) * ceilDivide(centers.dim, kTileRight);
    splits = std::clamp<int64_t>(kEnoughBlocks / std::max<int64_t>(tiles, 1), 1, ceilDivide(rows, kSplitDepth));
  }
};

/// Parts of one call's scratch. Without memory it only counts.
class Scratch {
 public:
  explicit Scratch(void* memory = nullptr) : memory_(static_cast<char*>(memory)) {}

  template <typename T>
  T* part(int64_t count) {
    constexpr int64_t kAlignment = 256;
    T* result = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + bytes_);
    bytes_ += ceilDivide(count * static_cast<int64_t>(sizeof(T)), kAlignment) * kAlignment;
    return result;
  }
  int64_t bytes() const { return bytes_; }

 private:
  char* memory_;
  int64_t bytes_ = 0;
};

/// Both operands of a pair of chunks in fp32, and what becomes of them.
struct PairScratch {
  float* unitRows;  // ŵ [rows, D]
  float* samples;   // x̂ [samples, D] where it is kept in bf16
  float* scores;    // [samples, rows]

  PairScratch(const CentersView& centers, const Cut& cut, Scratch& scratch)
      : unitRows(scratch.part<float>(cut.rows * centers.dim)),
        samples(scratch.part<float>(centers.precision == Precision::kFp32 ? 0 : cut.samples * centers.dim)),
        scores(scratch.part<float>(cut.samples * cut.rows)) {}
};

struct SumScratch {
  PairScratch pair;
  float* partials;      // U of a pair of chunks by split [splits, samples, D]
  double* weightedSum;  // U of the chunk's samples [samples, D]
  double* sumExp;       // [samples]

  SumScratch(const CentersView& centers, const Cut& cut, Scratch& scratch)
      : pair(centers, cut, scratch),
        partials(scratch.part<float>(cut.splits * cut.samples * centers.dim)),
        weightedSum(scratch.part<double>(cut.samples * centers.dim)),
        sumExp(scratch.part<double>(cut.samples)) {}
};

struct GradientScratch {
  PairScratch pair;
  float* gradient;  // dŴ [rows, D]

  GradientScratch(const CentersView& centers, const Cut& cut, Scratch& scratch)
      : pair(centers, cut, scratch), gradient(scratch.part<float>(cut.rows * centers.dim)) {}
};

LaunchShape threadPerItem(int64_t items) {
  return {dim3(static_cast<unsigned>(ceilDivide(items, kThreads))), dim3(kThreads)};
}

HYPERARC_DEVICE int64_t itemOfThread() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

HYPERARC_DEVICE int64_t classAt(const ClassList& classes, int64_t position) {
  return classes.list == nullptr ? position : classes.list[position];
}

/// ŵ of the rows of the classes at positions from `firstPosition`: [rows, D]. The operand of the bf16 precisions is the
/// bf16 row.
__global__ void __launch_bounds__(kThreads)
    packUnitRowsKernel(CentersView centers, ClassList classes, int64_t firstPosition, int64_t rows, float* out) {
  // A chunk has at most 16M numbers: its divisions are of 32 bits.
  const uint32_t item = static_cast<uint32_t>(itemOfThread());
  if (item >= rows * centers.dim) return;
  const uint32_t n = item / static_cast<uint32_t>(centers.dim);
  const uint32_t d = item % static_cast<uint32_t>(centers.dim);
  const int64_t localClass = classAt(classes, firstPosition + n / centers.subCenters);
  const int64_t row = localClass * centers.subCenters + n % centers.subCenters;
  const float w = centers.precision == Precision::kFp32 ? centers.weights[row * centers.dim + d]
                                                        : toFloat(centers.weightsBf16[row * centers.dimPadded + d]);
  out[item] = w * centers.inverseNorms[row];
}

/// out [split][leftLines, rightLines] (+)= left · rightᵀ over the split's depth.
template <bool kLeftAlong, bool kRightAlong>
__global__ void __launch_bounds__(kTileThreads, 2)
    multiplyKernel(Matrix<kLeftAlong> left, Matrix<kRightAlong> right, int64_t depth, int64_t depthPerSplit, float* out,
                   bool accumulate) {
  __shared__ TileShared shared;
  const int64_t firstLeft = int64_t{blockIdx.y} * kTileLeft;
  const int64_t firstRight = int64_t{blockIdx.x} * kTileRight;
  const int64_t depthBegin = int64_t{blockIdx.z} * depthPerSplit;
  const int64_t depthEnd = depthBegin + depthPerSplit < depth ? depthBegin + depthPerSplit : depth;
  float sum[kOwnLeft][kOwnRight];
  multiplyTile(left, right, firstLeft, firstRight, depthBegin, depthEnd, shared, sum);
  out += blockIdx.z * left.lines * right.lines;
  HYPERARC_UNROLL
  for (int l = 0; l < kOwnLeft; ++l) {
    const int64_t line = firstLeft + ownLeft() + l;
    HYPERARC_UNROLL
    for (int r = 0; r < kOwnRight; ++r) {
      const int64_t column = firstRight + ownRight() + r;
      if (line >= left.lines || column >= right.lines) continue;
      float* element = out + line * right.lines + column;
      *element = accumulate ? *element + sum[l][r] : sum[l][r];
    }
  }
}

template <bool kLeftAlong, bool kRightAlong>
void multiply(const char* name, const Matrix<kLeftAlong>& left, const Matrix<kRightAlong>& right, int64_t depth,
              int64_t splits, float* out, bool accumulate, cudaStream_t stream) {
  const int64_t depthPerSplit = ceilDivide(ceilDivide(depth, splits), kTileDepth) * kTileDepth;
  const dim3 grid(static_cast<unsigned>(ceilDivide(right.lines, kTileRight)),
                  static_cast<unsigned>(ceilDivide(left.lines, kTileLeft)), static_cast<unsigned>(splits));
  launch(name, multiplyKernel<kLeftAlong, kRightAlong>, {grid, dim3(kTileThreads)}, stream, left, right, depth,
         depthPerSplit, out, accumulate);
}

/// sums[n] += Σ_split partials[split][n], in order and in double: U gathers from many chunks.
__global__ void __launch_bounds__(kThreads)
    addPartialsKernel(const float* partials, int64_t splits, int64_t count, double* sums) {
  const int64_t item = itemOfThread();
  if (item >= count) return;
  double sum = sums[item];
  for (int64_t split = 0; split < splits; ++split) sum += partials[split * count + item];
  sums[item] = sum;
}

__global__ void __launch_bounds__(kThreads) roundSumsKernel(const double* sums, int64_t count, float* out) {
  const int64_t item = itemOfThread();
  if (item < count) out[item] = static_cast<float>(sums[item]);
}

template <int kWarps, Updates kUpdates>
__global__ void __launch_bounds__(RowLaunch<kWarps>::kThreads)
    finishRowsKernel(CentersView centers, ClassList classes, int64_t firstPosition, int64_t rows, const float* gradient,
                     TargetsView targets, GradientSink sink) {
  const int64_t item = RowLaunch<kWarps>::item();
  if (item >= rows) return;
  const int64_t position = firstPosition + item / centers.subCenters;
  const int64_t row = classAt(classes, position) * centers.subCenters + item % centers.subCenters;
  float v[1][kRowQuads][4];
  HYPERARC_UNROLL
  for (int q = 0; q < kRowQuads; ++q) {
    loadQuad(gradient + item * centers.dim, quadColumn<kWarps>(q), centers.dim, v[0][q]);
  }
  finishRows<kWarps, kUpdates>(centers, {row}, targets, {targetsOf(targets, position, position + 1)}, sink, v);
}

/// x̂ of samples from `first` in fp32: as it is kept, or widened into scratch.
const float* unitSamples(const CentersView& centers, const SamplesView& samples, int64_t first, int64_t count,
                         const PairScratch& scratch, cudaStream_t stream) {
  if (centers.precision == Precision::kFp32) return samples.unit + first * centers.dim;
  launchWidenRows(samples.unitBf16 + first * centers.dimPadded, centers.dimPadded, centers.dim, count, scratch.samples,
                  stream);
  return scratch.samples;
}

void packUnitRows(const CentersView& centers, const ClassList& classes, int64_t firstPosition, int64_t rows,
                  const PairScratch& scratch, cudaStream_t stream) {
  launch("plainPackUnitRows", packUnitRowsKernel, threadPerItem(rows * centers.dim), stream, centers, classes,
         firstPosition, rows, scratch.unitRows);
}

class PlainPasses final : public Passes {
 public:
  std::string name() const override { return "plain-fp32"; }
  bool supportsMask() const override { return true; }

  int64_t workspaceBytes(const CentersView& centers, int64_t classes, bool, int64_t samples) const override {
    const Cut cut(centers, classes, samples);
    Scratch sums, gradients;
    SumScratch(centers, cut, sums);
    GradientScratch(centers, cut, gradients);
    return std::max(sums.bytes(), gradients.bytes());
  }

  void negativeSums(const NegativeSums& args, Workspace& workspace, cudaStream_t stream) override {
    const CentersView& centers = args.centers;
    const int32_t dim = centers.dim;
    const Cut cut(centers, args.classes.count, args.samples.samples);
    Scratch memory(workspace.take(workspaceBytes(centers, args.classes.count, false, args.samples.samples)));
    const SumScratch scratch(centers, cut, memory);
    for (int64_t i0 = 0; i0 < args.samples.samples; i0 += cut.samples) {
      const int64_t samples = std::min(cut.samples, args.samples.samples - i0);
      const float* unit = unitSamples(centers, args.samples, i0, samples, scratch.pair, stream);
      const Matrix<true> left = {unit, dim, samples};
      check(cudaMemsetAsync(scratch.weightedSum, 0, samples * dim * sizeof(double), stream), "plainSums");
      check(cudaMemsetAsync(scratch.sumExp, 0, samples * sizeof(double), stream), "plainSums");
      for (int64_t p0 = 0; p0 < args.classes.count; p0 += cut.classes) {
        const int64_t classes = std::min(cut.classes, args.classes.count - p0);
        const int64_t rows = classes * centers.subCenters;
        packUnitRows(centers, args.classes, p0, rows, scratch.pair, stream);
        multiply("plainCosines", left, Matrix<true>{scratch.pair.unitRows, dim, rows}, dim, 1, scratch.pair.scores,
                 false, stream);
        const SoftmaxTerms terms = {.scores = scratch.pair.scores,
                                    .classes = classes,
                                    .firstPosition = p0,
                                    .subCenters = centers.subCenters,
                                    .scale = args.samples.scale + i0,
                                    .shift = args.samples.shift + i0,
                                    .factor = nullptr,
                                    .commonFactor = 1.0f,
                                    .targetPosition = args.samples.targetPosition + i0,
                                    .hasClass = nullptr,
                                    .stepOfSample = nullptr,
                                    .passClasses = args.classes.count,
                                    .rule = args.rule,
                                    .ruleOfStep = nullptr,
                                    .threshold = args.samples.threshold + i0,
                                    .sums = scratch.sumExp};
        launchTerms(terms, samples, stream);
        multiply("plainWeightedSum", Matrix<true>{scratch.pair.scores, static_cast<int32_t>(rows), samples},
                 Matrix<false>{scratch.pair.unitRows, dim, dim}, rows, cut.splits, scratch.partials, false, stream);
        launch("plainAddPartials", addPartialsKernel, threadPerItem(samples * dim), stream, scratch.partials,
               cut.splits, samples * dim, scratch.weightedSum);
      }
      launch("plainRoundSums", roundSumsKernel, threadPerItem(samples * dim), stream, scratch.weightedSum,
             samples * dim, args.weightedSum + i0 * dim);
      launch("plainRoundSums", roundSumsKernel, threadPerItem(samples), stream, scratch.sumExp, samples,
             args.sumExp + i0);
    }
  }

  void centerGradients(const CenterGradients& args, Workspace& workspace, cudaStream_t stream) override {
    const CentersView& centers = args.centers;
    const int32_t dim = centers.dim;
    const Cut cut(centers, args.classes.count, args.samples.samples);
    Scratch memory(workspace.take(workspaceBytes(centers, args.classes.count, false, args.samples.samples)));
    const GradientScratch scratch(centers, cut, memory);
    for (int64_t p0 = 0; p0 < args.classes.count; p0 += cut.classes) {
      const int64_t classes = std::min(cut.classes, args.classes.count - p0);
      const int64_t rows = classes * centers.subCenters;
      packUnitRows(centers, args.classes, p0, rows, scratch.pair, stream);
      for (int64_t i0 = 0; i0 < args.samples.samples; i0 += cut.samples) {
        const int64_t samples = std::min(cut.samples, args.samples.samples - i0);
        const float* unit = unitSamples(centers, args.samples, i0, samples, scratch.pair, stream);
        multiply("plainCosines", Matrix<true>{unit, dim, samples}, Matrix<true>{scratch.pair.unitRows, dim, rows}, dim,
                 1, scratch.pair.scores, false, stream);
        const SoftmaxTerms terms = {.scores = scratch.pair.scores,
                                    .classes = classes,
                                    .firstPosition = p0,
                                    .subCenters = centers.subCenters,
                                    .scale = args.samples.scale + i0,
                                    .shift = args.samples.gradientShift + i0,
                                    .factor = args.samples.gradientFactor + i0,
                                    .commonFactor = args.inverseTotal,
                                    .targetPosition = args.samples.targetPosition + i0,
                                    .hasClass = args.hasClass,
                                    .stepOfSample = args.stepOfSample == nullptr ? nullptr : args.stepOfSample + i0,
                                    .passClasses = args.classes.count,
                                    .rule = args.rule,
                                    .ruleOfStep = args.ruleOfStep,
                                    .threshold = args.samples.threshold + i0,
                                    .sums = nullptr};
        launchTerms(terms, samples, stream);
        multiply("plainCenterGradient", Matrix<false>{scratch.pair.scores, static_cast<int32_t>(rows), rows},
                 Matrix<false>{unit, dim, dim}, samples, 1, scratch.gradient, i0 > 0, stream);
      }
      withRowWarps(centers.dim, [&](auto warps) {
        // Without an update either does.
        const bool isAdamW = args.sink.isUpdate && args.sink.update.isAdamW;
        const auto kernel =
            isAdamW ? finishRowsKernel<warps(), Updates::kAdamW> : finishRowsKernel<warps(), Updates::kSgd>;
        launch("plainFinishRows", kernel, RowLaunch<warps()>::shape(rows), stream, centers, args.classes, p0, rows,
               scratch.gradient, args.targets, args.sink);
      });
    }
  }

 private:
  static void launchTerms(const SoftmaxTerms& terms, int64_t samples, cudaStream_t stream) {
    const LaunchShape shape = {dim3(static_cast<unsigned>(samples)), dim3(kTermThreads)};
    if (terms.rule.threshold == NegativeThreshold::kNone) {
      launch("plainSoftmaxTerms", softmaxTermsKernel<false>, shape, stream, terms);
    } else {
      launch("plainSoftmaxTerms with a negative rule", softmaxTermsKernel<true>, shape, stream, terms);
    }
  }
};

}  // namespace
}  // namespace plain

std::unique_ptr<Passes> makePlainPasses(const Device&) { return std::make_unique<plain::PlainPasses>(); }

}  // namespace hyperarc::cuda
