/*
 * How warps that do different things hand work to each other on sm_90: mbarriers, on which the copy engine reports too,
 * named barriers of some warps, fences between ordinary accesses and those of the copy engine and the tensor cores, and
 * registers moved from one warpgroup to another. The emulator has a header of the same name.
 */
#pragma once

#include <cuda_runtime.h>

#include "tensor_core.h"

/* Whether this pass of the compiler knows the instructions of sm_90a; a kernel that uses them is empty in the others. */
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TSP_SM_90A 1
#else
#define TSP_SM_90A 0
#endif

namespace tsp::gpu {

/*
 * In shared memory. It counts phases 0, 1, 2, ...: a phase is over when as many threads as it was made for have arrived
 * and as many bytes have come as were announced; the next phase begins by itself (PTX ISA 9.7.13.15, "mbarrier").
 */
using MBarrier = uint64_t;

/* For arrivals of each phase. One thread calls it; fence_mbarrier_init, then a barrier of the block make it known. */
__device__ __forceinline__ void mbarrier_init(MBarrier *barrier, uint32_t arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

/* After mbarrier_init by the same thread: the copy engine sees the barriers. */
__device__ __forceinline__ void fence_mbarrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/* What this thread read and wrote before comes before what others do after they have waited for the phase. */
__device__ __forceinline__ void mbarrier_arrive(MBarrier *barrier) {
    asm volatile("{\n"
                 ".reg .b64 state;\n"
                 "mbarrier.arrive.shared::cta.b64 state, [%0];\n"
                 "}"
                 :
                 : "r"(shared_address(barrier))
                 : "memory");
}

/* Arrives, and announces this many bytes of the current phase, at most 2^20 - 1. */
__device__ __forceinline__ void mbarrier_arrive_expect(MBarrier *barrier, uint32_t bytes) {
    asm volatile("{\n"
                 ".reg .b64 state;\n"
                 "mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1;\n"
                 "}"
                 :
                 : "r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}

/* Returns when phase number n is over, for parity = n % 2, if the caller knows that phase n - 1 is: the phase before the
 * first counts as over, so waiting for parity 1 at first returns at once. */
__device__ __forceinline__ void mbarrier_wait(MBarrier *barrier, uint32_t parity) {
    asm volatile("{\n"
                 ".reg .pred over;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
                 "@over bra done;\n"
                 "bra again;\n"
                 "done:\n"
                 "}"
                 :
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
}

/* What this thread wrote to shared memory the ordinary way is seen by the tensor cores and the copy engine, asked for by
 * this thread or, behind a barrier, by another one. */
__device__ __forceinline__ void fence_proxy_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* Barrier id (1 to 15; 0 is that of the whole block) of this many threads, whole warps: waits for all of them. */
__device__ __forceinline__ void named_barrier_sync(uint32_t id, uint32_t threads) {
    asm volatile("bar.sync %0, %1;" : : "r"(id), "r"(threads) : "memory");
}

/* Counts among its threads, and goes on. */
__device__ __forceinline__ void named_barrier_arrive(uint32_t id, uint32_t threads) {
    asm volatile("bar.arrive %0, %1;" : : "r"(id), "r"(threads) : "memory");
}

/* True for one lane of the warp, always the same one. All lanes call it. */
__device__ __forceinline__ bool elect_lane() {
    uint32_t elected;
    asm volatile("{\n"
                 ".reg .pred mine;\n"
                 "elect.sync _|mine, 0xffffffff;\n"
                 "selp.u32 %0, 1, 0, mine;\n"
                 "}"
                 : "=r"(elected)
                 :
                 : "memory");
    return elected != 0;
}

/* Each thread of the calling warpgroup has this many registers from here on: a multiple of 8 from 24 to 240. */
template <uint32_t REGISTERS>
__device__ __forceinline__ void give_up_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" : : "n"(REGISTERS));
}

template <uint32_t REGISTERS>
__device__ __forceinline__ void take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" : : "n"(REGISTERS));
}

} // namespace tsp::gpu
