// From cosines to softmax terms, in place: the maximum over sub-centres, e^(s·N(c) − shift)·factor, and what is left
// out (the sample's own class; classes that its step did not draw).
#pragma once

#include "kernels/finish_row.cuh"
#include "margins/negative.h"

namespace hyperarc::cuda::plain {

inline constexpr int kTermThreads = 256;

/// e^(s·c − shift). Near the largest cosines the exponent is about 64, where its rounding alone would be 4e-6 of the
/// result: what rounding loses is kept and put back.
HYPERARC_HD float expOfScaled(float scale, float cosine, float shift) {
#ifdef __CUDA_ARCH__
  const float product = __fmul_rn(scale, cosine);
  const float exponent = __fsub_rn(product, shift);
  const float productError = fmaf(scale, cosine, -product);
  // Knuth's two-sum.
  const float back = __fsub_rn(exponent, product);
  const float sumError = __fadd_rn(__fsub_rn(product, __fsub_rn(exponent, back)), __fsub_rn(-shift, back));
  const float value = expf(exponent);
#else
  const volatile float product = scale * cosine;
  const volatile float exponent = product - shift;
  const float productError = __builtin_fmaf(scale, cosine, -product);
  const volatile float back = exponent - product;
  const volatile float kept = exponent - back;
  const float sumError = (product - kept) + (-shift - back);
  const float value = __builtin_expf(exponent);
#endif
  return value + value * (productError + sumError);
}

/// e^exponent for an exponent that is known beyond fp32.
HYPERARC_HD float expOfDouble(double exponent) {
  const float rounded = static_cast<float>(exponent);
  const float value = expf(rounded);
  return value + value * static_cast<float>(exponent - rounded);
}

struct SoftmaxTerms {
  /// Cosines [samples, classes·K]; on return the terms by N'(c): the winner's, 0 for its fellows.
  float* scores;
  int64_t classes;        // of this chunk
  int64_t firstPosition;  // position of its first class
  int32_t subCenters;     // K
  const float* scale;     // [samples]
  const float* shift;     // [samples]
  const float* factor;    // [samples], null for 1
  float commonFactor;
  const int32_t* targetPosition;  // [samples]
  const uint8_t* hasClass;        // [steps, passClasses] or null
  const int32_t* stepOfSample;    // [samples]
  int64_t passClasses;
  NegativeRule rule;               // where the kernel has rules: as in CenterGradients
  const NegativeRule* ruleOfStep;  // or null
  const float* threshold;          // [samples]
  double* sums;                    // += Σ of the sample's terms [samples], or null
};

/// One block a sample. N(c) and its logit are taken in double: where N is steep, fp32 would add to the cosine's error.
template <bool kHasRule>
static __global__ void __launch_bounds__(kTermThreads) softmaxTermsKernel(SoftmaxTerms args) {
  const int64_t i = blockIdx.x;
  const float scale = args.scale[i];
  const float shift = args.shift[i];
  const float factor = args.factor == nullptr ? 1.0f : args.factor[i] * args.commonFactor;
  const int64_t target = args.targetPosition[i] < 0 ? -1 : args.targetPosition[i] - args.firstPosition;
  const uint8_t* hasClass =
      args.hasClass == nullptr ? nullptr : args.hasClass + args.stepOfSample[i] * args.passClasses + args.firstPosition;
  const int32_t subCenters = args.subCenters;
  NegativeRule rule;
  float threshold = 0.0f;
  if constexpr (kHasRule) {
    rule = args.ruleOfStep == nullptr ? args.rule : args.ruleOfStep[args.stepOfSample[i]];
    threshold = args.threshold[i];
  }
  double sum = 0.0;
  for (int64_t j = threadIdx.x; j < args.classes; j += kTermThreads) {
    float* scores = args.scores + (i * args.classes + j) * subCenters;
    float best = scores[0];
    int32_t winner = 0;
    for (int32_t k = 1; k < subCenters; ++k) {
      const float candidate = scores[k];
      // A NaN wins, so that it is not lost with the sub-centre that holds it.
      const bool isNan = candidate != candidate;
      if (candidate > best || isNan) {
        best = candidate;
        winner = isNan ? 0 : k;
      }
    }
    // A factor of 0 belongs to a sample without negatives, whose shift does not bound the exponential.
    const bool isOut = j == target || factor == 0.0f || (hasClass != nullptr && hasClass[j] == 0);
    float value = 0.0f, weight = 0.0f;
    if constexpr (kHasRule) {
      if (!isOut) {
        const margins::Negative<double> negative = margins::negative(rule, threshold, double{best});
        value = expOfDouble(scale * negative.value - shift) * factor;
        weight = value * static_cast<float>(negative.slope);
      }
    } else {
      weight = value = isOut ? 0.0f : expOfScaled(scale, best, shift) * factor;
    }
    for (int32_t k = 0; k < subCenters; ++k) scores[k] = k == winner ? weight : 0.0f;
    sum += value;
  }
  if (args.sums == nullptr) return;
  sum = groupSum<kTermThreads / 32>(sum);
  if (threadIdx.x == 0) args.sums[i] += sum;
}

}  // namespace hyperarc::cuda::plain
