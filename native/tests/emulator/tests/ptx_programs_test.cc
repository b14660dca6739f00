// PTX texts as nvcc writes them: scopes, labels, predicates, variables, functions, barriers; what is refused; and how a
// kernel of the host's build finds its PTX.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "../ptx/symbols.h"
#include "ptx_harness.h"

namespace hyperarc::emulator {
namespace {

std::string kernel(const std::string& body, const std::string& before = "", const std::string& directives = "") {
  return kHeader + before + ".visible .entry kernel(\n.param .u64 kernel_param_0,\n.param .u32 kernel_param_1\n)\n" +
         directives + "{\n" + body + "}\n";
}

/// Sums 0 … n − 1 in a loop, by a function, and leaves in out[thread] the sum of the whole block, by shared memory.
const std::string kSums = kernel(
    R"(
	.reg .pred 	%p<3>;
	.reg .b32 	%r<16>;
	.reg .b64 	%rd<8>;
	.shared .align 4 .b8 sums[128];

	ld.param.u64 	%rd1, [kernel_param_0];
	cvta.to.global.u64 	%rd2, %rd1;
	ld.param.u32 	%r1, [kernel_param_1];
	mov.u32 	%r2, %tid.x;
	add.s32 	%r3, %r1, %r2;   // thread t sums t + n numbers
	{ // callseq 0, 0
	.reg .b32 temp_param_reg;
	.param .b32 param0;
	st.param.b32 	[param0+0], %r3;
	.param .b32 retval0;
	call.uni (retval0),
	sumBelow,
	(
	param0
	);
	ld.param.b32 	%r4, [retval0+0];
	} // callseq 0
	shl.b32 	%r5, %r2, 2;
	mov.u32 	%r6, sums;
	add.s32 	%r7, %r6, %r5;
	st.shared.u32 	[%r7], %r4;
	bar.sync 	0;
	mov.u32 	%r8, 0;
	mov.u32 	%r9, 0;
$L__BB0_1:
	.pragma "nounroll";
	ld.shared.v2.u32 	{%r10, %r11}, [%r6];
	add.s32 	%r8, %r8, %r10;
	add.s32 	%r8, %r8, %r11;
	add.s32 	%r6, %r6, 8;
	add.s32 	%r9, %r9, 2;
	setp.lt.s32 	%p1, %r9, 32;
	@%p1 bra 	$L__BB0_1;
	// begin inline asm
	{
	.reg .pred done;
	.reg .b32 again;
	mov.b32 again, 1;
	setp.ne.b32 done, again, 0;
	@!done bra again_label;
	bra.uni reached;
	again_label:
	mov.u32 %r8, 0;
	reached:
	}
	// end inline asm
	mul.wide.u32 	%rd3, %r2, 4;
	add.s64 	%rd4, %rd2, %rd3;
	st.global.u32 	[%rd4], %r8;
	ret;
)",
    R"(
.func  (.param .b32 func_retval0) sumBelow
(
	.param .b32 sumBelow_param_0
)
;
.func  (.param .b32 func_retval0) sumBelow(
	.param .b32 sumBelow_param_0
)
{
	.local .align 4 .b8 	__local_depot0[8];
	.reg .pred %p<2>;
	.reg .b32 %r<5>;
	.reg .b64 %SP;
	.reg .b64 %SPL;
	mov.u64 	%SPL, __local_depot0;
	cvta.local.u64 	%SP, %SPL;
	ld.param.u32 	%r1, [sumBelow_param_0];
	mov.u32 	%r2, 0;
	st.local.u32 	[%SPL+4], %r2;
$L__BB1_1:
	setp.eq.s32 	%p1, %r1, 0;
	@%p1 bra 	$L__BB1_2;
	add.s32 	%r1, %r1, -1;
	ld.u32 	%r3, [%SP+4];
	add.s32 	%r3, %r3, %r1;
	st.local.u32 	[%SPL+4], %r3;
	bra.uni 	$L__BB1_1;
$L__BB1_2:
	ld.local.u32 	%r4, [%SPL+4];
	st.param.b32 	[func_retval0+0], %r4;
	ret;
}
)");

TEST(PtxPrograms, RunAsWritten) {
  uint32_t expected = 0;
  for (uint32_t thread = 0; thread < 32; ++thread) {
    const uint32_t count = thread + 3;
    expected += count * (count - 1) / 2;
  }
  for (const std::string& schedule : schedules()) {
    const ScopedSetting setting("SCHEDULE", schedule);
    const DeviceArray<uint32_t> out(std::vector<uint32_t>(32, 0));
    runPtx(kSums, "kernel", 1, 32, 0, argumentsOf(out.get(), uint32_t{3}));
    EXPECT_EQ(out.values(), std::vector<uint32_t>(32, expected));
  }
}

/// Each block has static shared memory of its own, which nobody has written yet.
TEST(PtxPrograms, StaticSharedMemoryIsNewForEachBlock) {
  const std::string text = kernel(R"(
	.reg .b32 %r<4>;
	.reg .b64 %rd<4>;
	.shared .align 4 .b8 word[4];
	ld.param.u64 %rd1, [kernel_param_0];
	mov.u32 %r1, %ctaid.x;
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd3, %rd1, %rd2;
	ld.shared.u32 %r2, [word];
	st.global.u32 [%rd3], %r2;
	st.shared.u32 [word], %r1;
	ret;
)");
  const DeviceArray<uint32_t> out({0, 0, 0});
  runPtx(text, "kernel", 3, 1, 0, argumentsOf(out.get(), uint32_t{0}));
  EXPECT_EQ(out.values(), std::vector<uint32_t>(3, 0xffffffff));
}

TEST(PtxPrograms, ReadTablesOfTheModule) {
  const std::string text = kernel(R"(
	.reg .b32 %r<3>;
	.reg .b64 %rd<4>;
	ld.param.u64 %rd1, [kernel_param_0];
	mov.u64 %rd2, table;
	ld.global.nc.u32 %r1, [%rd2+4];
	st.global.u32 [%rd1], %r1;
	ret;
)",
                                  ".global .align 4 .b8 table[8] = {1, 0, 0, 0, 4, 3, 2, 1};\n");
  const DeviceArray<uint32_t> out({0});
  runPtx(text, "kernel", 1, 1, 0, argumentsOf(out.get(), uint32_t{0}));
  EXPECT_EQ(out.values()[0], 0x01020304u);
}

