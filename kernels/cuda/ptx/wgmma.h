/*
 * Matrix products of a warpgroup (wgmma, sm_90a): C += A B with A [64, 16], B [16, N] in bf16 and C [64, N] in fp32, done
 * while the threads go on. The emulator has a header of the same name.
 *
 * Registers (PTX ISA 9.7.15.5.1.1, "Register Fragments"). With w = thread / 32 % 4, g = lane / 4 and t = lane % 4 a thread
 * holds of C in c[4 j], c[4 j + 1] row 16 w + g, columns 8 j + 2 t and the next one, in c[4 j + 2], c[4 j + 3] the same of
 * row 16 w + g + 8; of A the pairs of columns 2 t, 2 t + 1 in rows 16 w + g and 16 w + g + 8 (a[0], a[1]) and of columns
 * 2 t + 8, 2 t + 9 (a[2], a[3]), which is how four neighbouring pairs of C lie that belong to 16 columns.
 *
 * Shared memory (PTX ISA 9.7.15.5.1.2, "Shared Memory Matrix Layout", and 9.7.15.5.1.2.2, "Matrix Descriptor Format"),
 * with the 128-byte swizzle: a matrix stands in panels of 64 elements = 128 bytes width, the rows of a panel behind each
 * other, the panel's first byte aligned to 1024, and what belongs at byte b stands at swizzled(b), so as TMA writes it.
 *   K-major (A, and B as [N][K]): a row is one of M or N and runs along K; 16 k are 32 bytes of it. The next 8 rows are
 *     the descriptor's stride (1024 bytes) further; its leading offset is not used.
 *   MN-major (B as [K][N]): a row is one k and runs along N. The next 8 k are the stride (1024 bytes) further, the next
 *     64 of N, the next panel, the leading offset.
 */
#pragma once

#include <cuda_runtime.h>

#include "mbarrier.h"

namespace tsp::gpu {

enum class Major { K, MN };

constexpr int PRODUCT_ROWS = 64;
constexpr int PRODUCT_DEPTH = 16;
/* Elements of bf16 in a row of a panel. */
constexpr int PANEL_COLUMNS = 64;
constexpr uint32_t PANEL_ROW_BYTES = 128;

/* Where the 128-byte swizzle puts what belongs at this byte of shared memory: of 16-byte units, the number in its row of
 * 128 bytes is combined with the number of the row. */
__host__ __device__ constexpr uint32_t swizzled(uint32_t byte) {
    return byte ^ (byte >> 3 & 0x70u);
}

/* Of a matrix in panels. panel_bytes: from a panel to the next, for MN-major. Add bytes / 16 to move it. */
__device__ __forceinline__ uint64_t matrix_descriptor(const void *shared, uint32_t panel_bytes = 16) {
    constexpr uint64_t EIGHT_ROWS = 8 * PANEL_ROW_BYTES;
    constexpr uint64_t SWIZZLE_128_BYTES = 1;
    const uint64_t address = shared_address(shared);
    return (address & 0x3ffffu) >> 4 | static_cast<uint64_t>(panel_bytes >> 4) << 16 | EIGHT_ROWS >> 4 << 32
        | SWIZZLE_128_BYTES << 62;
}

/* Before the first product, and whenever this thread has written registers of a product since: it sees them. */
__device__ __forceinline__ void fence_products() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* Makes one group of the products since the last one. */
__device__ __forceinline__ void commit_products() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* The compiler may not use these registers earlier, nor keep them elsewhere. */
template <int COUNT>
__device__ __forceinline__ void pin(float (&registers)[COUNT]) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        asm volatile("" : "+f"(registers[i])::"memory");
    }
}

/* Waits until at most PENDING of the youngest groups are not done. finished: the accumulators of those that are. */
template <int PENDING, class... Registers>
__device__ __forceinline__ void wait_for_products(Registers &...finished) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(PENDING) : "memory");
    (pin(finished), ...);
}

#define TSP_OUT_8(c, i) \
    "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), \
        "+f"(c[i + 7])
#define TSP_OUT_32(c, i) TSP_OUT_8(c, i), TSP_OUT_8(c, i + 8), TSP_OUT_8(c, i + 16), TSP_OUT_8(c, i + 24)
#define TSP_LIST_32 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TSP_LIST_64 \
    TSP_LIST_32 ", " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define TSP_LIST_128 \
    TSP_LIST_64 ", " \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

