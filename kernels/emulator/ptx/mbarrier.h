/* What cuda/ptx/mbarrier.h offers, on the CPU. */
#pragma once

#include <cuda_runtime.h>

#include "async.h"
#include "tensor_core.h"

#define TSP_SM_90A 1

namespace tsp::gpu {

using MBarrier = uint64_t;

inline void mbarrier_init(MBarrier *barrier, uint32_t arrivals) {
    emulator::init_mbarrier(barrier, arrivals);
}

inline void fence_mbarrier_init() {
    emulator::publish_mbarriers();
}

inline void mbarrier_arrive(MBarrier *barrier) {
    emulator::arrive_at_mbarrier(barrier, 0);
}

inline void mbarrier_arrive_expect(MBarrier *barrier, uint32_t bytes) {
    emulator::arrive_at_mbarrier(barrier, bytes);
}

inline void mbarrier_wait(MBarrier *barrier, uint32_t parity) {
    emulator::wait_for_mbarrier(barrier, parity);
}

inline void fence_proxy_async() {
    emulator::fence_proxies();
}

inline void check_named_barrier(uint32_t id, uint32_t threads) {
    if (id == 0 || id > 15 || threads == 0 || threads % emulator::WARP != 0) {
        emulator::fault("named barrier %u of %u threads: there are 1 to 15, of whole warps", id, threads);
    }
}

inline void named_barrier_sync(uint32_t id, uint32_t threads) {
    check_named_barrier(id, threads);
    emulator::barrier_sync(static_cast<int>(id), static_cast<int>(threads));
}

inline void named_barrier_arrive(uint32_t id, uint32_t threads) {
    check_named_barrier(id, threads);
    emulator::barrier_arrive(static_cast<int>(id), static_cast<int>(threads));
}

inline bool elect_lane() {
    __syncwarp();
    return emulator::self().lane() == 0;
}

template <uint32_t REGISTERS>
void give_up_registers() {
    static_assert(REGISTERS % 8 == 0 && REGISTERS >= 24 && REGISTERS <= 240, "what setmaxnreg allows");
}

template <uint32_t REGISTERS>
void take_registers() {
    give_up_registers<REGISTERS>();
}

} // namespace tsp::gpu
