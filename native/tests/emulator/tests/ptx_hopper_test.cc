// The instructions of compute capability 9.0 as PTX has them: where each operand stands, and that the registers of a
// wgmma under way are left alone. What the instructions do: hopper_functions_test.cc, hopper_products_test.cc.
#include <cuda.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "ptx_harness.h"

namespace hyperarc::emulator {
namespace {

constexpr uint32_t kOperandBytes = 8192;  // 64 rows of 128 bytes

/// A [64, 16] and B [16, 64] of small whole numbers, as 64 × 64 boxes of 128-byte rows, swizzled; what is not in the
/// first sixteen columns is NaN.
struct Products {
  std::vector<float> a = std::vector<float>(64 * 16);
  std::vector<float> b = std::vector<float>(16 * 64);
  std::vector<uint32_t> bytes = std::vector<uint32_t>(2 * kOperandBytes / 4, 0xffffffff);

  explicit Products(bool isTransposed) {
    std::mt19937 random(7);
    for (float& value : a) value = static_cast<float>(random() % 15) - 7;
    for (float& value : b) value = static_cast<float>(random() % 15) - 7;
    for (uint32_t m = 0; m < 64; ++m) {
      for (uint32_t k = 0; k < 16; ++k) {
        write(0, m, k, a[m * 16 + k]);
        // K-major: a row for each n. Transposed, MN-major: a row for each k.
        write(kOperandBytes, isTransposed ? k : m, isTransposed ? m : k, b[k * 64 + m]);
      }
    }
  }
  float product(uint32_t m, uint32_t n) const {
    float sum = 0;
    for (uint32_t k = 0; k < 16; ++k) sum += a[m * 16 + k] * b[k * 64 + n];
    return sum;
  }

