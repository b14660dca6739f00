// What is done once a sample, O(B·D): target terms, loss and dX, coefficients of pass 2, the check of embeddings. One
// warp a sample, in double where docs/numerics.md says so: the same formulas as cpu/target_terms.cc and
// cpu/negatives.cc.
#include <cmath>

#include "kernels/finish_row.cuh"
#include "kernels/kernels.h"
#include "margins/margin.h"
#include "margins/negative.h"
#include "runtime/launch.h"

namespace hyperarc::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

HYPERARC_DEVICE int64_t sampleOfWarp() { return int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; }

LaunchShape warpPerSample(int64_t samples) {
  return {dim3(static_cast<unsigned>((samples + kWarps - 1) / kWarps)), dim3(kThreads)};
}

/// Element d of a centre: the master's value.
HYPERARC_DEVICE double weightAt(const CentersView& centers, int64_t row, int32_t d) {
  return centers.precision == Precision::kBf16Master ? toFloat(centers.weightsBf16[row * centers.dimPadded + d])
                                                     : centers.weights[row * centers.dim + d];
}

/// Σ over the warp's columns of term(d), the same bits in every lane.
template <typename Term>
HYPERARC_DEVICE double warpSum(int32_t dim, Term term) {
  double sum = 0.0;
  for (int32_t d = threadIdx.x % 32; d < dim; d += 32) sum += term(d);
  return groupSum<1>(sum);
}

struct Winner {
  int32_t subCenter;
  double inverseNorm;  // of its centre
  double dot;          // x·w
};

/// The sub-centre of the largest cosine, the first of equals.
HYPERARC_DEVICE Winner winningSubCenter(const CentersView& centers, const float* x, int64_t localClass) {
  Winner winner = {};
  double largest = -INFINITY;
  for (int32_t k = 0; k < centers.subCenters; ++k) {
    const int64_t row = localClass * centers.subCenters + k;
    const double dot = warpSum(centers.dim, [&](int32_t d) { return double{x[d]} * weightAt(centers, row, d); });
    const double squares = warpSum(centers.dim, [&](int32_t d) {
      const double w = weightAt(centers, row, d);
      return w * w;
    });
    const double inverse = inverseNormOf(squares);
    // ‖x‖ is common to all of them.
    const double candidate = dot * inverse;
    if (k == 0 || candidate > largest) winner = {k, inverse, dot};
    if (candidate > largest) largest = candidate;
  }
  return winner;
}

