/*
 * Attention forward in bf16 on mma.sync. A block takes a tile of queries: pairs (token, head of a group), see
 * query_tiles.h, so that all heads which read the same keys use each tile of them, and a single token fills a tile with
 * its group. It goes through the keys that some of its queries see, from the first, in steps of KEYS; the probabilities
 * of a step stay in registers. Keys and values have one buffer each: values come while scores are computed, the next
 * keys while probabilities are. Masks cost only warps that need one in a step, and steps of which a warp sees nothing
 * cost it nothing but barriers.
 */
#pragma once

#include "attention_tables.h"
#include "attention_tiles.h"

namespace tsp::gpu {

template <class T>
struct ForwardOperands {
    Heads<const T> q;
    Heads<const T> k;
    Heads<const T> v;
    Heads<T> out;
    Heads<float> lse; /* NULL: not wanted */
    int64_t tiles;
    int64_t section;
    AttentionTables tables;
};

/* BLOCKS: on a multiprocessor at a time. A warp has 16 TALL queries. */
template <int COLUMNS_, int TALL_, int KEYS_, int BLOCKS_>
struct ForwardShape {
    static constexpr int COLUMNS = COLUMNS_;
    static constexpr int TALL = TALL_;
    static constexpr int KEYS = KEYS_;
    static constexpr int BLOCKS = BLOCKS_;
    static constexpr int WARPS = 4;
    static constexpr int THREADS = WARPS * WARP;
    static constexpr int WARP_ROWS = 16 * TALL;
    static constexpr int QUERIES = WARPS * WARP_ROWS;
    static constexpr int WIDE = KEYS / 8;
    static constexpr int OUT_WIDE = COLUMNS / 8;
};

template <class Shape>
struct ForwardShared {
    bf16 queries[Shape::QUERIES * Shape::COLUMNS];
    bf16 keys[Shape::KEYS * Shape::COLUMNS];
    bf16 values[Shape::KEYS * Shape::COLUMNS];
    KeySpan visible[Shape::QUERIES];
    int32_t row[Shape::QUERIES]; /* -1: none */
    int32_t head[Shape::QUERIES];
    KeySpan reached[Shape::WARPS]; /* by some query of the warp */
    KeySpan common[Shape::WARPS];  /* seen by all of them */
    int32_t sequence;
    int32_t kv_head;
};

/* What a warp carries from step to step; a row's part is in the four lanes of its quad. */
template <class Shape>
struct ForwardState {
    Sums<Shape::TALL, Shape::OUT_WIDE> out;
    float top[Shape::TALL][2]; /* of the scores of a row before they are scaled, the same in all lanes of a quad */
    float sum[Shape::TALL][2]; /* of what this lane has seen of a row */
};

template <class Shape>
__device__ __forceinline__ void hide_invisible(
    Sums<Shape::TALL, Shape::WIDE> &scores, const KeySpan *visible, int32_t key) {
    const int lane = thread_here() % WARP;
#pragma unroll
    for (int m = 0; m < Shape::TALL; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const KeySpan span = visible[16 * m + 8 * half + lane / 4];
            const int32_t first = span.begin - key;
            const int32_t end = span.end - key;
#pragma unroll
            for (int n = 0; n < Shape::WIDE; ++n) {
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int32_t column = 8 * n + lane % 4 * 2 + i;
                    if (column < first || column >= end) {
                        scores[m][n][2 * half + i] = MINUS_INFINITY;
                    }
                }
            }
        }
    }
}

/* Makes scores to probabilities, and rescales what there is to the new maximum. */
template <class Shape>
__device__ __forceinline__ void
soften(ForwardState<Shape> &state, Sums<Shape::TALL, Shape::WIDE> &scores, float factor) {
#pragma unroll
    for (int m = 0; m < Shape::TALL; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float top = state.top[m][half];
            const float before = top;
#pragma unroll
            for (int n = 0; n < Shape::WIDE; ++n) {
                top = fmaxf(top, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
            }
            top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 1));
            top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 2));
            state.top[m][half] = top;
            /* A row that has seen no key yet has nothing but -inf, and -inf - 0 is -inf where -inf + inf were NaN. */
            const float shift = top == MINUS_INFINITY ? 0.0f : top * factor;
            const float decay = fast_exp2(fmaf(before, factor, -shift));
            float sum = state.sum[m][half] * decay;
#pragma unroll
            for (int n = 0; n < Shape::WIDE; ++n) {
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; ++i) {
                    scores[m][n][i] = fast_exp2(fmaf(scores[m][n][i], factor, -shift));
                    sum += scores[m][n][i];
                }
            }
            state.sum[m][half] = sum;
#pragma unroll
            for (int n = 0; n < Shape::OUT_WIDE; ++n) {
                state.out[m][n][2 * half] *= decay;
                state.out[m][n][2 * half + 1] *= decay;
            }
        }
    }
}

