/* The sum of the rows of a matrix: a block takes some columns of a part of the rows. */
#include "checks.h"
#include "ops.h"
#include "partial.h"
#include "row_parts.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
constexpr int LANES = 8; /* rows at once */
constexpr int WIDTH = THREADS / LANES;

RowParts parts_of(const tsp_column_sum_args &args) {
    return {args.x.shape[0], args.x.shape[1], 64, 64};
}

template <bool ALIGNED, class T>
__global__ void __launch_bounds__(THREADS)
sum_parts(RowParts parts, const T *__restrict__ x, int64_t stride, float *__restrict__ sums) {
    constexpr int STEP = VECTOR<T>;
    constexpr int TILE = WIDTH * STEP;
    float *shared = shared_memory<float>(); /* [LANES][TILE] */
    const int slot = static_cast<int>(threadIdx.x) % WIDTH * STEP;
    const int lane = static_cast<int>(threadIdx.x) / WIDTH;
    const int64_t tiles = divide_up(parts.columns, TILE);
    for (int64_t task = blockIdx.x; task < parts.parts * tiles; task += gridDim.x) {
        const int64_t part = task / tiles;
        const int64_t first_column = (task - part * tiles) * TILE;
        const int64_t left = parts.columns - first_column - slot;
        const int64_t end = smaller((part + 1) * parts.part_rows, parts.rows);
        float own[STEP] = {};
        if (left > 0) {
#pragma unroll 4
            for (int64_t row = part * parts.part_rows + lane; row < end; row += LANES) {
                float values[STEP];
                load_some<STEP, ALIGNED>(x + row * stride + first_column + slot, left, 0.0f, values);
#pragma unroll
                for (int i = 0; i < STEP; ++i) {
                    own[i] += values[i];
                }
            }
        }
        __syncthreads();
        store<STEP, true>(shared + lane * TILE + slot, own);
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < TILE; i += THREADS) {
            float total = 0.0f;
#pragma unroll
            for (int j = 0; j < LANES; ++j) {
                total += shared[j * TILE + i];
            }
            if (first_column + i < parts.columns) {
                sums[part * parts.stride() + first_column + i] = total;
            }
        }
    }
}

template <class T>
void sum_rows(const tsp_column_sum_args &args, const tsp_launch &where) {
    const RowParts parts = parts_of(args);
    constexpr int TILE = WIDTH * VECTOR<T>;
    const int64_t tasks = parts.parts * divide_up(parts.columns, TILE);
    auto *sums = static_cast<float *>(where.workspace);
    launch(
        "column_sum",
        has_vector_rows(args.x) ? sum_parts<true, T> : sum_parts<false, T>,
        Grid{blocks_for(tasks), THREADS, sizeof(float) * LANES * TILE},
        stream_of(where),
        parts,
        static_cast<const T *>(args.x.data),
        args.x.strides[0],
        sums);
    add_parts(
        "column_sum: parts",
        parts,
        sums,
        static_cast<float *>(args.out.data),
        (args.flags & TSP_ACCUMULATE) != 0,
        stream_of(where));
}

} // namespace

tsp_status column_sum(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_column_sum_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        require_workspace(where, column_sum_workspace(&args, &where));
        if (args.x.dtype == TSP_BF16) {
            sum_rows<bf16>(args, where);
        } else {
            sum_rows<float>(args, where);
        }
    });
}

int64_t column_sum_workspace(const void *args_in, const tsp_launch *launch_in) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_column_sum_args>(args_in);
        read_launch(launch_in);
        check_shapes(args);
        return parts_of(args).elements() * static_cast<int64_t>(sizeof(float));
    });
}

} // namespace tsp::gpu
