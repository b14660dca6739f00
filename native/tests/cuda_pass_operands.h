// One call of each big pass on operands made by hand, and the same in double from the operands as the device has them.
#pragma once

#if HYPERARC_WITH_CUDA

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "passes.h"
#include "reference.h"
#include "runtime/device.h"

namespace hyperarc::test {

/// What decides a pass's operands.
struct PassShape {
  int64_t samples = 1;
  int64_t classes = 1;
  int32_t dim = 128;
  Precision precision = Precision::kBf16Compute;
  bool isList = false;  // about half of the classes take part
  bool hasMomentum = true;
  int64_t firstGlobalRow = 0;
  uint32_t seed = 1;
  float largestScale = 64.0f;
  NegativeRule rule = {};
};

/// Host copies, in the layouts of cuda/views.h. Planted: a sample near a wrong class, one near its own, a zero centre,
/// a zero embedding, a sample without gradient, samples of one class, samples whose class is elsewhere. Of a negative
/// rule each sample has its own threshold, no cosine within 1e-5 of it.
struct PassOperands {
  explicit PassOperands(const PassShape& shape);

  int64_t positions() const { return shape.isList ? static_cast<int64_t>(list.size()) : shape.classes; }
  int64_t classAt(int64_t position) const { return shape.isList ? list[position] : position; }
  /// The master's element, as the projection and the update see it.
  double master(int64_t row, int32_t d) const;
  /// Σ_d bf16(x̂)·bf16(w)·(1/‖w‖).
  double cosine(int64_t sample, int64_t row) const;

  PassShape shape;
  int32_t dimPadded;
  std::vector<float> weights, momentum;               // [C, D]
  std::vector<cuda::Bf16> weightsBf16, momentumBf16;  // [C, Dp]
  std::vector<float> inverseNorms;                    // [C]
  std::vector<int32_t> list;
  std::vector<float> unit;                                         // [B, D]
  std::vector<cuda::Bf16> unitBf16;                                // [Bp, Dp]
  std::vector<float> scale, shift, gradientShift, gradientFactor;  // [Bp]
  std::vector<int32_t> targetPosition;                             // [Bp]
  std::vector<float> threshold;                                    // [Bp]
  std::vector<int32_t> targetPositions, targetSamples, winner;     // TargetsView
  std::vector<float> coefficient, tangentW;
  float inverseTotal;

 private:
  void makeCenters();
  void makeSamples();
  void makeThresholds();
  void makeTargets();
  void makeGradientTerms();
};

struct PassSums {
  std::vector<float> sumExp;       // [B]
  std::vector<float> weightedSum;  // [B, D]
};
PassSums runNegativeSums(const PassOperands& operands, cuda::Passes& passes);

struct ExactSums {
  Doubles sumExp;
  Doubles weightedSum;
  int64_t above = 0;  // negatives above their sample's threshold
};
ExactSums exactNegativeSums(const PassOperands& operands);

/// dW [C, D]; rows that do not take part keep 7.
std::vector<float> runDenseGradients(const PassOperands& operands, cuda::Passes& passes);
/// The same in double; rows that do not take part are 7.
Doubles exactDenseGradients(const PassOperands& operands);

struct UpdatedCenters {
  std::vector<float> weights, momentum, inverseNorms;
  std::vector<cuda::Bf16> weightsBf16, momentumBf16;
};
UpdatedCenters runUpdate(const PassOperands& operands, cuda::Passes& passes, const cuda::UpdateView& sgd);

#ifdef HYPERARC_EMULATED
/// Which bytes of the centres pass 2 prefetched, and in how many requests.
struct PrefetchedCenters {
  struct Buffer {
    std::vector<bool> bytes;
    int64_t requests = 0;
  };
  Buffer weights, momentum;  // of the precision's own
  Buffer inverseNorms;       // of lines, the bytes that were asked for
};
PrefetchedCenters prefetchedByUpdate(const PassOperands& operands, cuda::Passes& passes);
PrefetchedCenters prefetchedByDenseGradients(const PassOperands& operands, cuda::Passes& passes);
#endif

}  // namespace hyperarc::test

#endif  // HYPERARC_WITH_CUDA
