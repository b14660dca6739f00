#include "gradient_functions.h"

#include <string>
#include <vector>

#include "arguments.h"
#include "convert.h"
#include "environment.h"
#include "gradients/gradients.h"

namespace hyperarc::addon {
namespace {

using SizeOf = int64_t (ConvShape::*)() const;
using Kernel = void (*)(const ConvShape&, const float*, const float*, float*);

/// What distinguishes the convolution kernels.
struct ConvGradient {
  const char* name;
  bool depthwise;
  const char* firstName;
  SizeOf firstSize;
  const char* secondName;
  SizeOf secondSize;
  SizeOf resultSize;
  Kernel kernel;
};

constexpr ConvGradient kConvGradients[] = {
    {"conv2dBackpropFilter", false, "x", &ConvShape::inputSize, "dy", &ConvShape::outputSize, &ConvShape::filterSize,
     &conv2dBackpropFilter},
    {"conv2dBackpropInput", false, "dy", &ConvShape::outputSize, "filter", &ConvShape::filterSize,
     &ConvShape::inputSize, &conv2dBackpropInput},
    {"depthwiseBackpropFilter", true, "x", &ConvShape::inputSize, "dy", &ConvShape::outputSize,
     &ConvShape::depthwiseFilterSize, &depthwiseBackpropFilter},
    {"depthwiseBackpropInput", true, "dy", &ConvShape::outputSize, "filter", &ConvShape::depthwiseFilterSize,
     &ConvShape::inputSize, &depthwiseBackpropInput},
    {"conv2d", false, "x", &ConvShape::inputSize, "filter", &ConvShape::filterSize, &ConvShape::outputSize, &conv2d},
};

constexpr std::pair<const char*, int64_t ConvShape::*> kShapeFields[] = {
    {"batch", &ConvShape::batch},
    {"inHeight", &ConvShape::inHeight},
    {"inWidth", &ConvShape::inWidth},
    {"inChannels", &ConvShape::inChannels},
    {"outHeight", &ConvShape::outHeight},
    {"outWidth", &ConvShape::outWidth},
    {"outChannels", &ConvShape::outChannels},
    {"filterHeight", &ConvShape::filterHeight},
    {"filterWidth", &ConvShape::filterWidth},
    {"strideHeight", &ConvShape::strideHeight},
    {"strideWidth", &ConvShape::strideWidth},
    {"padTop", &ConvShape::padTop},
    {"padLeft", &ConvShape::padLeft},
    {"dilationHeight", &ConvShape::dilationHeight},
    {"dilationWidth", &ConvShape::dilationWidth},
};

ConvShape toConvShape(Napi::Value value, bool depthwise) {
  const Napi::Object object = requireObject(value, "shape");
  ConvShape shape;
  for (const auto& [name, field] : kShapeFields) {
    shape.*field = requireInteger(object.Get(name), std::string("shape.") + name, 0, kMaxClasses);
  }
  throwIfFailed(checkConvShape(shape, depthwise));
  return shape;
}

template <size_t index>
Napi::Value convGradient(const Napi::CallbackInfo& info) {
  return translateErrors(info.Env(), [&]() -> Napi::Value {
    const ConvGradient& gradient = kConvGradients[index];
    const ConvShape shape = toConvShape(info[2], gradient.depthwise);
    const auto first = requireFloat32(info[0], gradient.firstName, (shape.*gradient.firstSize)(), "as shape says");
    const auto second = requireFloat32(info[1], gradient.secondName, (shape.*gradient.secondSize)(), "as shape says");
    Napi::Float32Array result =
        Environment::of(info.Env())->newFloat32Array((shape.*gradient.resultSize)(), gradient.name);
    gradient.kernel(shape, first.data(), second.data(), requireFloat32(result, gradient.name).data());
    return result;
  });
}

Napi::Value segmentSum(const Napi::CallbackInfo& info) {
  return translateErrors(info.Env(), [&]() -> Napi::Value {
    const auto values = requireFloat32(info[0], "values");
    const auto given = requireInt32(info[1], "ids");
    const int64_t segments = requireInteger(info[2], "numSegments", 0, kMaxClasses);
    const auto rows = static_cast<int64_t>(given.size());
    const auto count = static_cast<int64_t>(values.size());
    if (rows == 0 ? count != 0 : count % rows != 0) {
      fail(StatusCode::kShape, "values: expected a multiple of ids.length " + std::to_string(rows) +
                                   " elements, received " + std::to_string(count));
    }
    const int64_t columns = rows == 0 ? 0 : count / rows;
    const int64_t length = productOrMinusOne(segments, columns);
    if (length < 0) fail(StatusCode::kMemory, "unsortedSegmentSum: the result is larger than any memory");
    // A copy, because another thread may write to shared memory after the check.
    const std::vector<int32_t> ids(given.begin(), given.end());
    Napi::Float32Array sums = Environment::of(info.Env())->newFloat32Array(length, "unsortedSegmentSum");
    throwIfFailed(unsortedSegmentSum(values.data(), ids.data(), rows, columns, segments,
                                     requireFloat32(sums, "unsortedSegmentSum").data()));
    return sums;
  });
}

}  // namespace

void exportGradientFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("conv2dBackpropFilter", Napi::Function::New<&convGradient<0>>(env, kConvGradients[0].name));
  exports.Set("conv2dBackpropInput", Napi::Function::New<&convGradient<1>>(env, kConvGradients[1].name));
  exports.Set("depthwiseBackpropFilter", Napi::Function::New<&convGradient<2>>(env, kConvGradients[2].name));
  exports.Set("depthwiseBackpropInput", Napi::Function::New<&convGradient<3>>(env, kConvGradients[3].name));
  exports.Set("conv2d", Napi::Function::New<&convGradient<4>>(env, kConvGradients[4].name));
  exports.Set("unsortedSegmentSum", Napi::Function::New<&segmentSum>(env, "unsortedSegmentSum"));
}

}  // namespace hyperarc::addon
