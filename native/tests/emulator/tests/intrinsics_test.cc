// Single-thread functions of device code, against CUDA's definitions.
#include <cmath>
#include <limits>

#include "harness.h"

namespace hyperarc::emulator {
namespace {

TEST(Intrinsics, Bits) {
  EXPECT_EQ(__float_as_uint(1.0f), 0x3f800000u);
  EXPECT_EQ(__uint_as_float(0xff800000u), -INFINITY);
  EXPECT_EQ(__float_as_int(-0.0f), std::numeric_limits<int>::min());
  EXPECT_EQ(__popc(0xf0f0u), 8);
  EXPECT_EQ(__popcll(~0ULL), 64);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clzll(1), 63);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__ffsll(1LL << 40), 41);
  EXPECT_EQ(__brev(0x80000001u), 0x80000001u);
  EXPECT_EQ(__brev(0x00000006u), 0x60000000u);
  EXPECT_EQ(__byte_perm(0x33221100u, 0x77665544u, 0x7410u), 0x77441100u);
  EXPECT_EQ(__byte_perm(0x00000080u, 0x0000007fu, 0xc008u), 0x008080ffu);  // c, 8: signs of bytes 4, 0
  EXPECT_EQ(__funnelshift_l(0x80000000u, 0x00000001u, 1), 3u);
  EXPECT_EQ(__funnelshift_r(0x80000000u, 0x00000001u, 31), 3u);
}

TEST(Intrinsics, Integers) {
  EXPECT_EQ(__umulhi(0xffffffffu, 0xffffffffu), 0xfffffffeu);
  EXPECT_EQ(__mulhi(-1, 5), -1);
  EXPECT_EQ(__umul64hi(~0ULL, ~0ULL), ~0ULL - 1);
  EXPECT_EQ(min(3, -2), -2);
  EXPECT_EQ(max(3u, 0xffffffffu), 0xffffffffu);
  EXPECT_EQ(max(NAN, 1.0f), 1.0f);  // fmaxf's rule
}

TEST(Intrinsics, FloatingPoint) {
  EXPECT_EQ(rsqrtf(16.0f), 0.25f);
  EXPECT_EQ(rsqrtf(0.0f), INFINITY);
  EXPECT_EQ(rsqrt(4.0), 0.5);
  EXPECT_EQ(__fmaf_rn(0x1.000002p0f, 0x1.000002p0f, -1.0f), 0x1.000001p-22f);  // one rounding
  EXPECT_EQ(__fmul_rn(0x1.000002p0f, 0x1.000002p0f), 0x1.000004p0f);
  EXPECT_EQ(__fadd_rn(__fmul_rn(0x1.000002p0f, 0x1.000002p0f), -1.0f),
            0x1p-22f);  // two, whatever the compiler contracts
  EXPECT_EQ(__saturatef(-1.0f), 0.0f);
  EXPECT_EQ(__saturatef(2.0f), 1.0f);
  EXPECT_EQ(__float2int_rn(2.5f), 2);
  EXPECT_EQ(__float2int_rz(-2.5f), -2);
  double sine, cosine;
  sincospi(0.5, &sine, &cosine);
  EXPECT_EQ(sine, 1.0);
  EXPECT_NEAR(cosine, 0.0, 1e-16);
  EXPECT_NEAR(sinpi(1e6 + 0.25), std::sqrt(0.5), 1e-15);
}

TEST(Intrinsics, VectorsHaveCudasLayout) {
  EXPECT_EQ(alignof(float4), 16u);
  EXPECT_EQ(alignof(float2), 8u);
  EXPECT_EQ(alignof(float3), 4u);
  EXPECT_EQ(alignof(uint4), 16u);
  EXPECT_EQ(alignof(uchar4), 4u);
  EXPECT_EQ(alignof(double2), 16u);
  const float4 values = make_float4(1, 2, 3, 4);
  EXPECT_EQ(__ldg(&values).z, 3.0f);
  EXPECT_EQ(dim3(7).y, 1u);
}

}  // namespace
}  // namespace hyperarc::emulator
