// The vectorised exponential against the double one: every float at the ends of its range, and a dense stride between.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/isa.h"
#include "engines.h"

namespace hyperarc::test {
namespace {

struct Worst {
  double ulps = 0.0;
  float at = 0.0f;
};

/// Errors in units of the last place of the exact value; below the smallest normal number a unit is the smallest
/// subnormal one.
void measure(const cpu::KernelTable& kernels, std::vector<float>& inputs, Worst* worst) {
  std::vector<float> outputs = inputs;
  kernels.exponential(outputs.data(), static_cast<int64_t>(outputs.size()));
  for (size_t n = 0; n < inputs.size(); ++n) {
    const double exact = std::exp(static_cast<double>(inputs[n]));
    const int exponent = std::max(std::ilogb(exact), -126);
    const double ulps = std::abs(outputs[n] - exact) / std::ldexp(1.0, exponent - 23);
    if (!(ulps <= worst->ulps)) *worst = {ulps, inputs[n]};
  }
  inputs.clear();
}

void visit(const cpu::KernelTable& kernels, uint32_t first, uint32_t last, uint32_t stride, Worst* worst) {
  std::vector<float> inputs;
  for (uint64_t bits = first; bits <= last; bits += stride) {
    inputs.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    if (inputs.size() == 4099) measure(kernels, inputs, worst);  // a prime: the tail of every vector length is met
  }
  measure(kernels, inputs, worst);
}

class Exponential : public testing::TestWithParam<CpuIsa> {};

TEST_P(Exponential, IsWithinTwoUlp) {
  const cpu::KernelTable& kernels = cpu::kernelsOf(GetParam());
  const auto bits = [](float x) { return std::bit_cast<uint32_t>(x); };
  Worst worst;
  constexpr uint32_t kStride = 997;
  visit(kernels, bits(0.0f), bits(88.72f), kStride, &worst);
  visit(kernels, bits(-0.0f), bits(-104.0f), kStride, &worst);
  // Every float near the ends, and around the halves of ln 2 where the reduction changes n.
  visit(kernels, bits(88.70f), bits(88.72f), 1, &worst);
  visit(kernels, bits(-104.0f) - 3000, bits(-104.0f), 1, &worst);
  visit(kernels, bits(-87.35f) - 3000, bits(-87.30f), 1, &worst);
  for (int n = -140; n < 128; ++n) {
    const float edge = static_cast<float>((n + 0.5) * std::log(2.0));
    if (edge > -104.0f && edge < 88.7f) visit(kernels, bits(edge) - 50, bits(edge) + 50, 1, &worst);
  }
  EXPECT_LE(worst.ulps, 2.0) << "at " << worst.at;
  RecordProperty("worstUlps", std::to_string(worst.ulps));
}

TEST_P(Exponential, IsExactlyZeroFarBelowAndKeepsNaN) {
  const cpu::KernelTable& kernels = cpu::kernelsOf(GetParam());
  std::vector<float> x = {-104.5f, -1000.0f, -std::numeric_limits<float>::infinity(), 0.0f,
                          std::numeric_limits<float>::quiet_NaN()};
  kernels.exponential(x.data(), 5);
  EXPECT_EQ(x[0], 0.0f);
  EXPECT_EQ(x[1], 0.0f);
  EXPECT_EQ(x[2], 0.0f);
  EXPECT_EQ(x[3], 1.0f);
  EXPECT_TRUE(std::isnan(x[4]));
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, Exponential, testing::ValuesIn(supportedIsas()),
                         [](const auto& info) { return std::string(cpu::isaName(info.param)); });

}  // namespace
}  // namespace hyperarc::test
