// Warp-wide instructions under plain names. On a device: inline PTX. In the host harness:
// tests/emulator/include/warp_emulation.h, which defines the same functions in the same namespace from the PTX
// specification (all 32 lanes must call together).
#pragma once

#include "device/device.h"

#ifdef HYPERARC_EMULATED
#include "warp_emulation.h"
#else

namespace hyperarc::cuda {

HYPERARC_DEVICE uint32_t sharedAddress(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/// d += a·b for one warp, m16n8k16, bf16 operands, fp32 accumulation. Fragment layouts: PTX ISA, "mma.m16n8k16".
HYPERARC_DEVICE void mmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Four 8×8 matrices of 16-bit elements; lane l gives the address of row l mod 8 of matrix l/8 (16 bytes, 16-aligned).
HYPERARC_DEVICE void ldmatrixX4(uint32_t (&r)[4], const void* sharedRow) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(sharedRow))
               : "memory");
}

/// The same, each matrix transposed on the way.
HYPERARC_DEVICE void ldmatrixX4Transposed(uint32_t (&r)[4], const void* sharedRow) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(sharedRow))
               : "memory");
}

/// Starts a copy of 16 bytes to shared memory; zeros where not `valid` (the address is then not read).
HYPERARC_DEVICE void cpAsync16(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(sharedAddress(shared)), "l"(global), "r"(valid ? 16 : 0)
               : "memory");
}

HYPERARC_DEVICE void cpAsyncCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most `Pending` of this thread's latest groups are under way.
template <int Pending>
HYPERARC_DEVICE void cpAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

/// Asks for the cache line of a global address to be brought into the L2 cache.
HYPERARC_DEVICE void prefetchL2(const void* global) { asm volatile("prefetch.global.L2 [%0];" ::"l"(global)); }

/// 2^x, at most 2 ulp (ex2.approx.ftz: results below 2⁻¹²⁶ are 0).
HYPERARC_DEVICE float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace hyperarc::cuda

#endif