__global__ void __launch_bounds__(kThreads) targetTermsKernel(TargetTermsArgs args) {
  const int64_t i = sampleOfWarp();
  const int lane = threadIdx.x % 32;
  const CentersView& centers = args.centers;
  const int32_t dim = centers.dim;
  if (i >= paddedSamples(args.samples)) return;
  if (i >= args.samples) {
    if (lane == 0) args.scale[i] = args.shift[i] = args.threshold[i] = 0.0f;
    for (int32_t d = lane; args.unitBf16 != nullptr && d < centers.dimPadded; d += 32) {
      args.unitBf16[i * centers.dimPadded + d] = {0};
    }
    return;
  }

  const float* x = args.embeddings + i * dim;
  const double inverseX = inverseNormOf(warpSum(dim, [&](int32_t d) { return double{x[d]} * double{x[d]}; }));
  for (int32_t d = lane; d < dim; d += 32) args.unit[i * dim + d] = static_cast<float>(x[d] * inverseX);
  for (int32_t d = lane; args.unitBf16 != nullptr && d < centers.dimPadded; d += 32) {
    args.unitBf16[i * centers.dimPadded + d] = d < dim ? toBf16(static_cast<float>(x[d] * inverseX)) : Bf16{0};
  }
  const float* own = args.rowParameters + 4 * i;
  const margins::Row<double> row = {own[0], own[1], own[2], own[3]};
  if (lane == 0) {
    args.inverseNormsX[i] = static_cast<float>(inverseX);
    args.scale[i] = own[0];
    args.shift[i] = static_cast<float>(
        margins::firstShift(row.scale, row.m3, static_cast<double>(args.largestNegative), args.logTerms));
  }

  const int64_t localClass = args.localClass[i];
  const NegativeRule& negatives = args.rule.negatives;
  float threshold = negatives.threshold == NegativeThreshold::kFixed ? negatives.fixed : 0.0f;
  float targetCosine = 0.0f, slope = 0.0f;
  margins::Target<double> target = {};
  Winner winner = {};
  double cosine = 0.0, sine = 0.0;
  bool moves = false;
  if (localClass >= 0) {
    winner = winningSubCenter(centers, x, localClass);
    const int64_t centerRow = localClass * centers.subCenters + winner.subCenter;
    cosine = winner.dot * inverseX * winner.inverseNorm;
    const double squares = warpSum(dim, [&](int32_t d) {
      const double tangent = weightAt(centers, centerRow, d) * winner.inverseNorm - cosine * (x[d] * inverseX);
      return tangent * tangent;
    });
    // A zero vector is at a right angle to everything.
    const bool isZero = inverseX == 0.0 || winner.inverseNorm == 0.0;
    sine = isZero ? 1.0 : sqrt(squares);
    const margins::Angle<double> angle = margins::angleOf(cosine, sine);
    target = margins::target(row, angle, args.rule);
    if (negatives.threshold == NegativeThreshold::kTarget) {
      threshold = static_cast<float>(margins::targetThreshold(row, angle, args.rule));
    }
    moves = !isZero && !(sine < margins::kMinSine<double>);
    targetCosine = static_cast<float>(cosine);
    slope = moves ? static_cast<float>(target.h) : 0.0f;
  }
  if (lane == 0) {
    args.threshold[i] = threshold;
    args.targetLogits[i] = static_cast<float>(target.logit);
    args.targetCosine[i] = targetCosine;
    args.slope[i] = slope;
    args.byM1[i] = static_cast<float>(target.byM1);
    args.byM2[i] = static_cast<float>(target.byM2);
    args.winner[i] = winner.subCenter;
  }
  const int64_t centerRow = localClass * centers.subCenters + winner.subCenter;
  for (int32_t d = lane; d < dim; d += 32) {
    float tangentX = 0.0f, tangentW = 0.0f;
    if (moves) {
      const double unitX = x[d] * inverseX;
      const double unitW = weightAt(centers, centerRow, d) * winner.inverseNorm;
      tangentX = static_cast<float>((unitW - cosine * unitX) / sine);
      tangentW = static_cast<float>((unitX - cosine * unitW) / sine);
    }
    args.tangentX[i * dim + d] = tangentX;
    args.tangentW[i * dim + d] = tangentW;
  }
}

/// This shard's share of d(mean loss)/d(s, m1, m2, m3) of sample i, by one lane. `error` is 1 − p_i, `cosineSum`
/// Σ e_ij·c_ij of the shard's negatives over l_i.
HYPERARC_DEVICE void writeRowGradient(const FinishForwardArgs& args, int64_t i, double error, double cosineSum) {
  const double scale = args.scale[i];
  const double share = args.localClass[i] >= 0 ? error / static_cast<double>(args.samples) : 0.0;
  float* row = args.rowGradient + 4 * i;
  // Of a rule's N(c) the passes do not form Σ e·N(c).
  row[0] = args.hasNegativeRule ? bitsFloat(0x7fc00000u)
                                : static_cast<float>(error * cosineSum / static_cast<double>(args.samples) -
                                                     share * args.targetLogits[i] / scale);
  row[1] = static_cast<float>(-share * args.byM1[i]);
  row[2] = static_cast<float>(-share * args.byM2[i]);
  row[3] = static_cast<float>(share * scale * args.blend);
}