 private:
  void write(uint32_t at, uint32_t row, uint32_t column, float value) {
    const uint32_t place = at + row * 128 + ((column / 8) ^ (row % 8)) * 16 + column % 8 * 2;
    const auto element = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
    std::memcpy(reinterpret_cast<unsigned char*>(bytes.data()) + place, &element, 2);
  }
};

std::string listed(const std::string& prefix, int count) {
  std::string text = "{";
  for (int n = 0; n < count; ++n) text += (n > 0 ? ", " : "") + prefix + std::to_string(n);
  return text + "}";
}

/// One warpgroup brings both operands to shared memory, runs `body`, and stores its 32 accumulators %f0 … %f31.
std::string warpgroupKernel(const std::string& body) {
  std::string text = kHeader + R"(
.extern .shared .align 1024 .b8 dynamicShared[];
.entry kernel(.param .u64 operands, .param .u64 out)
{
	.reg .pred %p<4>;
	.reg .b32 %r<32>;
	.reg .b64 %rd<16>;
	.reg .f32 %f<40>;
	ld.param.u64 %rd1, [operands];
	ld.param.u64 %rd2, [out];
	mov.u32 %r1, %tid.x;
	mov.u32 %r2, dynamicShared;
	shl.b32 %r3, %r1, 2;
	add.s32 %r2, %r2, %r3;
	mul.wide.u32 %rd3, %r1, 4;
	add.s64 %rd4, %rd1, %rd3;
	mov.u32 %r4, 0;
copy:
	ld.global.u32 %r5, [%rd4];
	st.shared.u32 [%r2], %r5;
	add.s32 %r2, %r2, 512;
	add.s64 %rd4, %rd4, 512;
	add.s32 %r4, %r4, 512;
	setp.lt.u32 %p1, %r4, 16384;
	@%p1 bra copy;
	fence.proxy.async.shared::cta;
	bar.sync 0, 128;
	mov.u64 %rd5, 0x4000004000010000; // stride 1024 bytes, leading 16, the 128-byte swizzle
	mov.u64 %rd6, 0x4000004000010200; // the same, from byte 8192 on
)";
  for (int n = 0; n < 32; ++n) text += "mov.f32 %f" + std::to_string(n) + ", 0f41200000;\n";  // 10
  text += body + "mul.wide.u32 %rd7, %r1, 128;\nadd.s64 %rd8, %rd2, %rd7;\n";
  for (int n = 0; n < 32; ++n)
    text += "st.global.f32 [%rd8+" + std::to_string(4 * n) + "], %f" + std::to_string(n) + ";\n";
  return text + "ret;\n}\n";
}

std::vector<float> run(const std::string& body, const Products& products) {
  const DeviceArray<uint32_t> operands(products.bytes);
  const DeviceArray<float> out(std::vector<float>(128 * 32, 0));
  runPtx(warpgroupKernel(body), "kernel", 1, 128, 2 * kOperandBytes, argumentsOf(operands.get(), out.get()));
  return out.values();
}

/// PTX ISA, "Register Fragments": accumulator i of thread t is in row 16·warp + lane/4 (+8 where i & 2), column
/// 8·(i/4) + 2·(lane mod 4) + (i & 1).
void expectProduct(const std::vector<float>& values, const Products& products, float factor, float bias) {
  for (uint32_t thread = 0; thread < 128; ++thread) {
    for (uint32_t i = 0; i < 32; ++i) {
      const uint32_t m = thread / 32 * 16 + thread % 32 / 4 + (i & 2u) * 4;
      const uint32_t n = i / 4 * 8 + thread % 4 * 2 + (i & 1u);
      ASSERT_EQ(values[thread * 32 + i], factor * products.product(m, n) + bias) << m << ", " << n;
    }
  }
}

const std::string kName = "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 ";
const std::string kMultiply = kName + listed("%f", 32) + ", %rd5, %rd6, 1, 1, 1, 0, 0;\n";
const std::string kFence = "wgmma.fence.sync.aligned;\n";
const std::string kCommit = "wgmma.commit_group.sync.aligned;\n";
const std::string kWait = "wgmma.wait_group.sync.aligned 0;\n";

TEST(PtxHopper, WgmmaAddsToItsAccumulators) {
  const Products products(false);
  expectProduct(run(kFence + kMultiply + kMultiply + kCommit + kWait, products), products, 2, 10);
}

TEST(PtxHopper, WgmmaStartsAnewWhereScaleDIsFalse) {
  const Products products(false);
  const std::string anew = "setp.ne.b32 %p2, 0, 0;\n" + kName + listed("%f", 32) + ", %rd5, %rd6, %p2, 1, 1, 0, 0;\n";
  expectProduct(run(kFence + kMultiply + anew + kCommit + kWait, products), products, 1, 0);
}

TEST(PtxHopper, WgmmaTakesBTransposedWhereTheLastOperandSaysSo) {
  const Products products(true);
  const std::string transposed = kName + listed("%f", 32) + ", %rd5, %rd6, 1, 1, 1, 0, 1;\n";
  expectProduct(run(kFence + transposed + kCommit + kWait, products), products, 1, 10);
}

/// A from registers: the fragment that ldmatrix would bring, and one flag less.
TEST(PtxHopper, WgmmaTakesAFromRegisters) {
  const Products products(true);
  // Register r of a lane: row 16·warp + lane/4 + 8·(r mod 2), columns 2·(lane mod 4) + 8·(r/2) and the next: read from
  // shared memory, whose chunk of 8 columns is swizzled by the row.
  std::string body = R"(
	and.b32 %r6, %r1, 31;
	shr.u32 %r7, %r1, 5;
	shl.b32 %r7, %r7, 4;
	shr.u32 %r8, %r6, 2;
	and.b32 %r9, %r6, 3;
	shl.b32 %r9, %r9, 2;
)";
  for (int r = 0; r < 4; ++r) {
    body += "add.s32 %r10, %r7, %r8;\nadd.s32 %r10, %r10, " + std::to_string(r % 2 * 8) + ";\n";
    body += "and.b32 %r11, %r10, 7;\nxor.b32 %r11, %r11, " + std::to_string(r / 2) + ";\n";
    body += "shl.b32 %r11, %r11, 4;\nshl.b32 %r10, %r10, 7;\nadd.s32 %r10, %r10, %r11;\nadd.s32 %r10, %r10, %r9;\n";
    body += "ld.shared.u32 %r" + std::to_string(20 + r) + ", [%r10];\n";
  }
  const std::string multiply = kName + listed("%f", 32) + ", {%r20, %r21, %r22, %r23}, %rd6, 1, 1, 1, 1;\n";
  expectProduct(run(body + kFence + multiply + kCommit + kWait, products), products, 1, 10);
  EXPECT_DEATH(run(body + kFence + multiply + kCommit + "mov.b32 %r21, 0;\n" + kWait, products),
               "a register of A was written while its wgmma was under way");
}

TEST(PtxHopper, AccumulatorsAreNoNumbersUntilTheyAreWaitedFor) {
  const Products products(false);
  const std::vector<float> values =
      run(kFence + kMultiply + kCommit + "mov.f32 %f32, %f3;\n" + kWait + "mov.f32 %f3, %f32;\n", products);
  EXPECT_TRUE(std::isnan(values[3]));
  EXPECT_FALSE(std::isnan(values[4]));
}

TEST(PtxHopperDeathTest, WgmmaRefusesWhatIsUndefined) {
  const Products products(false);
  EXPECT_DEATH(run(kFence + kMultiply + kCommit + "mov.f32 %f3, 0f00000000;\n" + kWait, products),
               "an accumulator was written while its wgmma was under way");
  EXPECT_DEATH(run(kMultiply + kCommit + kWait, products), "without wgmma.fence");
  const std::string shifted =
      kName + "{%f32" + listed("%f", 31).substr(0).replace(0, 1, ", ") + ", %rd5, %rd6, 1, 1, 1, 0, 0;\n";
  EXPECT_DEATH(run(kFence + kMultiply + shifted + kCommit + kWait, products), "in another order");
  EXPECT_DEATH(run(kFence + kName + listed("%f", 31) + ", %rd5, %rd6, 1, 1, 1, 0, 0;\n", products),
               "another number of operands");
  EXPECT_DEATH(run(kFence + kName + listed("%f", 32) + ", %rd5, %rd6, 1, 1, 1, 0;\n", products),
               "another number of operands");
  EXPECT_DEATH(run(kFence + kName + listed("%f", 32) + ", %rd5, %rd6, 1, -1, 1, 0, 0;\n", products),
               "a negated operand");
  EXPECT_DEATH(run("setmaxnreg.inc.sync.aligned.u32 100;\n", products), "multiple of 8");
}

/// Two blocks: rank 0 arrives at rank 1's barrier, which waits for that and for the bytes of its own copy of two.
TEST(PtxHopper, BarriersClustersAndTensorCopies) {
  const std::string text = kHeader + R"(
.extern .shared .align 1024 .b8 dynamicShared[];
.entry kernel(.param .align 64 .b8 map[128], .param .u64 out)
.explicitcluster
.reqnctapercluster 2, 1, 1
{
	.reg .pred %p<4>;
	.reg .b16 %h<2>;
	.reg .b32 %r<16>;
	.reg .b64 %rd<8>;
	mov.b64 %rd1, map;
	cvta.param.u64 %rd2, %rd1;
	ld.param.u64 %rd3, [out];
	mov.u32 %r1, %cluster_ctarank;
	mov.u32 %r2, %tid.x;
	setp.ne.s32 %p1, %r2, 0;
	mov.u32 %r3, 1024;
	@%p1 bra initialised;
	prefetch.tensormap [%rd2];
	mbarrier.init.shared::cta.b64 [%r3], 2;
	fence.mbarrier_init.release.cluster;
initialised:
	barrier.cluster.arrive.release;
	barrier.cluster.wait.acquire;
	@%p1 bra arrived;
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 128;
	xor.b32 %r4, %r1, 1;
	{
	.reg .b32 remote;
	mapa.shared::cluster.u32 remote, %r3, %r4;
	mbarrier.arrive.shared::cluster.b64 _, [remote];
	}
	setp.ne.s32 %p2, %r1, 0;
	@%p2 bra arrived;
	mov.u32 %r5, 0;
	mov.u32 %r6, 8;
	mov.u32 %r7, 2;
	mov.u16 %h1, 3;
	cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r5], [%rd2, {%r6, %r7}], [%r3], %h1;
arrived:
	{
	.reg .pred done;
	again:
	mbarrier.try_wait.parity.shared::cta.b64 done, [%r3], 0;
	@done bra reached;
	bra again;
	reached:
	}
	shl.b32 %r8, %r2, 2;
	ld.shared.u32 %r9, [%r8];
	mul.wide.u32 %rd4, %r1, 128;
	add.s64 %rd5, %rd3, %rd4;
	cvt.u64.u32 %rd6, %r8;
	add.s64 %rd5, %rd5, %rd6;
	st.global.u32 [%rd5], %r9;
	barrier.cluster.arrive.release;
	barrier.cluster.wait.acquire;
	ret;
}
)";
  std::vector<uint32_t> matrix(32 * 6);
  for (size_t n = 0; n < matrix.size(); ++n) matrix[n] = static_cast<uint32_t>(n);
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    const DeviceArray<uint32_t> tensor(matrix);
    const DeviceArray<uint32_t> out(std::vector<uint32_t>(64, 0));
    CUtensorMap map{};
    const cuuint64_t sizes[2] = {32, 6};
    const cuuint64_t strides[1] = {128};
    const cuuint32_t box[2] = {16, 2};
    const cuuint32_t steps[2] = {1, 1};
    ASSERT_EQ(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_UINT32, 2, tensor.get(), sizes, strides, box, steps,
                                     CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                     CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
              CUDA_SUCCESS);
    runPtx(text, "kernel", 2, 32, 2048, argumentsOf(map, out.get()), 2);
    const std::vector<uint32_t> values = out.values();
    for (uint32_t n = 0; n < 64; ++n) EXPECT_EQ(values[n], (2 + n % 32 / 16) * 32 + 8 + n % 16) << n;
  }
}

}  // namespace
}  // namespace hyperarc::emulator
