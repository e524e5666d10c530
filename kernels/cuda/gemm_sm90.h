/*
 * Matrix products C [m, n] = A [m, k] B [k, n] in bf16 on sm_90a. A block stays on its multiprocessor and computes one tile
 * of 128 x 256 after the other: one warpgroup has the copy engine fill a ring of stages in shared memory, two warpgroups
 * of 64 rows each multiply what is there with wgmma, sums in registers. The next tile's operands are on their way while the
 * last one's sums go to memory. Each sum is made in ascending order of k.
 */
#pragma once

#include "gemm_rows.h"
#include "gemm_tile.h"
#include "tensor_map.h"
#include "wgmma.h"

namespace tsp::gpu::gemm {

struct Wide {
    static constexpr int CONSUMERS = 2; /* warpgroups that multiply */
    static constexpr int WARPGROUP = 128;
    static constexpr int THREADS = (CONSUMERS + 1) * WARPGROUP;
    static constexpr int ROWS = CONSUMERS * PRODUCT_ROWS;
    static constexpr int COLUMNS = 256;
    static constexpr int DEPTH = 64; /* of a stage: rows of 128 bytes */
    static constexpr int STAGES = 4;
    /* Lines of a B whose lines run along n: what the copy engine sees as one index of its third dimension. */
    static constexpr int LINES = 8;

    /* What comes into a stage with so many columns of B. */
    template <int COUNT>
    static constexpr uint32_t STAGE_BYTES = (ROWS + COUNT) * DEPTH * sizeof(bf16);

    struct Shared {
        bf16 a[STAGES][ROWS * DEPTH];
        bf16 b[STAGES][COLUMNS * DEPTH];
        MBarrier full[STAGES];
        MBarrier empty[STAGES];
    };
};

/* Where a warpgroup is in the ring. */
struct RingPosition {
    int stage = 0;
    uint32_t round = 0;

    __device__ __forceinline__ void advance() {
        stage = stage + 1 == Wide::STAGES ? 0 : stage + 1;
        round += stage == 0 ? 1 : 0;
    }
};

/* Two products that pass through the ring one after the other, of which the second may be empty. */
struct WideOperands {
    TensorMap a[2];
    TensorMap b[2];
    int32_t steps[2];
    uint32_t tiles;
    uint32_t tile_rows;
    uint32_t tile_columns;
};

/* Fills stages with one product's rows of A from row on, and COLUMNS rows of B's transpose [n, k] (K) or columns of B [k, n]
 * (MN) from column on. One thread. */
template <Major B, int COLUMNS>
__device__ __forceinline__ void produce(
    const WideOperands &operands, int part, Wide::Shared &shared, RingPosition &position, int32_t row, int32_t column) {
    const int steps = operands.steps[part];
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
        const int stage = position.stage;
        MBarrier *full = &shared.full[stage];
        mbarrier_wait(&shared.empty[stage], (position.round + 1) & 1u);
        mbarrier_arrive_expect(full, Wide::STAGE_BYTES<COLUMNS>);
        const int32_t k = step * Wide::DEPTH;
        const int32_t at_a[2] = {k, row};
        load_tensor<2>(shared.a[stage], &operands.a[part], at_a, full);
        if constexpr (B == Major::K) {
            const int32_t at_b[2] = {k, column};
            load_tensor<2>(shared.b[stage], &operands.b[part], at_b, full);
        } else {
#pragma unroll
            for (int i = 0; i < COLUMNS; i += PANEL_COLUMNS) {
                const int32_t at_b[3] = {column + i, 0, k / Wide::LINES};
                load_tensor<3>(shared.b[stage] + i * Wide::DEPTH, &operands.b[part], at_b, full);
            }
        }
        position.advance();
    }
}

