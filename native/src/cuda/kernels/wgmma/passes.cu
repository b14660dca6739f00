// The wgmma family behind the Passes interface: tensor maps, scratch, launches. Compiled for sm_90a alone.
#include <cuda.h>

#include <algorithm>
#include <memory>
#include <string>

#include "kernels/kernels.h"
#include "kernels/wgmma/gradient_pass.cuh"
#include "kernels/wgmma/kernel.cuh"
#include "kernels/wgmma/negative_pass.cuh"
#include "runtime/device.h"
#include "runtime/driver.h"
#include "runtime/error.h"
#include "runtime/launch.h"

namespace hyperarc::cuda {

namespace wgmma {

namespace {

template <class S>
__global__ void __cluster_dims__(hopper::kCluster, 1, 1) __launch_bounds__(hopper::kThreads, 1)
    negativeSumsKernel(const __grid_constant__ CUtensorMap rows, const __grid_constant__ CUtensorMap tiles,
                       const __grid_constant__ CUtensorMap columns, const __grid_constant__ NegativeArguments args) {
  streamSegments<S, NegativePass<S>>({rows, tiles, columns}, args);
}

template <class S>
__global__ void __cluster_dims__(hopper::kCluster, 1, 1) __launch_bounds__(hopper::kThreads, 1)
    centerGradientsKernel(const __grid_constant__ CUtensorMap rows, const __grid_constant__ CUtensorMap tiles,
                          const __grid_constant__ CUtensorMap columns, const __grid_constant__ GradientArguments args) {
  streamSegments<S, GradientPass<S>>({rows, tiles, columns}, args);
}

template <class S>
__global__ void __launch_bounds__(128)
    sumPartialsKernel(const __grid_constant__ NegativeArguments args, int dim, float* sumExp, float* weightedSum) {
  sumPartials<S>(args, dim, sumExp, weightedSum);
}

__global__ void __launch_bounds__(128)
    sampleColumnsKernel(const __grid_constant__ SamplesView samples, int64_t padded, float* columns) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < padded) sampleColumn(samples, i, columns);
}

CUtensorMap encode(const char* what, CUtensorMapDataType type, cuuint32_t rank, const void* data,
                   const cuuint64_t* sizes, const cuuint64_t* strides, const cuuint32_t* box,
                   CUtensorMapSwizzle swizzle) {
  static const auto encodeTiled = driverFunction<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
  CUtensorMap map;
  const cuuint32_t steps[2] = {1, 1};
  const CUresult result =
      encodeTiled(&map, type, rank, const_cast<void*>(data), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                  swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    throw CudaError(StatusCode::kInternal, std::string("wgmma kernels: cuTensorMapEncodeTiled of ") + what +
                                               " answered error " + std::to_string(static_cast<int>(result)));
  }
  return map;
}

/// bf16 rows [rows, Dp] in swizzled boxes of 64 × 64; rows beyond the last are zeros.
CUtensorMap rowsMap(const char* what, const Bf16* data, int64_t rows, int dimPadded) {
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(dimPadded), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(dimPadded) * sizeof(Bf16)};
  const cuuint32_t box[2] = {hopper::kBoxColumns, hopper::kBoxRows};
  return encode(what, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, data, sizes, strides, box, CU_TENSOR_MAP_SWIZZLE_128B);
}

/// A line of floats, `box` at a time; zeros beyond its end. Declared as integers: some of the words are (sampleColumn),
/// so nothing may take them for denormal numbers or NaN.
CUtensorMap lineMap(const char* what, const float* data, int64_t count, int box) {
  const cuuint64_t sizes[1] = {static_cast<cuuint64_t>(count)};
  const cuuint64_t strides[1] = {0};  // of the dimensions after the first: none
  const cuuint32_t boxes[1] = {static_cast<cuuint32_t>(box)};
  return encode(what, CU_TENSOR_MAP_DATA_TYPE_UINT32, 1, data, sizes, strides, boxes, CU_TENSOR_MAP_SWIZZLE_NONE);
}

int64_t ceilDivide(int64_t value, int64_t by) { return (value + by - 1) / by; }

