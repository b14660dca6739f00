// The gradient kernels against plain loops in double, over geometries that cross every tile edge.
#include "gradients/gradients.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace hyperarc {
namespace {

std::vector<float> randomFloats(int64_t count, std::mt19937& generator) {
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(generator);
  return values;
}

/// Calls visit(input offset, output offset, filter tap) of each tap of each output position that reads a real input.
template <typename Visit>
void forEachTap(const ConvShape& s, Visit visit) {
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t i = 0; i < s.outHeight; ++i) {
      for (int64_t j = 0; j < s.outWidth; ++j) {
        for (int64_t u = 0; u < s.filterHeight; ++u) {
          for (int64_t v = 0; v < s.filterWidth; ++v) {
            const int64_t row = i * s.strideHeight - s.padTop + u * s.dilationHeight;
            const int64_t column = j * s.strideWidth - s.padLeft + v * s.dilationWidth;
            if (row < 0 || row >= s.inHeight || column < 0 || column >= s.inWidth) continue;
            visit(((b * s.inHeight + row) * s.inWidth + column) * s.inChannels,
                  ((b * s.outHeight + i) * s.outWidth + j) * s.outChannels, u * s.filterWidth + v);
          }
        }
      }
    }
  }
}

void expectClose(const std::vector<float>& actual, const std::vector<double>& expected, const char* what) {
  ASSERT_EQ(actual.size(), expected.size());
  double largest = 1;
  for (double value : expected) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 3e-6 * largest) << what << " at " << i;
}

ConvShape randomShape(std::mt19937& generator) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator);
  };
  ConvShape s;
  s.batch = pick(1, 3);
  s.inHeight = pick(1, 12);
  s.inWidth = pick(1, 24);
  s.inChannels = pick(1, 70);
  s.outHeight = pick(1, 9);
  s.outWidth = pick(1, 20);
  s.outChannels = pick(1, 70);
  s.filterHeight = pick(1, 3);
  s.filterWidth = pick(1, 3);
  s.strideHeight = pick(1, 2);
  s.strideWidth = pick(1, 2);
  s.padTop = pick(0, 2);
  s.padLeft = pick(0, 2);
  s.dilationHeight = pick(1, 2);
  s.dilationWidth = pick(1, 2);
  return s;
}

TEST(Gradients, ConvolutionsEqualPlainLoops) {
  std::mt19937 generator(1);
  for (int round = 0; round < 40; ++round) {
    const ConvShape s = randomShape(generator);
    ASSERT_TRUE(checkConvShape(s, false));
    const auto x = randomFloats(s.inputSize(), generator);
    const auto dy = randomFloats(s.outputSize(), generator);
    const auto filter = randomFloats(s.filterSize(), generator);
    std::vector<double> y(s.outputSize()), dFilter(s.filterSize()), dx(s.inputSize());
    forEachTap(s, [&](int64_t in, int64_t out, int64_t tap) {
      for (int64_t c = 0; c < s.inChannels; ++c) {
        for (int64_t n = 0; n < s.outChannels; ++n) {
          const int64_t w = (tap * s.inChannels + c) * s.outChannels + n;
          y[out + n] += static_cast<double>(x[in + c]) * filter[w];
          dFilter[w] += static_cast<double>(x[in + c]) * dy[out + n];
          dx[in + c] += static_cast<double>(dy[out + n]) * filter[w];
        }
      }
    });
    // What is there before must not matter.
    std::vector<float> actualY(y.size(), NAN), actualFilter(dFilter.size(), NAN), actualX(dx.size(), NAN);
    conv2d(s, x.data(), filter.data(), actualY.data());
    conv2dBackpropFilter(s, x.data(), dy.data(), actualFilter.data());
    conv2dBackpropInput(s, dy.data(), filter.data(), actualX.data());
    expectClose(actualY, y, "output");
    expectClose(actualFilter, dFilter, "filter gradient");
    expectClose(actualX, dx, "input gradient");
  }
}

TEST(Gradients, DepthwiseConvolutionsEqualPlainLoops) {
  std::mt19937 generator(2);
  for (int round = 0; round < 40; ++round) {
    ConvShape s = randomShape(generator);
    const int64_t multiplier = 1 + round % 3;
    s.outChannels = s.inChannels * multiplier;
    ASSERT_TRUE(checkConvShape(s, true));
    const auto x = randomFloats(s.inputSize(), generator);
    const auto dy = randomFloats(s.outputSize(), generator);
    const auto filter = randomFloats(s.depthwiseFilterSize(), generator);
    std::vector<double> dFilter(s.depthwiseFilterSize()), dx(s.inputSize());
    forEachTap(s, [&](int64_t in, int64_t out, int64_t tap) {
      for (int64_t n = 0; n < s.outChannels; ++n) {
        dFilter[tap * s.outChannels + n] += static_cast<double>(x[in + n / multiplier]) * dy[out + n];
        dx[in + n / multiplier] += static_cast<double>(dy[out + n]) * filter[tap * s.outChannels + n];
      }
    });
    std::vector<float> actualFilter(dFilter.size(), NAN), actualX(dx.size(), NAN);
    depthwiseBackpropFilter(s, x.data(), dy.data(), actualFilter.data());
    depthwiseBackpropInput(s, dy.data(), filter.data(), actualX.data());
    expectClose(actualFilter, dFilter, "filter gradient");
    expectClose(actualX, dx, "input gradient");
  }
}

TEST(Gradients, SegmentSumDropsNegativeIdsAndRefusesLargeOnes) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  std::vector<float> sums(6, NAN);
  const std::vector<int32_t> ids{2, -1, 2};
  ASSERT_TRUE(unsortedSegmentSum(values.data(), ids.data(), 3, 2, 3, sums.data()));
  EXPECT_EQ(sums, (std::vector<float>{0, 0, 0, 0, 6, 8}));
  const std::vector<int32_t> large{0, 3, 0};
  std::vector<float> untouched(6, 7);
  EXPECT_EQ(unsortedSegmentSum(values.data(), large.data(), 3, 2, 3, untouched.data()).code(), StatusCode::kRange);
  EXPECT_EQ(untouched, std::vector<float>(6, 7));
}

TEST(Gradients, ShapesAreChecked) {
  std::mt19937 generator(3);
  const ConvShape good = randomShape(generator);
  ConvShape s = good;
  s.strideWidth = 0;
  EXPECT_EQ(checkConvShape(s, false).code(), StatusCode::kRange);
  s = good;
  s.padTop = -1;
  EXPECT_EQ(checkConvShape(s, false).code(), StatusCode::kRange);
  s = good;
  s.batch = s.inHeight = s.inWidth = int64_t{1} << 24;
  EXPECT_EQ(checkConvShape(s, false).code(), StatusCode::kRange);
  s = good;
  s.inChannels = 3;
  s.outChannels = 4;
  EXPECT_TRUE(checkConvShape(s, false));
  EXPECT_EQ(checkConvShape(s, true).code(), StatusCode::kShape);
}

}  // namespace
}  // namespace hyperarc
