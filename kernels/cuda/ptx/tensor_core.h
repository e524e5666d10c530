/*
 * Instructions of sm_80 and later that C++ has no words for: matrix products of a warp, loads of their operands, and
 * copies to shared memory that the thread does not wait for. The emulator has a header of the same name.
 */
#pragma once

#include <cuda_runtime.h>

namespace tsp::gpu {

__device__ __forceinline__ uint32_t shared_address(const void *shared) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/* Starts to copy 16 bytes from global to shared memory, past the first-level cache; zeros if not valid. Both aligned. */
__device__ __forceinline__ void copy_async(void *shared, const void *global, bool valid) {
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(shared)), "l"(global), "r"(bytes)
                 : "memory");
}

/* Makes one group of the copies that this thread has started since the last one. */
__device__ __forceinline__ void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits until at most PENDING of this thread's youngest groups are not done. */
template <int PENDING>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" : : "n"(PENDING) : "memory");
}

/* Four matrices of 8 x 8 elements of 16 bits: lane 8 m + i names row i of matrix m (16 bytes, aligned). Lane l gets of
 * matrix m the elements [l / 4][2 (l % 4)] and the next one in words[m]. */
__device__ __forceinline__ void load_matrices(uint32_t (&words)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/* The same of the transposed matrices: elements [2 (l % 4)][l / 4] and [2 (l % 4) + 1][l / 4]. */
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&words)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/*
 * C += A B for A [16, 16] and B [16, 8] in bf16, C [16, 8] in fp32. With g = lane / 4 and t = lane % 4 a lane holds
 * of A the pairs of columns 2 t, 2 t + 1 in rows g and g + 8 (a[0], a[1]) and of columns 2 t + 8, 2 t + 9 (a[2], a[3]);
 * of B the pairs of rows 2 t, 2 t + 1 (b0) and 2 t + 8, 2 t + 9 (b1) in column g; of C columns 2 t, 2 t + 1 in row g
 * (c[0], c[1]) and in row g + 8 (c[2], c[3]).
 */
__device__ __forceinline__ void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* 2^x to about 2 units in the last place; 0 for -inf. */
__device__ __forceinline__ float fast_exp2(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

} // namespace tsp::gpu