template <class Shape, bool ALIGNED>
__device__ __forceinline__ void write_forward(
    ForwardState<Shape> &state, ForwardShared<Shape> &shared, const ForwardOperands<bf16> &args, int warp_row) {
    const int lane = thread_here() % WARP;
    float inverse[Shape::TALL][2];
#pragma unroll
    for (int m = 0; m < Shape::TALL; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float sum = state.sum[m][half];
            sum += __shfl_xor_sync(ALL_LANES, sum, 1);
            sum += __shfl_xor_sync(ALL_LANES, sum, 2);
            const bool empty = sum == 0.0f; /* and not NaN */
            inverse[m][half] = empty ? 0.0f : 1.0f / sum;
            const int i = warp_row + 16 * m + 8 * half + lane / 4;
            if (args.lse.data != nullptr && lane % 4 == 0 && shared.row[i] >= 0) {
                *args.lse.at(shared.row[i], shared.head[i]) =
                    empty ? MINUS_INFINITY : state.top[m][half] * args.tables.scale + logf(sum);
            }
        }
    }
    store_rows<Shape::COLUMNS, ALIGNED>(
        state.out,
        shared.queries,
        warp_row,
        args.tables.head_dim,
        [&](int m, int half) { return inverse[m][half]; },
        [&](int i) { return shared.row[i] < 0 ? nullptr : args.out.at(shared.row[i], shared.head[i]); });
}

/* Fills in the rows of the block's tile and returns the keys that some of them see. */
template <class Shape>
__device__ __forceinline__ KeySpan
find_rows(ForwardShared<Shape> &shared, const ForwardOperands<bf16> &args, const HeadTile &which) {
    const int warp = thread_here() / WARP;
    const int lane = thread_here() % WARP;
    const QueryTile tile = tile_at(
        args.tables.queries, args.tables.order, args.tables.group, int64_t{Shape::QUERIES}, which.rank);
    const int i = warp * Shape::WARP_ROWS + lane % Shape::WARP_ROWS;
    const QueryRow row = query_row(args.tables, tile, which.head, i);
    shared.visible[i] = row.row < 0 ? all_keys() : row.visible;
    shared.row[i] = row.row;
    shared.head[i] = row.head;
    const KeySpan own = unite_warp(row.visible);
    const KeySpan common = intersect_warp(row.row < 0 ? all_keys() : row.visible);
    if (lane == 0) {
        shared.reached[warp] = own;
        shared.common[warp] = common;
    }
    if (threadIdx.x == 0) {
        shared.sequence = static_cast<int32_t>(which.head / args.tables.kv_heads);
        shared.kv_head = static_cast<int32_t>(which.head % args.tables.kv_heads);
    }
    __syncthreads();
    KeySpan reached = shared.reached[0];
#pragma unroll
    for (int other = 1; other < Shape::WARPS; ++other) {
        reached.begin = smaller(reached.begin, shared.reached[other].begin);
        reached.end = larger(reached.end, shared.reached[other].end);
    }
    return reached;
}

template <class Shape, bool ALIGNED>
__global__ void __launch_bounds__(Shape::THREADS, Shape::BLOCKS)
attend(const __grid_constant__ ForwardOperands<bf16> args) {
    ForwardShared<Shape> &shared = *shared_memory<ForwardShared<Shape>>();
    const HeadTile which = head_tile_at(blockIdx.x, args.tables.heads, args.section, args.tiles);
    const KeySpan reached = find_rows(shared, args, which);
    const int warp = thread_here() / WARP;
    const int warp_row = warp * Shape::WARP_ROWS;
    const int columns = args.tables.head_dim;
    KeyRows rows(args.tables, shared.sequence);
    const auto load_keys = [&](bf16 *tile, const Heads<const bf16> &from, int32_t key) {
        load_tile<Shape::KEYS, Shape::COLUMNS, Shape::THREADS, ALIGNED>(tile, columns, [&](int i) {
            return key + i < reached.end ? from.at(rows.row(key + i), shared.kv_head) : nullptr;
        });
        commit_copies();
    };

    load_tile<Shape::QUERIES, Shape::COLUMNS, Shape::THREADS, ALIGNED>(shared.queries, columns, [&](int i) {
        return shared.row[i] < 0 ? nullptr : args.q.at(shared.row[i], shared.head[i]);
    });
    if (reached.begin < reached.end) {
        rows.move_to(reached.begin);
        load_keys(shared.keys, args.k, reached.begin);
    } else {
        commit_copies();
    }

    ForwardState<Shape> state;
    clear(state.out);
#pragma unroll
    for (int m = 0; m < Shape::TALL; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            state.top[m][half] = MINUS_INFINITY;
            state.sum[m][half] = 0.0f;
        }
    }
    for (int32_t key = reached.begin; key < reached.end; key += Shape::KEYS) {
        wait_for_copies<0>();
        __syncthreads();
        load_keys(shared.values, args.v, key);
        const bool concerned = shared.reached[warp].begin < key + Shape::KEYS && shared.reached[warp].end > key;
        Sums<Shape::TALL, Shape::WIDE> scores;
        clear(scores);
        if (concerned) {
            multiply_transposed<Shape::COLUMNS>(scores, shared.queries, warp_row, shared.keys, 0);
        }
        wait_for_copies<0>();
        __syncthreads();
        if (key + Shape::KEYS < reached.end) {
            rows.move_to(key + Shape::KEYS);
            load_keys(shared.keys, args.k, key + Shape::KEYS);
        }
        if (concerned) {
            if (key < shared.common[warp].begin || key + Shape::KEYS > shared.common[warp].end) {
                hide_invisible<Shape>(scores, shared.visible + warp_row, key);
            }
            soften(state, scores, args.tables.factor);
            Factors<Shape::TALL, Shape::WIDE / 2> probabilities;
            round_sums(probabilities, scores);
            multiply_rows<Shape::COLUMNS>(state.out, probabilities, shared.values, 0);
        }
    }
    /* Without keys nobody has waited for the queries yet, whose place the output takes. */
    wait_for_copies<0>();
    __syncthreads();
    write_forward<Shape, ALIGNED>(state, shared, args, warp_row);
}

} // namespace tsp::gpu