/// Shuffles in the form of the compiler: with a predicate that says whether the lane was in range.
TEST(PtxPrograms, Shuffle) {
  const auto text = [](const std::string& instruction) {
    return kernel(R"(
	.reg .pred %p<2>;
	.reg .b32 %r<8>;
	.reg .b64 %rd<4>;
	ld.param.u64 %rd1, [kernel_param_0];
	mov.u32 %r1, %tid.x;
	mov.u32 %r4, -1;
	add.s32 %r2, %r1, 100;
)" + instruction + R"(
	selp.b32 %r6, 1000, 0, %p1;
	add.s32 %r5, %r5, %r6;
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd3, %rd1, %rd2;
	st.global.u32 [%rd3], %r5;
	ret;
)");
  };
  struct Shuffled {
    const char* instruction;
    int (*source)(int);  // −1: none, its own
  };
  // The last operand but one is 31 for whole warps, 0 for up; segments of eight have 24 in bits 8 to 12.
  const Shuffled cases[] = {
      {"shfl.sync.bfly.b32 %r5|%p1, %r2, 4, 31, %r4;", [](int lane) { return lane ^ 4; }},
      {"shfl.sync.idx.b32 %r5|%p1, %r2, 7, 31, -1;", [](int) { return 7; }},
      {"shfl.sync.up.b32 %r5|%p1, %r2, 3, 0, -1;", [](int lane) { return lane >= 3 ? lane - 3 : -1; }},
      {"shfl.sync.down.b32 %r5|%p1, %r2, 3, 31, -1;", [](int lane) { return lane + 3 < 32 ? lane + 3 : -1; }},
      {"shfl.sync.down.b32 %r5|%p1, %r2, 3, 6175, -1;", [](int lane) { return lane % 8 + 3 < 8 ? lane + 3 : -1; }},
      {"shfl.sync.idx.b32 %r5|%p1, %r2, 2, 6175, -1;", [](int lane) { return lane / 8 * 8 + 2; }},
  };
  for (const Shuffled& one : cases) {
    const DeviceArray<uint32_t> out(std::vector<uint32_t>(32, 0));
    runPtx(text(one.instruction), "kernel", 1, 32, 0, argumentsOf(out.get(), uint32_t{0}));
    const std::vector<uint32_t> values = out.values();
    for (int lane = 0; lane < 32; ++lane) {
      const int source = one.source(lane);
      const int expected = source < 0 ? 100 + lane : 1100 + source;
      EXPECT_EQ(values[static_cast<size_t>(lane)], static_cast<uint32_t>(expected)) << one.instruction << " " << lane;
    }
  }
}

