#include <initializer_list>
#include <string>
#include <utility>

#include "gradients/gradients.h"

namespace hyperarc {

Status checkConvShape(const ConvShape& shape, bool depthwise) {
  constexpr int64_t kMaxSide = int64_t{1} << 24;
  constexpr double kMaxElements = static_cast<double>(int64_t{1} << 40);
  struct Field {
    const char* name;
    int64_t value;
    int64_t lowest;
  };
  const Field fields[] = {
      {"batch", shape.batch, 1},
      {"inHeight", shape.inHeight, 1},
      {"inWidth", shape.inWidth, 1},
      {"inChannels", shape.inChannels, 1},
      {"outHeight", shape.outHeight, 1},
      {"outWidth", shape.outWidth, 1},
      {"outChannels", shape.outChannels, 1},
      {"filterHeight", shape.filterHeight, 1},
      {"filterWidth", shape.filterWidth, 1},
      {"strideHeight", shape.strideHeight, 1},
      {"strideWidth", shape.strideWidth, 1},
      {"padTop", shape.padTop, 0},
      {"padLeft", shape.padLeft, 0},
      {"dilationHeight", shape.dilationHeight, 1},
      {"dilationWidth", shape.dilationWidth, 1},
  };
  for (const Field& field : fields) {
    if (field.value < field.lowest || field.value > kMaxSide) {
      return {StatusCode::kRange, std::string("shape.") + field.name + ": expected an integer in [" +
                                      std::to_string(field.lowest) + ", 2^24], received " +
                                      std::to_string(field.value)};
    }
  }
  const auto product = [](std::initializer_list<int64_t> sizes) {
    double result = 1;
    for (int64_t size : sizes) result *= static_cast<double>(size);
    return result;
  };
  if (product({shape.batch, shape.inHeight, shape.inWidth, shape.inChannels}) > kMaxElements ||
      product({shape.batch, shape.outHeight, shape.outWidth, shape.outChannels}) > kMaxElements ||
      product({shape.filterHeight, shape.filterWidth, shape.inChannels, shape.outChannels}) > kMaxElements) {
    return {StatusCode::kRange, "shape: expected buffers of at most 2^40 elements, received larger ones"};
  }
  if (depthwise && shape.outChannels % shape.inChannels != 0) {
    return {StatusCode::kShape, "shape.outChannels: expected a multiple of inChannels " +
                                    std::to_string(shape.inChannels) + ", received " +
                                    std::to_string(shape.outChannels)};
  }
  return Status::ok();
}

}  // namespace hyperarc
