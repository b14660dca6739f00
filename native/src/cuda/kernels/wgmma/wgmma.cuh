// wgmma: D += A·B for a warpgroup, m64nNk16, bf16 operands, fp32 accumulation, and the fences and waits around it.
// PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions". B comes from shared memory, A too or from registers.
#pragma once

#include "device/device.h"

#ifdef HYPERARC_EMULATED
#include "hopper_emulation.h"
#else

namespace hyperarc::cuda::wgmma {

/// Before the first wgmma, and whenever other instructions wrote accumulators or A registers since the last one.
HYPERARC_DEVICE void fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
HYPERARC_DEVICE void commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most kPending of the latest groups are under way.
template <int kPending>
HYPERARC_DEVICE void waitGroups() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// Keeps the compiler from moving uses of registers across this point: it does not know that a wgmma in flight owns
/// them.
template <int kCount>
HYPERARC_DEVICE void pin(float (&registers)[kCount]) {
  HYPERARC_UNROLL
  for (int n = 0; n < kCount; ++n) asm volatile("" : "+f"(registers[n])::"memory");
}

#define HYPERARC_ACC4(d, n) "+f"(d[n]), "+f"(d[(n) + 1]), "+f"(d[(n) + 2]), "+f"(d[(n) + 3])
#define HYPERARC_ACC16(d, n) \
  HYPERARC_ACC4(d, n), HYPERARC_ACC4(d, (n) + 4), HYPERARC_ACC4(d, (n) + 8), HYPERARC_ACC4(d, (n) + 12)
#define HYPERARC_ACC32(d, n) HYPERARC_ACC16(d, n), HYPERARC_ACC16(d, (n) + 16)
#define HYPERARC_ACC64(d, n) HYPERARC_ACC32(d, n), HYPERARC_ACC32(d, (n) + 32)
#define HYPERARC_ACC128(d) HYPERARC_ACC64(d, 0), HYPERARC_ACC64(d, 64)

/// Scores: 64 × 64, both operands K-major in shared memory. scaleD 0: D = A·B.
HYPERARC_DEVICE void multiplyScores(float (&d)[32], uint64_t a, uint64_t b, int scaleD) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, %32, %33, p, 1, 1, 0, 0;\n"
      "}\n"
      : HYPERARC_ACC32(d, 0)
      : "l"(a), "l"(b), "r"(scaleD));
}

/// Output: 64 × 256, A K-major in shared memory, B transposed (MN-major).
HYPERARC_DEVICE void multiplyOutput(float (&d)[128], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
      "}, %128, %129, 1, 1, 1, 0, 1;"
      : HYPERARC_ACC128(d)
      : "l"(a), "l"(b));
}

/// Output: 64 × 256, A from registers, B transposed.
HYPERARC_DEVICE void multiplyOutput(float (&d)[128], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
      "}, {%128, %129, %130, %131}, %132, 1, 1, 1, 1;"
      : HYPERARC_ACC128(d)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/// Output: 64 × 128, A from registers, B transposed.
HYPERARC_DEVICE void multiplyOutput(float (&d)[64], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
      : HYPERARC_ACC64(d, 0)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#undef HYPERARC_ACC128
#undef HYPERARC_ACC64
#undef HYPERARC_ACC32
#undef HYPERARC_ACC16
#undef HYPERARC_ACC4

}  // namespace hyperarc::cuda::wgmma

#endif