void runBody(const std::string& body, size_t sharedBytes = 0) {
  const DeviceArray<uint32_t> out({0, 0});
  const std::string registers = ".reg .b32 %r<4>;\n.reg .b64 %rd<4>;\nld.param.u64 %rd1, [kernel_param_0];\n";
  runPtx(kernel(registers + body + "ret;\n"), "kernel", 1, 1, sharedBytes, argumentsOf(out.get(), uint32_t{0}));
}

TEST(PtxProgramsDeathTest, RefuseWhatADeviceWould) {
  EXPECT_DEATH(runBody("ld.global.u32 %r1, [%rd1+8];\n"), "test.ptx:.*outside every allocation");
  EXPECT_DEATH(runBody("ld.global.v2.u32 {%r1, %r2}, [%rd1+4];\n"), "no multiple of 8");
  EXPECT_DEATH(runBody("st.global.u32 [%rd1+-4], %r1;\n"), "outside every allocation");
  EXPECT_DEATH(runBody("mov.u32 %r1, 16; st.shared.u32 [%r1], %r1;\n", 16), "reaches byte 20 of 16");
  EXPECT_DEATH(runBody("ld.param.u64 %rd2, [kernel_param_1];\n"), "multiple of 8|reaches byte");
  EXPECT_DEATH(runBody("frobnicate.b32 %r1, %r1;\n"), "frobnicate.b32 %r1, %r1: an instruction that is not known here");
  EXPECT_DEATH(runBody("add.sat.s32 %r1, %r1, %r1;\n"), "not known here");
  EXPECT_DEATH(runBody("add.s32 %r1, %r9, %r1;\n"), "operand that is not understood: %r9");
  EXPECT_DEATH(runBody("bra nowhere;\n"), "label that is nowhere");
}

TEST(PtxPrograms, AnUnknownInstructionMayStandWhereNothingReachesIt) {
  runBody("bra $over;\nfrobnicate.b32 %r1, %r1;\n$over:\n");
}

TEST(PtxProgramsDeathTest, ArgumentsAndClustersMustBeTheText) {
  const DeviceArray<uint32_t> out({0});
  EXPECT_DEATH(runPtx(kSums, "kernel", 1, 32, 0, argumentsOf(out.get())),
               "takes 2 parameters in test.ptx and is launched with 1");
  EXPECT_DEATH(runPtx(kSums, "kernel", 1, 32, 0, argumentsOf(out.get(), uint64_t{3})),
               "takes 4 bytes in test.ptx as parameter 1 and is launched with 8");
  EXPECT_DEATH(runPtx(kSums, "kernel", 2, 32, 0, argumentsOf(out.get(), uint32_t{3}), 2),
               "compiled for clusters of 1 in test.ptx and is launched with 2");
}

