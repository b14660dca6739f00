// Each ordinary PTX instruction against the PTX ISA: operands in, bits out.
#include <bit>
#include <cstdint>

#include "ptx_harness.h"

namespace hyperarc::emulator {
namespace {

uint64_t bits(float value) { return std::bit_cast<uint32_t>(value); }
uint64_t bits(double value) { return std::bit_cast<uint64_t>(value); }

struct Case {
  const char* instructions;  // a, b, c in %rd1, %rd2, %rd3 (as %r, %f, %d too); the result is %rd0
  uint64_t a, b, c;
  uint64_t expected;
};

/// Runs the instructions and gives %rd0. %rN are the lower words of %rdN, %fN and %dN the same bits as numbers.
uint64_t resultOf(const Case& one) {
  const std::string text =
      kHeader +
      ".visible .entry kernel(.param .u64 out, .param .u64 pa, .param .u64 pb, .param .u64 pc)\n{\n"
      ".reg .b64 %rd<8>;\n.reg .b32 %r<8>;\n.reg .f32 %f<8>;\n.reg .f64 %d<8>;\n.reg .b16 %h<8>;\n"
      ".reg .pred %p<4>;\n"
      "mov.b64 %rd0, 0; mov.b32 %r0, 0;\n"
      "ld.param.u64 %rd4, [out];\n"
      "ld.param.u64 %rd1, [pa];\nld.param.u64 %rd2, [pb];\nld.param.u64 %rd3, [pc];\n"
      "cvt.u32.u64 %r1, %rd1; cvt.u32.u64 %r2, %rd2; cvt.u32.u64 %r3, %rd3;\n"
      "cvt.u16.u32 %h1, %r1; cvt.u16.u32 %h2, %r2;\n"
      "mov.b32 %f1, %r1; mov.b32 %f2, %r2; mov.b32 %f3, %r3;\n"
      "mov.b64 %d1, %rd1; mov.b64 %d2, %rd2; mov.b64 %d3, %rd3;\n" +
      std::string(one.instructions) + "\nst.global.u64 [%rd4], %rd0;\nret;\n}\n";
  const DeviceArray<uint64_t> out({0});
  runPtx(text, "kernel", 1, 1, 0, argumentsOf(out.get(), one.a, one.b, one.c));
  return out.values()[0];
}

void expectAll(const std::vector<Case>& cases) {
  for (const Case& one : cases) EXPECT_EQ(resultOf(one), one.expected) << one.instructions;
}

// What 32-bit results go through to %rd0.
#define WORD(text) text " cvt.u64.u32 %rd0, %r0;"
#define REAL(text) text " mov.b32 %r0, %f0; cvt.u64.u32 %rd0, %r0;"
#define TRUTH(text) text " selp.b64 %rd0, 1, 0, %p0;"

TEST(PtxInstructions, WholeNumbers) {
  expectAll({
      {WORD("add.s32 %r0, %r1, %r2;"), 0xffffffff, 2, 0, 1},
      {"add.s64 %rd0, %rd1, -16;", 10, 0, 0, static_cast<uint64_t>(-6)},
      {WORD("sub.s32 %r0, %r1, %r2;"), 1, 3, 0, 0xfffffffe},
      {WORD("mul.lo.s32 %r0, %r1, %r2;"), 0x10001, 0x10001, 0, 0x20001},
      {WORD("mul.hi.u32 %r0, %r1, %r2;"), 0xffffffff, 0xffffffff, 0, 0xfffffffe},
      {"mul.wide.s32 %rd0, %r1, %r2;", 0xffffffff, 5, 0, static_cast<uint64_t>(-5)},
      {"mul.wide.u32 %rd0, %r1, %r2;", 0xffffffff, 5, 0, 0x4fffffffb},
      {WORD("mad.lo.s32 %r0, %r1, %r2, %r3;"), 3, 0xffffffff, 10, 7},
      {WORD("div.s32 %r0, %r1, %r2;"), static_cast<uint32_t>(-7), 2, 0, static_cast<uint32_t>(-3)},
      {WORD("div.u32 %r0, %r1, %r2;"), static_cast<uint32_t>(-7), 2, 0, 0x7ffffffc},
      {WORD("rem.s32 %r0, %r1, %r2;"), static_cast<uint32_t>(-7), 2, 0, static_cast<uint32_t>(-1)},
      {"rem.u64 %rd0, %rd1, %rd2;", 0x100000007, 0x100000000, 0, 7},
      {WORD("min.s32 %r0, %r1, %r2;"), 0xffffffff, 1, 0, 0xffffffff},
      {WORD("min.u32 %r0, %r1, %r2;"), 0xffffffff, 1, 0, 1},
      {"max.s64 %rd0, %rd1, %rd2;", ~uint64_t{0}, 1, 0, 1},
      {WORD("neg.s32 %r0, %r1;"), 5, 0, 0, static_cast<uint32_t>(-5)},
      {WORD("abs.s32 %r0, %r1;"), static_cast<uint32_t>(-5), 0, 0, 5},
      // 64 bits in two halves: a + b with carry, a − b with borrow, a·b + c with both words.
      {"{.reg .b32 l, h, x, y; mov.b64 {l, h}, %rd1; mov.b64 {x, y}, %rd2; add.cc.u32 l, l, x; addc.u32 h, h, y;"
       " mov.b64 %rd0, {l, h};}",
       0x1ffffffff, 0x200000001, 0, 0x400000000},
      {"{.reg .b32 l, h, x, y; mov.b64 {l, h}, %rd1; mov.b64 {x, y}, %rd2; sub.cc.u32 l, l, x; subc.u32 h, h, y;"
       " mov.b64 %rd0, {l, h};}",
       0x400000000, 1, 0, 0x3ffffffff},
      {"{.reg .b32 l, h; mad.lo.cc.u32 l, %r1, %r2, %r3; madc.hi.u32 h, %r1, %r2, 0; mov.b64 %rd0, {l, h};}",
       0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff00000000},
  });
}

TEST(PtxInstructions, Bits) {
  expectAll({
      {WORD("and.b32 %r0, %r1, -65536;"), 0x12345678, 0, 0, 0x12340000},
      {"or.b64 %rd0, %rd1, 4611686293338849280;", 1, 0, 0, 4611686293338849281u},
      {WORD("xor.b32 %r0, %r1, %r2;"), 0xff, 0x0f, 0, 0xf0},
      {WORD("not.b32 %r0, %r1;"), 0xff, 0, 0, 0xffffff00},
      {WORD("shl.b32 %r0, %r1, %r2;"), 1, 32, 0, 0},
      {WORD("shl.b32 %r0, %r1, %r2;"), 3, 31, 0, 0x80000000},
      {WORD("shr.u32 %r0, %r1, %r2;"), 0x80000000, 31, 0, 1},
      {WORD("shr.s32 %r0, %r1, %r2;"), 0x80000000, 40, 0, 0xffffffff},
      {"shr.s64 %rd0, %rd1, 4;", static_cast<uint64_t>(-32), 0, 0, static_cast<uint64_t>(-2)},
      {WORD("bfi.b32 %r0, %r1, %r2, 4, 8;"), 0xabc, 0xffffffff, 0, 0xfffffbcf},
      {WORD("popc.b32 %r0, %r1;"), 0xf0f0, 0, 0, 8},
      {WORD("clz.b64 %r0, %rd1;"), 1, 0, 0, 63},
      {WORD("{.reg .b16 l, h; mov.b32 {l, h}, %r1; mov.b32 %r0, {h, l};}"), 0x12345678, 0, 0, 0x56781234},
      {WORD("{.reg .b16 t; and.b16 t, %h1, %h2; cvt.u32.u16 %r0, t;}"), 0x1ff, 0xf0f, 0, 0x10f},
      {"setp.eq.s32 %p0, %r1, 3; selp.b64 %rd0, %rd1, %rd2, %p0;", 3, 9, 0, 3},
      {"setp.eq.s32 %p0, %r1, 3; selp.b64 %rd0, %rd1, %rd2, %p0;", 4, 9, 0, 9},
      {TRUTH("setp.lt.u32 %p1, %r1, %r2; not.pred %p2, %p1; and.pred %p0, %p1, !%p2;"), 1, 2, 0, 1},
      {TRUTH("mov.pred %p1, 0; mov.pred %p2, -1; xor.pred %p0, %p1, %p2;"), 0, 0, 0, 1},
      {"copysign.f64 %d0, %d1, %d2; mov.b64 %rd0, %d0;", bits(-1.0), bits(2.0), 0, bits(-2.0)},
  });
}

TEST(PtxInstructions, Comparisons) {
  const uint64_t nan = bits(std::numeric_limits<float>::quiet_NaN());
  expectAll({
      {TRUTH("setp.lt.s32 %p0, %r1, %r2;"), 0xffffffff, 1, 0, 1},
      {TRUTH("setp.lt.u32 %p0, %r1, %r2;"), 0xffffffff, 1, 0, 0},
      {TRUTH("setp.ge.s64 %p0, %rd1, %rd2;"), ~uint64_t{0}, 0, 0, 0},
      {TRUTH("setp.eq.s16 %p0, %h1, 5;"), 0x10005, 0, 0, 1},
      {TRUTH("setp.gt.f32 %p0, %f1, %f2;"), bits(2.0f), bits(1.0f), 0, 1},
      {TRUTH("setp.leu.f32 %p0, %f1, %f2;"), nan, bits(1.0f), 0, 1},
      {TRUTH("setp.le.f32 %p0, %f1, %f2;"), nan, bits(1.0f), 0, 0},
      {TRUTH("setp.ne.f32 %p0, %f1, %f2;"), nan, bits(1.0f), 0, 0},
      {TRUTH("setp.neu.f32 %p0, %f1, %f2;"), nan, bits(1.0f), 0, 1},
      {TRUTH("setp.nan.f32 %p0, %f1, %f1;"), nan, 0, 0, 1},
      {TRUTH("setp.nan.f32 %p0, %f1, %f1;"), bits(1.0f), 0, 0, 0},
  });
}

TEST(PtxInstructions, FloatingPoint) {
  expectAll({
      {REAL("add.f32 %f0, %f1, %f2;"), bits(1.0f), bits(0x1p-24f), 0, bits(1.0f)},
      {REAL("sub.f32 %f0, %f1, %f2;"), bits(1.0f), bits(3.0f), 0, bits(-2.0f)},
      {REAL("mul.f32 %f0, %f1, 0f3FB8AA3B;"), bits(2.0f), 0, 0, bits(2.885390043258667f)},
      // The product of 1 + 2⁻¹² with itself has 2⁻²⁴, which fma alone keeps; a mul and an add lose it.
      {REAL("fma.rn.f32 %f0, %f1, %f1, %f2;"), bits(1.0f + 0x1p-12f), bits(-1.0f), 0, bits(0x1p-11f + 0x1p-24f)},
      {REAL("mul.f32 %f0, %f1, %f1; add.f32 %f0, %f0, %f2;"), bits(1.0f + 0x1p-12f), bits(-1.0f), 0, bits(0x1p-11f)},
      {REAL("fma.rm.f32 %f0, %f1, %f2, %f3;"), bits(1.0f), bits(0x1p-30f), bits(-1.0f), bits(-1.0f)},
      {REAL("fma.rm.f32 %f0, %f1, %f2, %f3;"), bits(-1.0f), bits(0x1p-30f), bits(1.0f), bits(1.0f - 0x1p-24f)},
      {REAL("neg.f32 %f0, %f1;"), bits(2.0f), 0, 0, bits(-2.0f)},
      {REAL("abs.f32 %f0, %f1;"), bits(-2.0f), 0, 0, bits(2.0f)},
      {REAL("div.rn.f32 %f0, %f1, %f2;"), bits(1.0f), bits(3.0f), 0, bits(1.0f / 3.0f)},
      {REAL("sqrt.rn.f32 %f0, %f1;"), bits(2.0f), 0, 0, bits(1.41421356f)},
      {REAL("ex2.approx.ftz.f32 %f0, %f1;"), bits(-3.0f), 0, 0, bits(0.125f)},
      {REAL("ex2.approx.ftz.f32 %f0, %f1;"), bits(-130.0f), 0, 0, bits(0.0f)},
      {REAL("min.f32 %f0, %f1, %f2;"), bits(std::numeric_limits<float>::quiet_NaN()), bits(1.0f), 0, bits(1.0f)},
      {"rcp.approx.ftz.f64 %d0, %d1; mov.b64 %rd0, %d0;", bits(3.0), 0, 0, bits(1.0 / 3.0) & 0xffffffff00000000},
      {"max.f64 %d0, %d1, %d2; mov.b64 %rd0, %d0;", bits(3.0), bits(4.0), 0, bits(4.0)},
  });
}

TEST(PtxInstructions, Conversions) {
  expectAll({
      {"cvt.s64.s32 %rd0, %r1;", 0xffffffff, 0, 0, ~uint64_t{0}},
      {"cvt.u64.u32 %rd0, %r1;", 0xffffffff, 0, 0, 0xffffffff},
      {WORD("cvt.u32.u16 %r0, %h1;"), 0xffff8001, 0, 0, 0x8001},
      {WORD("cvt.rni.s32.f64 %r0, %d1;"), bits(2.5), 0, 0, 2},
      {WORD("cvt.rni.s32.f64 %r0, %d1;"), bits(-1e12), 0, 0, 0x80000000},
      {"cvt.rmi.f64.f64 %d0, %d1; mov.b64 %rd0, %d0;", bits(-2.5), 0, 0, bits(-3.0)},
      {REAL("cvt.rn.f32.f64 %f0, %d1;"), bits(1.0 + 0x1p-24), 0, 0, bits(1.0f)},
      {REAL("cvt.rn.f32.s32 %f0, %r1;"), static_cast<uint32_t>(-16777217), 0, 0, bits(-16777216.0f)},
      {REAL("cvt.sat.f32.f32 %f0, %f1;"), bits(1.5f), 0, 0, bits(1.0f)},
      {"cvt.f64.f32 %d0, %f1; mov.b64 %rd0, %d0;", bits(0.1f), 0, 0, bits(double{0.1f})},
      // The first source goes to the upper half; halfway is rounded to even.
      {WORD("cvt.rn.bf16x2.f32 %r0, %f1, %f2;"), bits(-2.0f), bits(1.0f), 0, 0xc0003f80},
      {WORD("cvt.rn.bf16x2.f32 %r0, %f1, %f2;"), 0x3f808000, 0x3f818000, 0, 0x3f803f82},
  });
}

}  // namespace
}  // namespace hyperarc::emulator
