/*
 * Sums over the rows of a matrix, column by column. The rows are cut into parts in a way that depends on the shape alone;
 * each part has sums of its own in the workspace, and a second kernel adds these up in order. So the device and how many
 * blocks run at once change no bit.
 */
#pragma once

#include "block.h"
#include "launch.h"

namespace tsp::gpu {

class RowParts {
public:
    /* most: parts; least: rows of a part, which pay for its sums. */
    RowParts(int64_t rows, int64_t columns, int64_t most, int64_t least)
        : rows(rows),
          columns(columns),
          part_rows(larger(divide_up(rows, most), least)),
          parts(divide_up(rows, part_rows)) {}

    int64_t rows;
    int64_t columns;
    int64_t part_rows;
    int64_t parts;

    /* Floats from one part's sums to the next one's: rows of vectors. */
    TSP_HD int64_t stride() const {
        return round_up(columns, 16);
    }

    /* Floats of the sums of all parts. */
    int64_t elements() const {
        return parts * stride();
    }
};

namespace parts {

constexpr int COLUMNS = 32;
constexpr int LANES = 16;
constexpr int THREADS = COLUMNS * LANES;

/* out (+)= the sum over all parts: of each column, LANES threads add every LANES-th part, then one adds what they have. */
static __global__ void __launch_bounds__(THREADS) add(RowParts parts, const float *sums, float *out, bool accumulate) {
    float *shared = shared_memory<float>();
    const int column_of_block = static_cast<int>(threadIdx.x) % COLUMNS;
    const int lane = static_cast<int>(threadIdx.x) / COLUMNS;
    const int64_t column = int64_t{blockIdx.x} * COLUMNS + column_of_block;
    float sum = 0.0f;
    if (column < parts.columns) {
#pragma unroll 4
        for (int64_t part = lane; part < parts.parts; part += LANES) {
            sum += sums[part * parts.stride() + column];
        }
    }
    shared[threadIdx.x] = sum;
    __syncthreads();
    if (lane == 0 && column < parts.columns) {
        float total = 0.0f;
#pragma unroll
        for (int i = 0; i < LANES; ++i) {
            total += shared[i * COLUMNS + column_of_block];
        }
        out[column] = accumulate ? out[column] + total : total;
    }
}

} // namespace parts

inline void
add_parts(const char *name, const RowParts &all, const float *sums, float *out, bool accumulate, cudaStream_t stream) {
    const auto blocks = static_cast<uint32_t>(divide_up(all.columns, parts::COLUMNS));
    launch(name, parts::add, Grid{blocks, parts::THREADS, sizeof(float) * parts::THREADS}, stream, all, sums, out, accumulate);
}

} // namespace tsp::gpu
