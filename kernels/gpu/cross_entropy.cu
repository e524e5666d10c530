/*
 * Cross-entropy over a vocabulary that arrives in shards, by an online log-sum-exp. A block reads a row of logits once:
 * each thread has a running maximum and a sum relative to it, which are brought together at the end.
 */
#include "block.h"
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "partial.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
constexpr int STEP = 4;
/* Vectors that a thread reads before it looks at their maximum. */
constexpr int VECTORS = 4;

constexpr float LOG2_E = 1.44269504f;
constexpr float MINUS_INFINITY = -INFINITY;

struct State {
    float maximum;
    float sum;
    float label_logit;
};

__device__ __forceinline__ State load_state(const float *source) {
    return {source[0], source[1], source[2]};
}

__device__ __forceinline__ void store_state(float *target, const State &state) {
    target[0] = state.maximum;
    target[1] = state.sum;
    target[2] = state.label_logit;
}

/* What to subtract from logits before they are exponentiated: while nothing has been seen, the maximum is no number. */
__device__ __forceinline__ float shift_of(float maximum) {
    return maximum == MINUS_INFINITY ? 0.0f : maximum;
}

__device__ __forceinline__ float exponential(float x) {
    return exp2f(x * LOG2_E);
}

/* Takes up logits; a maximum is never NaN, a sum may become it. */
template <int COUNT>
__device__ __forceinline__ void take(const float (&logits)[VECTORS][COUNT], float &maximum, float &sum) {
    float top = maximum;
#pragma unroll
    for (int i = 0; i < VECTORS; ++i) {
#pragma unroll
        for (int j = 0; j < COUNT; ++j) {
            top = logits[i][j] > top ? logits[i][j] : top;
        }
    }
    const float shift = shift_of(top);
    float added = 0.0f;
#pragma unroll
    for (int i = 0; i < VECTORS; ++i) {
#pragma unroll
        for (int j = 0; j < COUNT; ++j) {
            added += exponential(logits[i][j] - shift);
        }
    }
    sum = sum * exponential(maximum - shift) + added;
    maximum = top;
}

struct Operands {
    const float *logits;
    const int32_t *labels;
    float *state;
    int64_t logits_stride;
    int64_t state_stride;
    int64_t rows;
    int64_t vocab;
    int64_t vocab_start;
    bool fresh;
};

template <bool ALIGNED>
__global__ void __launch_bounds__(THREADS) update_rows(Operands args) {
    float *scratch = shared_memory<float>();
    for (int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
        const float *logits = args.logits + row * args.logits_stride;
        float *target = args.state + row * args.state_stride;
        float maximum = MINUS_INFINITY;
        float sum = 0.0f;
        for (int64_t first = threadIdx.x * STEP; first < args.vocab; first += THREADS * STEP * VECTORS) {
            float values[VECTORS][STEP];
#pragma unroll
            for (int i = 0; i < VECTORS; ++i) {
                const int64_t column = first + i * (THREADS * STEP);
                load_some<STEP, ALIGNED>(logits + column, args.vocab - column, MINUS_INFINITY, values[i]);
            }
            take(values, maximum, sum);
        }
        const State before = args.fresh ? State{MINUS_INFINITY, 0.0f, 0.0f} : load_state(target);
        const float top = reduce_block<THREADS>(larger(maximum, before.maximum), Max{}, scratch);
        const float shift = shift_of(top);
        sum = reduce_block<THREADS>(sum * exponential(maximum - shift), Add{}, scratch);
        if (threadIdx.x == 0) {
            const int64_t label = args.labels[row] - args.vocab_start;
            const bool here = args.labels[row] >= 0 && label >= 0 && label < args.vocab;
            const float kept = before.sum * exponential(before.maximum - shift);
            store_state(target, {top, kept + sum, here ? logits[label] : before.label_logit});
        }
    }
}

