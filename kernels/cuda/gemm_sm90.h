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
    static constexpr int SUMS = COLUMNS / 2;
    static constexpr uint32_t STAGE_BYTES = (ROWS + COLUMNS) * DEPTH * sizeof(bf16);
    /* Lines of a B whose lines run along n, in a box of the copy engine: see load_b. */
    static constexpr int LINES = 8;

    struct Shared {
        bf16 a[STAGES][ROWS * DEPTH];
        bf16 b[STAGES][COLUMNS * DEPTH];
        MBarrier full[STAGES];
        MBarrier empty[STAGES];
    };
};

/* A sum of two products, of which the second may be empty: C = A0 B0 + A1 B1. */
struct WideOperands {
    TensorMap a[2];
    TensorMap b[2];
    int32_t steps;       /* of both products */
    int32_t first_steps; /* of the first one */
    uint32_t tiles;
    uint32_t tile_rows;
    uint32_t tile_columns;
};

/* Rows row .. of A, and of B's transpose [n, k] (K) or columns of B [k, n] (MN), at a step of the depth. */
template <Major B>
__device__ __forceinline__ void
load_stage(const WideOperands &operands, Wide::Shared &shared, int stage, int step, int32_t row, int32_t column) {
    MBarrier *full = &shared.full[stage];
    mbarrier_arrive_expect(full, Wide::STAGE_BYTES);
    const int part = step < operands.first_steps ? 0 : 1;
    const int32_t k = (step - (part == 0 ? 0 : operands.first_steps)) * Wide::DEPTH;
    const int32_t at_a[2] = {k, row};
    load_tensor<2>(shared.a[stage], &operands.a[part], at_a, full);
    if constexpr (B == Major::K) {
        const int32_t at_b[2] = {k, column};
        load_tensor<2>(shared.b[stage], &operands.b[part], at_b, full);
    } else {
#pragma unroll
        for (int i = 0; i < Wide::COLUMNS; i += PANEL_COLUMNS) {
            const int32_t at_b[3] = {column + i, 0, k / Wide::LINES};
            load_tensor<3>(shared.b[stage] + i * Wide::DEPTH, &operands.b[part], at_b, full);
        }
    }
}

template <Major B>
__device__ __forceinline__ void produce(const WideOperands &operands, Wide::Shared &shared) {
    int stage = 0;
    uint32_t round = 0;
#pragma unroll 1
    for (uint32_t number = blockIdx.x; number < operands.tiles; number += gridDim.x) {
        const TilePosition tile = tile_position(number, operands.tile_rows, operands.tile_columns);
        const auto row = static_cast<int32_t>(tile.row * Wide::ROWS);
        const auto column = static_cast<int32_t>(tile.column * Wide::COLUMNS);
#pragma unroll 1
        for (int step = 0; step < operands.steps; ++step) {
            mbarrier_wait(&shared.empty[stage], (round + 1) & 1u);
            load_stage<B>(operands, shared, stage, step, row, column);
            stage = stage + 1 == Wide::STAGES ? 0 : stage + 1;
            round += stage == 0 ? 1 : 0;
        }
    }
}

/* Starts the products of a stage, 64 rows of A from row on. */
template <Major B>
__device__ __forceinline__ void
multiply_stage(float (&sums)[Wide::SUMS], const Wide::Shared &shared, int stage, int row, bool add) {
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

template <Major B, class Epilogue>
__device__ __forceinline__ void
consume(const WideOperands &operands, Wide::Shared &shared, const Epilogue &epilogue, int first_row) {
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    const int own_row = first_row + static_cast<int>(threadIdx.x) % Wide::WARPGROUP / WARP * 16 + lane / 4;
    int stage = 0;
    uint32_t round = 0;
#pragma unroll 1
    for (uint32_t number = blockIdx.x; number < operands.tiles; number += gridDim.x) {
        const TilePosition tile = tile_position(number, operands.tile_rows, operands.tile_columns);
        float sums[Wide::SUMS];
        int last = 0;
#pragma unroll 1
        for (int step = 0; step < operands.steps; ++step) {
            mbarrier_wait(&shared.full[stage], round & 1u);
            multiply_stage<B>(sums, shared, stage, first_row, step > 0);
            /* The products of the step before are done: its stage may be filled again. */
            wait_for_products<1>();
            if (step > 0 && lane == 0) {
                mbarrier_arrive(&shared.empty[last]);
            }
            last = stage;
            stage = stage + 1 == Wide::STAGES ? 0 : stage + 1;
            round += stage == 0 ? 1 : 0;
        }
        wait_for_products<0>(sums);
        if (lane == 0) {
            mbarrier_arrive(&shared.empty[last]);
        }
        constexpr int COUNT = 8;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
            for (int first = 0; first < Wide::COLUMNS / GROUP; first += COUNT) {
                float values[COUNT][2];
#pragma unroll
                for (int j = 0; j < COUNT; ++j) {
                    values[j][0] = sums[4 * (first + j) + 2 * half];
                    values[j][1] = sums[4 * (first + j) + 2 * half + 1];
                }
                epilogue(
                    int64_t{tile.row} * Wide::ROWS + own_row + 8 * half,
                    int64_t{tile.column} * Wide::COLUMNS + first * GROUP,
                    values);
            }
        }
    }
}

/* A B goes to the epilogue. B: how its lines run. */
template <Major B, class Epilogue>
__global__ void __launch_bounds__(Wide::THREADS, 1)
    multiply_wide(const __grid_constant__ WideOperands operands, const __grid_constant__ Epilogue epilogue) {
#if TSP_SM_90A
    auto &shared = *shared_memory<Wide::Shared>();
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
            produce<B>(operands, shared);
        }
    } else {
        take_registers<240>();
        consume<B>(operands, shared, epilogue, thread / Wide::WARPGROUP * PRODUCT_ROWS);
    }
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
inline void set_shape(WideOperands &operands, int64_t rows, int64_t columns, int64_t first_depth, int64_t second_depth) {
    operands.first_steps = static_cast<int32_t>(divide_up(first_depth, Wide::DEPTH));
    operands.steps = operands.first_steps + static_cast<int32_t>(divide_up(second_depth, Wide::DEPTH));
    operands.tiles = count_tiles(rows, columns, Wide::ROWS, Wide::COLUMNS);
    operands.tile_rows = static_cast<uint32_t>(divide_up(rows, Wide::ROWS));
    operands.tile_columns = static_cast<uint32_t>(divide_up(columns, Wide::COLUMNS));
}

/* One block for each multiprocessor, or as many as there are tiles. */
template <Major B, class Epilogue>
void launch_wide(const char *name, const WideOperands &operands, const Epilogue &epilogue, cudaStream_t stream) {
    const auto resident = static_cast<uint32_t>(device_attribute(cudaDevAttrMultiProcessorCount));
    const Grid grid{dim3(smaller(operands.tiles, resident)), Wide::THREADS, sizeof(Wide::Shared)};
    launch(name, multiply_wide<B, Epilogue>, grid, stream, operands, epilogue);
}

} // namespace tsp::gpu::gemm