/// Parts of one piece of scratch, each aligned to 1024 bytes.
class Layout {
 public:
  int64_t add(int64_t bytes) {
    const int64_t offset = size_;
    size_ += ceilDivide(bytes, 1024) * 1024;
    return offset;
  }
  int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

/// Listed classes as contiguous rows.
struct Gathered {
  const Bf16* rows;
  const float* inverseNorms;
};

template <class S>
class WgmmaPasses final : public Passes {
 public:
  explicit WgmmaPasses(const Device& device) : clusters_(std::max(1, device.multiprocessors / hopper::kCluster)) {}

  std::string name() const override { return "wgmma-bf16-d" + std::to_string(S::kDim); }
  bool supportsMask() const override { return false; }

  int64_t workspaceBytes(const CentersView&, int64_t classes, bool isList, int64_t samples) const override {
    return std::max(negativeLayout(classes, isList, samples).layout.size(),
                    gradientLayout(classes, isList, samples).layout.size());
  }

  void negativeSums(const NegativeSums& args, Workspace& workspace, cudaStream_t stream) override {
    refuseRule(args.rule);
    const NegativeLayout scratch =
        negativeLayout(args.classes.count, args.classes.list != nullptr, args.samples.samples);
    char* memory = static_cast<char*>(workspace.take(scratch.layout.size()));
    NegativeArguments inner;
    inner.schedule = scratch.schedule;
    inner.samples = args.samples;
    inner.classes = args.classes.count;
    inner.partialRows = scratch.partialRows;
    inner.partialU = reinterpret_cast<float*>(memory + scratch.partialU);
    inner.partialSums = reinterpret_cast<float*>(memory + scratch.partialSums);
    if (args.classes.count > 0) {
      const Gathered classes = gather(args.centers, args.classes, memory, scratch.gathered, stream);
      launch("wgmma negativeSums", negativeSumsKernel<S>, shapeOf(scratch.schedule), stream,
             rowsMap("samples", args.samples.unitBf16, paddedSamples(args.samples.samples), S::kDim),
             rowsMap("classes", classes.rows, args.classes.count, S::kDim),
             lineMap("inverse norms", classes.inverseNorms, args.classes.count, hopper::kTile), inner);
    } else {
      inner.schedule.splits = 0;
    }
    launch("wgmma sumPartials", sumPartialsKernel<S>, {dim3(static_cast<unsigned>(args.samples.samples)), dim3(128)},
           stream, inner, args.centers.dim, args.sumExp, args.weightedSum);
  }

  void centerGradients(const CenterGradients& args, Workspace& workspace, cudaStream_t stream) override {
    if (args.hasClass != nullptr) {
      throw CudaError(StatusCode::kInternal, "wgmma centerGradients: a mask of classes needs the plain kernels");
    }
    refuseRule(args.rule);
    if (args.classes.count == 0) return;
    const int64_t padded = paddedSamples(args.samples.samples);
    const GradientLayout scratch =
        gradientLayout(args.classes.count, args.classes.list != nullptr, args.samples.samples);
    char* memory = static_cast<char*>(workspace.take(scratch.layout.size()));
    float* columns = reinterpret_cast<float*>(memory + scratch.columns);
    const Gathered classes = gather(args.centers, args.classes, memory, scratch.gathered, stream);
    launch("wgmma sampleColumns", sampleColumnsKernel, {dim3(static_cast<unsigned>(padded / 128)), dim3(128)}, stream,
           args.samples, padded, columns);
    constexpr int kLine = hopper::kColumnArraysPass2 * hopper::kTile;
    launch("wgmma centerGradients", centerGradientsKernel<S>, shapeOf(scratch.schedule), stream,
           rowsMap("classes", classes.rows, args.classes.count, S::kDim),
           rowsMap("samples", args.samples.unitBf16, padded, S::kDim),
           lineMap("sample columns", columns, padded / hopper::kTile * kLine, kLine),
           GradientArguments{scratch.schedule, args, classes.inverseNorms});
  }