__global__ void __launch_bounds__(kThreads) finishForwardKernel(FinishForwardArgs args) {
  const int64_t i = sampleOfWarp();
  const int lane = threadIdx.x % 32;
  if (i >= paddedSamples(args.samples)) return;
  if (i >= args.samples) {
    if (lane == 0) args.gradientShift[i] = args.gradientFactor[i] = 0.0f;
    return;
  }
  // A NaN in the centres must reach the loss, hence !(… <= 0).
  const double sum = args.sumExp[i];
  const bool hasNegatives = !(sum <= 0.0);
  const double logit = args.targetLogits[i];
  const double gap = hasNegatives ? log(sum) + args.shift[i] - logit : 0.0;
  // fmax drops a NaN, the logarithm keeps it.
  const double softplus = hasNegatives ? fmax(gap, 0.0) + log1p(exp(-fabs(gap))) : 0.0;
  const double error = hasNegatives ? 1.0 / (1.0 + exp(-gap)) : 0.0;
  if (lane == 0) {
    args.loss[i] = static_cast<float>(softplus);
    args.targetError[i] = static_cast<float>(error);
    // q_ij·s_i = exp(s_i·c_ij − A); what rounding A to fp32 loses goes into the factor.
    const double offset = hasNegatives ? softplus + logit - log(double{args.scale[i]}) : 0.0;
    const float rounded = static_cast<float>(offset);
    args.gradientShift[i] = rounded;
    args.gradientFactor[i] = hasNegatives ? static_cast<float>(exp(rounded - offset)) : 0.0f;
  }
  const float* unit = args.unit + i * args.dim;
  const float* weighted = args.weightedSum + i * args.dim;
  const double inverse = double{args.inverseNormsX[i]} / static_cast<double>(args.samples);
  const double negativeFactor = hasNegatives ? args.scale[i] * error / sum : 0.0;
  const double targetFactor = -error * args.slope[i];
  const double along = warpSum(args.dim, [&](int32_t d) { return double{weighted[d]} * double{unit[d]}; });
  double cosineSum = along;
  if (args.unitBf16 != nullptr) {
    const Bf16* operand = args.unitBf16 + i * args.dimPadded;
    cosineSum = warpSum(args.dim, [&](int32_t d) { return double{weighted[d]} * double{toFloat(operand[d])}; });
  }
  if (lane == 0) writeRowGradient(args, i, error, hasNegatives ? cosineSum / sum : 0.0);
  for (int32_t d = lane; d < args.dim; d += 32) {
    const double tangent = weighted[d] - along * unit[d];
    args.embeddingGradient[i * args.dim + d] =
        static_cast<float>(inverse * (negativeFactor * tangent + targetFactor * args.tangentX[i * args.dim + d]));
  }
}

__global__ void targetCoefficientsKernel(const float* targetError, const float* slope, int64_t samples, double total,
                                         float* coefficient) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= samples) return;
  coefficient[i] = static_cast<float>(-double{targetError[i]} * slope[i] / total);
}

__global__ void findNonFiniteKernel(const float* values, int64_t count, unsigned long long* flag) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t n = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < count; n += stride) {
    if ((floatBits(values[n]) & 0x7f800000u) != 0x7f800000u) continue;
    // The lowest index wins, whatever the order of arrival; 0 stands for none.
    const unsigned long long found = static_cast<unsigned long long>(n) + 1;
    unsigned long long seen = *flag;
    while (seen == 0 || found < seen) {
      const unsigned long long before = atomicCAS(flag, seen, found);
      if (before == seen) break;
      seen = before;
    }
    return;
  }
}

}  // namespace

void launchTargetTerms(const TargetTermsArgs& args, cudaStream_t stream) {
  launch("targetTerms", targetTermsKernel, warpPerSample(paddedSamples(args.samples)), stream, args);
}

void launchFinishForward(const FinishForwardArgs& args, cudaStream_t stream) {
  launch("finishForward", finishForwardKernel, warpPerSample(paddedSamples(args.samples)), stream, args);
}

void launchTargetCoefficients(const float* targetError, const float* slope, int64_t samples, double total,
                              float* coefficient, cudaStream_t stream) {
  constexpr int kBlock = 256;
  if (samples == 0) return;
  launch("targetCoefficients", targetCoefficientsKernel,
         {dim3(static_cast<unsigned>((samples + kBlock - 1) / kBlock)), dim3(kBlock)}, stream, targetError, slope,
         samples, total, coefficient);
}

void launchFindNonFinite(const float* values, int64_t count, unsigned long long* flag, cudaStream_t stream) {
  constexpr int kBlock = 256;
  constexpr int64_t kMaxBlocks = 4096;
  if (count == 0) return;
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  launch("findNonFinite", findNonFiniteKernel,
         {dim3(static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks)), dim3(kBlock)}, stream, values, count,
         flag);
}

}  // namespace hyperarc::cuda