/* N, registers of C, and the numbers of the four or seven operands behind them. */
#define TSP_PRODUCT_SHARED(N, LIST, A, B, ADD, MAJOR) \
    "{\n.reg .pred p;\nsetp.ne.b32 p, %" ADD ", 0;\nwgmma.mma_async.sync.aligned.m64n" N \
    "k16.f32.bf16.bf16 {" LIST "}, %" A ", %" B ", p, 1, 1, 0, %" MAJOR ";\n}"
#define TSP_PRODUCT_REGISTERS(N, LIST, A0, A1, A2, A3, B, ADD, MAJOR) \
    "{\n.reg .pred p;\nsetp.ne.b32 p, %" ADD ", 0;\nwgmma.mma_async.sync.aligned.m64n" N \
    "k16.f32.bf16.bf16 {" LIST "}, {%" A0 ", %" A1 ", %" A2 ", %" A3 "}, %" B ", p, 1, 1, %" MAJOR ";\n}"

/* Starts C = A B (+ C), with A and B in shared memory; N = 2 COUNT. The registers may not be used before
 * wait_for_products. */
template <Major B, int COUNT>
__device__ __forceinline__ void start_product(float (&c)[COUNT], uint64_t a, uint64_t b, bool add) {
    static_assert(COUNT == 32 || COUNT == 64 || COUNT == 128, "N is 64, 128 or 256");
    constexpr int TRANSPOSED = B == Major::MN ? 1 : 0;
    const int adds = add ? 1 : 0;
    if constexpr (COUNT == 32) {
        asm volatile(TSP_PRODUCT_SHARED("64", TSP_LIST_32, "32", "33", "34", "35")
                     : TSP_OUT_32(c, 0)
                     : "l"(a), "l"(b), "r"(adds), "n"(TRANSPOSED)
                     : "memory");
    } else if constexpr (COUNT == 64) {
        asm volatile(TSP_PRODUCT_SHARED("128", TSP_LIST_64, "64", "65", "66", "67")
                     : TSP_OUT_32(c, 0), TSP_OUT_32(c, 32)
                     : "l"(a), "l"(b), "r"(adds), "n"(TRANSPOSED)
                     : "memory");
    } else {
        asm volatile(TSP_PRODUCT_SHARED("256", TSP_LIST_128, "128", "129", "130", "131")
                     : TSP_OUT_32(c, 0), TSP_OUT_32(c, 32), TSP_OUT_32(c, 64), TSP_OUT_32(c, 96)
                     : "l"(a), "l"(b), "r"(adds), "n"(TRANSPOSED)
                     : "memory");
    }
}

/* The same with A in registers, which may not change, nor move, before the product is done. */
template <Major B, int COUNT>
__device__ __forceinline__ void start_product(float (&c)[COUNT], const uint32_t (&a)[4], uint64_t b, bool add) {
    static_assert(COUNT == 32 || COUNT == 64 || COUNT == 128, "N is 64, 128 or 256");
    constexpr int TRANSPOSED = B == Major::MN ? 1 : 0;
    const int adds = add ? 1 : 0;
    if constexpr (COUNT == 32) {
        asm volatile(TSP_PRODUCT_REGISTERS("64", TSP_LIST_32, "32", "33", "34", "35", "36", "37", "38")
                     : TSP_OUT_32(c, 0)
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(adds), "n"(TRANSPOSED)
                     : "memory");
    } else if constexpr (COUNT == 64) {
        asm volatile(TSP_PRODUCT_REGISTERS("128", TSP_LIST_64, "64", "65", "66", "67", "68", "69", "70")
                     : TSP_OUT_32(c, 0), TSP_OUT_32(c, 32)
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(adds), "n"(TRANSPOSED)
                     : "memory");
    } else {
        asm volatile(TSP_PRODUCT_REGISTERS("256", TSP_LIST_128, "128", "129", "130", "131", "132", "133", "134")
                     : TSP_OUT_32(c, 0), TSP_OUT_32(c, 32), TSP_OUT_32(c, 64), TSP_OUT_32(c, 96)
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(adds), "n"(TRANSPOSED)
                     : "memory");
    }
}

#undef TSP_PRODUCT_REGISTERS
#undef TSP_PRODUCT_SHARED
#undef TSP_LIST_128
#undef TSP_LIST_64
#undef TSP_LIST_32
#undef TSP_OUT_32
#undef TSP_OUT_8

} // namespace tsp::gpu