 private:
  static void refuseRule(const NegativeRule& rule) {
    if (rule.threshold == NegativeThreshold::kNone) return;
    throw CudaError(StatusCode::kInternal, "wgmma passes: a negative rule needs the plain or the mma kernels");
  }

  struct GatherOffsets {
    int64_t rows;
    int64_t inverseNorms;
  };
  struct NegativeLayout {
    hopper::Schedule schedule;
    int64_t partialRows;
    int64_t partialU;
    int64_t partialSums;
    GatherOffsets gathered;
    Layout layout;
  };
  struct GradientLayout {
    hopper::Schedule schedule;
    int64_t columns;
    GatherOffsets gathered;
    Layout layout;
  };

  static constexpr int64_t kRowsPerCluster = int64_t{S::kRows} * hopper::kCluster;

  static GatherOffsets addGathered(Layout& layout, int64_t classes, bool isList) {
    if (!isList) return {0, 0};
    return {layout.add(classes * S::kDim * int64_t{sizeof(Bf16)}), layout.add(classes * int64_t{sizeof(float)})};
  }

  NegativeLayout negativeLayout(int64_t classes, bool isList, int64_t samples) const {
    NegativeLayout all;
    const int32_t groups = static_cast<int32_t>(ceilDivide(samples, kRowsPerCluster));
    all.schedule = hopper::splitSchedule(
        groups, static_cast<int32_t>(ceilDivide(classes > 0 ? classes : 1, hopper::kTile)), clusters_);
    all.partialRows = int64_t{groups} * kRowsPerCluster;
    const int64_t sums = int64_t{all.schedule.splits} * all.partialRows;
    all.partialU = all.layout.add(sums * S::kDim * int64_t{sizeof(float)});
    all.partialSums = all.layout.add(sums * S::kParts * 2 * int64_t{sizeof(float)});
    all.gathered = addGathered(all.layout, classes, isList);
    return all;
  }

  GradientLayout gradientLayout(int64_t classes, bool isList, int64_t samples) const {
    GradientLayout all;
    const int64_t tiles = paddedSamples(samples) / hopper::kTile;
    all.schedule = hopper::wholeSchedule(static_cast<int32_t>(ceilDivide(classes, kRowsPerCluster)),
                                         static_cast<int32_t>(tiles), clusters_);
    all.columns = all.layout.add(tiles * hopper::kColumnArraysPass2 * hopper::kTile * int64_t{sizeof(float)});
    all.gathered = addGathered(all.layout, classes, isList);
    return all;
  }

  static Gathered gather(const CentersView& centers, const ClassList& classes, char* memory,
                         const GatherOffsets& offsets, cudaStream_t stream) {
    if (classes.list == nullptr) return {centers.weightsBf16, centers.inverseNorms};
    Bf16* rows = reinterpret_cast<Bf16*>(memory + offsets.rows);
    float* inverseNorms = reinterpret_cast<float*>(memory + offsets.inverseNorms);
    launchGatherRows(centers, classes, rows, inverseNorms, stream);
    return {rows, inverseNorms};
  }

  static LaunchShape shapeOf(const hopper::Schedule& schedule) {
    return {dim3(static_cast<unsigned>(schedule.clusters * hopper::kCluster)), dim3(hopper::kThreads),
            hopper::sharedBytes<S>(hopper::Barriers<S>::kCount), hopper::kCluster};
  }

  int32_t clusters_;
};

}  // namespace
}  // namespace wgmma

std::unique_ptr<Passes> makeWgmmaPasses(const Device& device, int32_t dimPadded) {
  switch (dimPadded) {
    case 128:
      return std::make_unique<wgmma::WgmmaPasses<hopper::Shape<128>>>(device);
    case 256:
      return std::make_unique<wgmma::WgmmaPasses<hopper::Shape<256>>>(device);
    case 512:
      return std::make_unique<wgmma::WgmmaPasses<hopper::Shape<512>>>(device);
    default:
      throw CudaError(StatusCode::kInternal, "wgmma passes: rows of 128, 256 or 512 expected, received rows of " +
                                                 std::to_string(dimPadded) + "; use the plain kernels");
  }
}

}  // namespace hyperarc::cuda
