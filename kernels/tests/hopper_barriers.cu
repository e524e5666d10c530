/* mbarriers over many phases, named barriers as a ring, elected lanes. */
#include "hopper_test.h"

namespace tsp::test {
namespace {

using namespace gpu;

constexpr int STAGES = 2;
constexpr uint32_t TILE = 1024; /* bytes */

/* A warp loads count tiles, one after the other, through a ring of stages; four warps write them to out. */
__global__ void __launch_bounds__(160) pipe(const __grid_constant__ TensorMap map, int count, float *out) {
#if TSP_SM_90A
    auto *memory = shared_memory<unsigned char>();
    auto *full = reinterpret_cast<MBarrier *>(memory + STAGES * TILE);
    MBarrier *empty = full + STAGES;
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; ++stage) {
            mbarrier_init(full + stage, 1);
            mbarrier_init(empty + stage, 4);
        }
        fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x / WARP == 4) {
        for (int tile = 0; tile < count; ++tile) {
            const int stage = tile % STAGES;
            mbarrier_wait(empty + stage, tile / STAGES % 2 ^ 1);
            if (elect_lane()) {
                mbarrier_arrive_expect(full + stage, TILE);
                load_tensor(memory + stage * TILE, &map, {0, 8 * tile}, full + stage);
            }
            __syncwarp();
        }
        return;
    }
    for (int tile = 0; tile < count; ++tile) {
        const int stage = tile % STAGES;
        mbarrier_wait(full + stage, tile / STAGES % 2);
        for (uint32_t i = threadIdx.x; i < TILE / 4; i += 128) {
            out[static_cast<uint32_t>(tile) * (TILE / 4) + i] = reinterpret_cast<const float *>(memory + stage * TILE)[i];
        }
        __syncwarp();
        if (threadIdx.x % WARP == 0) {
            mbarrier_arrive(empty + stage);
        }
    }
#endif
}

void test_pipe(Report &report, int count) {
    const auto elements = static_cast<size_t>(count) * TILE / 4;
    const Shared<float> in(elements);
    const Shared<float> out(elements);
    for (size_t i = 0; i < elements; ++i) {
        in[i] = static_cast<float>(i);
    }
    const TensorMap map = map_tensor("in", in.data(), TSP_F32, false, {{32, 1, 32}, {8 * count, 32, 8}});
    run_block(160, STAGES * TILE + 2 * STAGES * sizeof(MBarrier), pipe, map, count, out.data());
    for (size_t i = 0; i < elements; ++i) {
        report.expect(out[i] == in[i], "%d tiles: element %zu is %g", count, i, static_cast<double>(out[i]));
    }
}

/* Warpgroups 0, 1, 2, 0, 1, ... write their numbers behind each other. */
__global__ void __launch_bounds__(384) take_turns(int rounds, int *order) {
#if TSP_SM_90A
    auto *next = shared_memory<int>();
    const uint32_t group = threadIdx.x / 128;
    if (threadIdx.x == 0) {
        *next = 0;
    }
    __syncthreads();
    if (group == 2) {
        named_barrier_arrive(1, 256);
    }
    for (int round = 0; round < rounds; ++round) {
        named_barrier_sync(1 + group, 256);
        if (threadIdx.x % 128 == 0) {
            order[*next] = static_cast<int>(group);
            *next = *next + 1;
        }
        named_barrier_arrive(1 + (group + 1) % 3, 256);
    }
    if (group == 0) {
        named_barrier_sync(1, 256);
    }
#endif
}

void test_turns(Report &report) {
    constexpr int ROUNDS = 5;
    const Shared<int> order(3 * ROUNDS);
    run_block(384, sizeof(int), take_turns, ROUNDS, order.data());
    for (int i = 0; i < 3 * ROUNDS; ++i) {
        report.expect(order[static_cast<size_t>(i)] == i % 3, "turn %d was of warpgroup %d", i, order[static_cast<size_t>(i)]);
    }
}

__global__ void __launch_bounds__(64) elect(int *elected) {
#if TSP_SM_90A
    for (int time = 0; time < 3; ++time) {
        elected[threadIdx.x * 3 + static_cast<uint32_t>(time)] = elect_lane() ? 1 : 0;
    }
#endif
}

void test_elect(Report &report) {
    const Shared<int> elected(64 * 3);
    run_block(64, 0, elect, elected.data());
    for (size_t warp = 0; warp < 2; ++warp) {
        int lanes = 0;
        for (size_t lane = 0; lane < 32; ++lane) {
            const int *times = elected.data() + (32 * warp + lane) * 3;
            report.expect(times[0] == times[1] && times[1] == times[2], "lane %zu is elected now and then", lane);
            lanes += times[0];
        }
        report.expect(lanes == 1, "%d lanes of a warp are elected", lanes);
    }
}

} // namespace

void test_barriers(Report &report) {
    for (const int count : {1, 2, 3, 4, 5, 9, 16}) {
        test_pipe(report, count);
    }
    test_turns(report);
    test_elect(report);
}

} // namespace tsp::test
