// The mma family behind the Passes interface.
#include <memory>
#include <string>
#include <type_traits>

#include "kernels/mma/center_gradients.cuh"
#include "kernels/mma/negative_sums.cuh"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/launch.h"

namespace hyperarc::cuda {

namespace mma {

namespace {

template <typename Shape>
class MmaPasses final : public Passes {
 public:
  explicit MmaPasses(const Device& device) : multiprocessors_(device.multiprocessors) {}

  std::string name() const override {
    return "mma-bf16-d" + std::to_string(Shape::kDim) + (Shape::kRows == 64 ? "" : "-r" + std::to_string(Shape::kRows));
  }

  bool supportsMask() const override { return false; }

  int64_t workspaceBytes(const CentersView&, int64_t classes, bool, int64_t samples) const override {
    return planOf(samples, classes).bytes(Shape::kDim);
  }

  void negativeSums(const NegativeSums& args, Workspace& workspace, cudaStream_t stream) override {
    NegativeSumsArgs inner;
    inner.classes = {args.centers.weightsBf16, args.classes.list, 0, static_cast<uint32_t>(args.classes.count)};
    inner.inverseNorms = args.centers.inverseNorms;
    inner.samples = args.samples;
    inner.plan = planOf(args.samples.samples, args.classes.count);
    inner.partialU = static_cast<float*>(workspace.take(inner.plan.bytes(Shape::kDim)));
    inner.partialL = inner.partialU + inner.plan.splits * inner.plan.partialRows * Shape::kDim;
    inner.rule = args.rule;
    inner.keepsEveryBit = args.classes.count <= kFewClasses || keepsEveryBit(args.samples.samples, args.centers.dim);
    withRule(args.rule, [&](auto hasRule) {
      launch(hasRule() ? "mma negativeSums with a negative rule" : "mma negativeSums",
             negativeSumsKernel<Shape, hasRule()>,
             {dim3(inner.plan.blocks()), dim3(kThreads), kNegativeSharedBytes<Shape, hasRule()>}, stream, inner);
    });
    launch("mma sumPartials", sumPartialsKernel, {dim3(static_cast<unsigned>(args.samples.samples)), dim3(kThreads)},
           stream, inner, Shape::kDim, args.centers.dim, args.sumExp, args.weightedSum);
  }

  void centerGradients(const CenterGradients& args, Workspace&, cudaStream_t stream) override {
    if (args.hasClass != nullptr) {
      throw CudaError(StatusCode::kInternal, "mma centerGradients: a mask of classes needs the plain kernels");
    }
    if (args.ruleOfStep != nullptr) {
      throw CudaError(StatusCode::kInternal, "mma centerGradients: steps of different rules need the plain kernels");
    }
    if (args.classes.count == 0) return;
    const auto blocks = static_cast<unsigned>((args.classes.count + Shape::kRows - 1) / Shape::kRows);
    const bool isExact = keepsEveryBit(args.samples.samples, args.centers.dim);
    const CenterGradientsArgs inner = {args, isExact ? kEveryWeight : 1.0f};
    withRule(args.rule, [&](auto hasRule) {
      launch(hasRule() ? "mma centerGradients with a negative rule" : "mma centerGradients",
             centerGradientsKernel<Shape, hasRule()>, {dim3(blocks), dim3(kThreads), Shape::kSharedBytes}, stream,
             inner);
    });
  }

 private:
  /// Calls with std::true_type where there is a rule: kernels without one are compiled without it.
  template <typename Call>
  static void withRule(const NegativeRule& rule, Call call) {
    if (rule.threshold == NegativeThreshold::kNone) {
      call(std::false_type{});
    } else {
      call(std::true_type{});
    }
  }

  SplitPlan planOf(int64_t samples, int64_t classes) const {
    return planSplits(samples, classes, Shape::kRows, Shape::kTile, Shape::kDim, multiprocessors_);
  }

  int multiprocessors_;
};

}  // namespace
}  // namespace mma

std::unique_ptr<Passes> makeMmaPasses(const Device& device, int32_t dimPadded) {
  switch (dimPadded) {
    case 128:
      return std::make_unique<mma::MmaPasses<mma::Dim128>>(device);
    case 256:
      return std::make_unique<mma::MmaPasses<mma::Dim256>>(device);
    case 512:
      if (device.sharedBytesPerBlock < mma::Dim512::kSharedBytes) {
        return std::make_unique<mma::MmaPasses<mma::Dim512Small>>(device);
      }
      return std::make_unique<mma::MmaPasses<mma::Dim512>>(device);
    default:
      throw CudaError(StatusCode::kInternal, "mma passes: rows of 128, 256 or 512 expected, received rows of " +
                                                 std::to_string(dimPadded) + "; use the plain kernels");
  }
}

}  // namespace hyperarc::cuda