TEST(PtxNames, AreTheSameOfBothCompilers) {
  const std::string expected =
      "hyperarc::cuda::wgmma::(anonymous namespace)::sumPartialsKernel<hyperarc::cuda::hopper::Shape<128> >";
  EXPECT_EQ(
      ptx::qualifiedName("_ZN8hyperarc4cuda5wgmma41_GLOBAL__N__a1ad1ca1_9_passes_cu_500cb7e417sumPartialsKernelINS0_"
                         "6hopper5ShapeILi128EEEEEvNS1_17NegativeArgumentsEiPfS8_"),
      expected);
  EXPECT_EQ(
      ptx::qualifiedName("_ZN8hyperarc4cuda5wgmma12_GLOBAL__N_117sumPartialsKernelINS0_6hopper5ShapeILi128EEEEEvNS1_"
                         "17NegativeArgumentsEiPfS8_"),
      expected);
  EXPECT_EQ(ptx::qualifiedName("kernel"), "kernel");
}

/// A kernel of this file, as the host has it; its PTX does another thing, so that one sees which of them ran.
void addNumbersKernel(float* out, int n) { out[threadIdx.x] = static_cast<float>(n); }

class PtxFolder : public testing::Test {
 protected:
  void SetUp() override {
    // A folder is read once in a process.
    folder_ = std::filesystem::temp_directory_path() / ("hyperarc-ptx-" + std::to_string(getpid()) +
                                                        testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name) const {
    std::ofstream(folder_ / "kernels.ptx") << kHeader << ".entry " << name << R"((.param .u64 out, .param .u32 n)
{
	.reg .b32 %r<4>;
	.reg .b64 %rd<4>;
	.reg .f32 %f<2>;
	ld.param.u64 %rd1, [out];
	ld.param.u32 %r1, [n];
	add.s32 %r1, %r1, 1;
	cvt.rn.f32.s32 %f1, %r1;
	mov.u32 %r2, %tid.x;
	mul.wide.u32 %rd2, %r2, 4;
	add.s64 %rd3, %rd1, %rd2;
	st.global.f32 [%rd3], %f1;
	ret;
}
)";
  }
  float launched() const {
    const ScopedSetting setting("PTX", folder_.string());
    const DeviceArray<float> out({0, 0});
    float* pointer = out.get();
    EXPECT_EQ(launch(
                  "add", 1, 2, 0, nullptr, [pointer] { addNumbersKernel(pointer, 7); }, 1,
                  kernelOf(addNumbersKernel, pointer, 7)),
              cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    return out.values()[1];
  }
  std::filesystem::path folder_;
};

TEST_F(PtxFolder, HasTheKernelThatIsLaunched) {
  write("_ZN8hyperarc8emulator12_GLOBAL__N_116addNumbersKernelEPfi");
  EXPECT_EQ(launched(), 8.0f);
}

TEST_F(PtxFolder, SaysWhatWasLaunched) {
  write("_ZN8hyperarc8emulator12_GLOBAL__N_116addNumbersKernelEPfi");
  const std::string file = (folder_ / "launched").string();
  const ScopedSetting setting("PTX_LAUNCHED", file);
  launched();
  launched();
  std::ifstream lines(file);
  const std::string text((std::istreambuf_iterator<char>(lines)), {});
  EXPECT_EQ(text, "_ZN8hyperarc8emulator12_GLOBAL__N_116addNumbersKernelEPfi\n");
}

TEST_F(PtxFolder, LacksTheKernelThatIsLaunched) {
  write("_ZN8hyperarc8emulator16addNumbersKernelEPfi");
  EXPECT_DEATH(launched(),
               "no file of .* has the kernel hyperarc::emulator::\\(anonymous namespace\\)::addNumbersKernel");
}

TEST_F(PtxFolder, IsEmpty) {
  EXPECT_DEATH(launched(), "HYPERARC_EMULATED_PTX is '.*'; expected a folder with .ptx files");
}

}  // namespace
}  // namespace hyperarc::emulator