/* One thread for each row; at most one of the parts has seen the label, the others' logit is 0. */
__global__ void __launch_bounds__(THREADS) merge_rows(
    const float *parts, int64_t part_stride, int64_t row_stride, int64_t part_count, float *state, int64_t state_stride,
    int64_t rows) {
    const int64_t first = int64_t{blockIdx.x} * THREADS + threadIdx.x;
    for (int64_t row = first; row < rows; row += int64_t{gridDim.x} * THREADS) {
        State all{MINUS_INFINITY, 0.0f, 0.0f};
        for (int64_t i = 0; i < part_count; ++i) {
            const State part = load_state(parts + i * part_stride + row * row_stride);
            const float top = part.maximum > all.maximum ? part.maximum : all.maximum;
            const float shift = shift_of(top);
            all.sum = all.sum * exponential(all.maximum - shift) + part.sum * exponential(part.maximum - shift);
            all.maximum = top;
            all.label_logit += part.label_logit;
        }
        store_state(state + row * state_stride, all);
    }
}

/* Rows whose losses are computed and added up at once. */
constexpr int64_t TILE = 1024;

struct Losses {
    const float *state;
    const int32_t *labels;
    float *losses; /* NULL: not wanted */
    double *totals;
    int64_t state_stride;
    int64_t rows;
};

/* The order of the sum is part of the result: one thread adds up a tile of losses while the others compute the next. */
__global__ void __launch_bounds__(THREADS) finish_rows(Losses args) {
    constexpr int ADDERS = WARP;
    float *tiles = shared_memory<float>();
    auto *counts = reinterpret_cast<int64_t *>(tiles + 2 * TILE);
    const int thread = static_cast<int>(threadIdx.x);
    double total = 0.0;
    int64_t labelled = 0;
    for (int64_t first = 0; first < args.rows + TILE; first += TILE) {
        float *current = tiles + first / TILE % 2 * TILE;
        if (thread >= ADDERS) {
            for (int64_t i = thread - ADDERS; i < TILE && first + i < args.rows; i += THREADS - ADDERS) {
                float loss = 0.0f;
                if (args.labels[first + i] >= 0) {
                    const State state = load_state(args.state + (first + i) * args.state_stride);
                    loss = static_cast<float>(
                        state.maximum + log(static_cast<double>(state.sum)) - state.label_logit);
                    ++labelled;
                }
                current[i] = loss;
                if (args.losses != nullptr) {
                    args.losses[first + i] = loss;
                }
            }
        } else if (thread == 0 && first > 0) {
            const float *done = tiles + (first / TILE - 1) % 2 * TILE;
            const int64_t count = smaller(args.rows - (first - TILE), TILE);
#pragma unroll 8
            for (int64_t i = 0; i < count; ++i) {
                total += static_cast<double>(done[i]);
            }
        }
        __syncthreads();
    }
    labelled = reduce_block<THREADS>(labelled, Add{}, counts);
    if (thread == 0) {
        args.totals[0] = total;
        args.totals[1] = static_cast<double>(labelled);
    }
}

} // namespace

tsp_status cross_entropy_update(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_update_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const Operands operands{
            static_cast<const float *>(args.logits.data),
            static_cast<const int32_t *>(args.labels.data),
            static_cast<float *>(args.state.data),
            args.logits.strides[0],
            args.state.strides[0],
            args.logits.shape[0],
            args.logits.shape[1],
            args.vocab_start,
            (args.flags & TSP_FIRST) != 0};
        launch(
            "cross_entropy_update",
            has_vector_rows(args.logits) ? update_rows<true> : update_rows<false>,
            Grid{blocks_for(operands.rows), THREADS, sizeof(float) * (THREADS / WARP)},
            stream_of(where),
            operands);
    });
}

tsp_status cross_entropy_merge(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_merge_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const int64_t rows = args.parts.shape[1];
        launch(
            "cross_entropy_merge",
            merge_rows,
            Grid{blocks_for(divide_up(rows, THREADS)), THREADS},
            stream_of(where),
            static_cast<const float *>(args.parts.data),
            args.parts.strides[0],
            args.parts.strides[1],
            args.parts.shape[0],
            static_cast<float *>(args.state.data),
            args.state.strides[0],
            rows);
    });
}

tsp_status cross_entropy_finish(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_finish_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const Losses losses{
            static_cast<const float *>(args.state.data),
            static_cast<const int32_t *>(args.labels.data),
            static_cast<float *>(args.losses.data),
            static_cast<double *>(args.totals.data),
            args.state.strides[0],
            args.state.shape[0]};
        const size_t shared = 2 * TILE * sizeof(float) + sizeof(int64_t) * (THREADS / WARP);
        launch("cross_entropy_finish", finish_rows, Grid{1, THREADS, shared}, stream_of(where), losses);
    });
}

} // namespace tsp::gpu