/* Starts the products of a stage, 64 rows of A from row on. */
template <Major B, int COUNT>
__device__ __forceinline__ void multiply_stage(
    float (&sums)[COUNT], const Wide::Shared &shared, int stage, int row, bool add) {
    /* Descriptors count 16 bytes. */
    constexpr uint64_t A_STEP = PRODUCT_DEPTH * sizeof(bf16) / 16;
    constexpr uint64_t B_STEP = B == Major::K ? A_STEP : PRODUCT_DEPTH * PANEL_ROW_BYTES / 16;
    constexpr uint32_t PANEL_BYTES = Wide::DEPTH * PANEL_ROW_BYTES;
    const uint64_t a = matrix_descriptor(shared.a[stage] + row * Wide::DEPTH);
    const uint64_t b = matrix_descriptor(shared.b[stage], B == Major::K ? 16 : PANEL_BYTES);
    fence_products();
#pragma unroll
    for (int k = 0; k < Wide::DEPTH / PRODUCT_DEPTH; ++k) {
        start_product<B>(sums, a + A_STEP * k, b + B_STEP * k, add || k > 0);
    }
    commit_products();
}

/* sums = the product of steps stages, at least one, 64 rows of A from row on; 2 COUNT columns. All threads of a warpgroup. */
template <Major B, int COUNT>
__device__ __forceinline__ void multiply_steps(
    float (&sums)[COUNT], int steps, Wide::Shared &shared, RingPosition &position, int row) {
    const bool elected = static_cast<int>(threadIdx.x) % WARP == 0;
    int last = -1;
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
        mbarrier_wait(&shared.full[position.stage], position.round & 1u);
        multiply_stage<B>(sums, shared, position.stage, row, step > 0);
        /* The products of the step before are done: its stage may be filled again. */
        wait_for_products<1>();
        if (elected && last >= 0) {
            mbarrier_arrive(&shared.empty[last]);
        }
        last = position.stage;
        position.advance();
    }
    wait_for_products<0>(sums);
    if (elected && last >= 0) {
        mbarrier_arrive(&shared.empty[last]);
    }
}

/* The row of its 64 of which a thread has sums c[4 j], c[4 j + 1]; it has c[4 j + 2], c[4 j + 3] of the row 8 further. */
__device__ __forceinline__ int first_row_of_thread() {
    const int thread = static_cast<int>(threadIdx.x);
    return thread % Wide::WARPGROUP / WARP * 16 + thread % WARP / 4;
}

/* COUNT groups of columns from group first on, of the thread's first row or of the second. */
template <int COUNT, int SUMS>
__device__ __forceinline__ void take_groups(float (&values)[COUNT][2], const float (&sums)[SUMS], int first, int half) {
#pragma unroll
    for (int j = 0; j < COUNT; ++j) {
        values[j][0] = sums[4 * (first + j) + 2 * half];
        values[j][1] = sums[4 * (first + j) + 2 * half + 1];
    }
}

/* Calls make(row of the tile's corner, column of the corner) for the tiles of this block, in their order. */
template <class Make>
__device__ __forceinline__ void for_each_tile(const WideOperands &operands, const Make &make) {
#pragma unroll 1
    for (uint32_t number = blockIdx.x; number < operands.tiles; number += gridDim.x) {
        const TilePosition tile = tile_position(number, operands.tile_rows, operands.tile_columns);
        make(static_cast<int32_t>(tile.row * Wide::ROWS), static_cast<int32_t>(tile.column * Wide::COLUMNS));
    }
}

/* Runs produce_all on one thread, and consume_all(first row of its 64) on the warpgroups that multiply. */
template <class Produce, class Consume>
__device__ __forceinline__ void run_warpgroups(
    Wide::Shared &shared, const Produce &produce_all, const Consume &consume_all) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread == 0) {
        for (int i = 0; i < Wide::STAGES; ++i) {
            mbarrier_init(&shared.full[i], 1);
            mbarrier_init(&shared.empty[i], Wide::CONSUMERS * Wide::WARPGROUP / WARP);
        }
        fence_mbarrier_init();
    }
    __syncthreads();
    if (thread >= Wide::CONSUMERS * Wide::WARPGROUP) {
        give_up_registers<24>();
        if (thread == Wide::CONSUMERS * Wide::WARPGROUP) {
            produce_all();
        }
    } else {
        take_registers<240>();
        consume_all(thread / Wide::WARPGROUP * PRODUCT_ROWS);
    }
}

/* A0 B0 + A1 B1 goes to the epilogue. B: how its lines run. */
template <Major B, class Epilogue>
__global__ void __launch_bounds__(Wide::THREADS, 1)
    multiply_wide(const __grid_constant__ WideOperands operands, const __grid_constant__ Epilogue epilogue) {
#if TSP_SM_90A
    auto &shared = *shared_memory<Wide::Shared>();
    const auto produce_all = [&] {
        RingPosition position;
        for_each_tile(operands, [&](int32_t row, int32_t column) {
            produce<B, Wide::COLUMNS>(operands, 0, shared, position, row, column);
            produce<B, Wide::COLUMNS>(operands, 1, shared, position, row, column);
        });
    };
    const auto consume_all = [&](int first_row) {
        RingPosition position;
        for_each_tile(operands, [&](int32_t row, int32_t column) {
            float sums[Wide::COLUMNS / 2];
            multiply_steps<B>(sums, operands.steps[0] + operands.steps[1], shared, position, first_row);
            constexpr int COUNT = 8;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
#pragma unroll
                for (int first = 0; first < Wide::COLUMNS / GROUP; first += COUNT) {
                    float values[COUNT][2];
                    take_groups(values, sums, first, half);
                    epilogue(
                        int64_t{row} + first_row + first_row_of_thread() + 8 * half,
                        int64_t{column} + first * GROUP,
                        values);
                }
            }
        });
    };
    run_warpgroups(shared, produce_all, consume_all);
#endif
}

/* A matrix [rows, columns] of bf16 for multiply_wide. */
struct WideMatrix {
    const char *name;
    const void *data;
    int64_t stride;
    int64_t rows;
    int64_t columns;
};

inline WideMatrix wide_matrix(const char *name, const tsp_tensor &tensor) {
    return {name, tensor.data, tensor.strides[0], tensor.shape[0], tensor.shape[1]};
}

/* Whether the copy engine can read it. */
inline bool is_wide(const WideMatrix &matrix) {
    return matrix.columns % CHUNK<bf16> == 0
        && can_map_tensor(matrix.data, TSP_BF16, {{matrix.columns, 1, 1}, {matrix.rows, matrix.stride, 1}});
}

/* Lines along the depth, lines of the tile that a block computes. */
inline TensorMap map_along_depth(const WideMatrix &matrix, int lines) {
    return map_tensor(
        matrix.name,
        matrix.data,
        TSP_BF16,
        true,
        {{matrix.columns, 1, Wide::DEPTH}, {matrix.rows, matrix.stride, static_cast<uint32_t>(lines)}});
}

/* Lines along n, in groups of LINES of which the next one begins group_stride elements behind. */
inline TensorMap map_across_depth(const WideMatrix &matrix, int64_t group_stride) {
    return map_tensor(
        matrix.name,
        matrix.data,
        TSP_BF16,
        true,
        {{matrix.columns, 1, PANEL_COLUMNS},
         {Wide::LINES, matrix.stride, Wide::LINES},
         {matrix.rows / Wide::LINES, group_stride, Wide::DEPTH / Wide::LINES}});
}

/* What multiply_wide needs beside maps. */
inline void set_shape(
    WideOperands &operands, int64_t rows, int64_t columns, int64_t first_depth, int64_t second_depth) {
    operands.steps[0] = static_cast<int32_t>(divide_up(first_depth, Wide::DEPTH));
    operands.steps[1] = static_cast<int32_t>(divide_up(second_depth, Wide::DEPTH));
    operands.tiles = count_tiles(rows, columns, Wide::ROWS, Wide::COLUMNS);
    operands.tile_rows = static_cast<uint32_t>(divide_up(rows, Wide::ROWS));
    operands.tile_columns = static_cast<uint32_t>(divide_up(columns, Wide::COLUMNS));
}

/* One block for each multiprocessor, or as many as there are tiles. */
template <class Epilogue>
void launch_wide(
    const char *name, void (*kernel)(WideOperands, Epilogue), const WideOperands &operands, const Epilogue &epilogue,
    cudaStream_t stream) {
    const auto resident = static_cast<uint32_t>(device_attribute(cudaDevAttrMultiProcessorCount));
    const Grid grid{dim3(smaller(operands.tiles, resident)), Wide::THREADS, sizeof(Wide::Shared)};
    launch(name, kernel, grid, stream, operands, epilogue);
}

} // namespace tsp::gpu::gemm
