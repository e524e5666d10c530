/*
 * dQ in bf16 on mma.sync, in a kernel of its own: a block takes a tile of queries and goes through the keys that some of
 * them see. Scores are computed a second time, so that backward needs 7 products of tiles where 5 would do; what that
 * buys are sums in one order without blocks that wait for each other, and no traffic of partial sums.
 */
#pragma once

#include "attention_backward_rows.h"
#include "attention_tiles.h"

namespace tsp::gpu {

/* A warp has 16 TALL queries. KEYS: of a step, 32 of them at a time. */
template <int COLUMNS_, int TALL_, int KEYS_, int BLOCKS_>
struct BackwardQueriesShape {
    static constexpr int COLUMNS = COLUMNS_;
    static constexpr int TALL = TALL_;
    static constexpr int KEYS = KEYS_;
    static constexpr int BLOCKS = BLOCKS_;
    static constexpr int WARPS = 4;
    static constexpr int THREADS = WARPS * WARP;
    static constexpr int WARP_ROWS = 16 * TALL;
    static constexpr int QUERIES = WARPS * WARP_ROWS;
    static constexpr int STEP = 32;
    static constexpr int WIDE = STEP / 8;
    static constexpr int OUT_WIDE = COLUMNS / 8;
    static_assert(BACKWARD_TILE % QUERIES == 0);
};

template <class Shape>
struct BackwardQueriesShared {
    bf16 queries[Shape::QUERIES * Shape::COLUMNS];
    bf16 dout[Shape::QUERIES * Shape::COLUMNS];
    /* Of two steps. */
    bf16 keys[2][Shape::KEYS * Shape::COLUMNS];
    bf16 values[2][Shape::KEYS * Shape::COLUMNS];
    RowPlace places[Shape::QUERIES];
    KeySpan visible[Shape::QUERIES];
    RowTerms terms[Shape::QUERIES];
    RowSpans spans[Shape::QUERIES / SPAN_ROWS];
    int32_t sequence;
    int32_t kv_head;
};

/* Scores and products dO V^T to dS. Rows: of this warp; key: of the first column. */
template <bool MASKED, class Shape>
__device__ __forceinline__ void differentiate_rows(
    const Sums<Shape::TALL, Shape::WIDE> &scores, Sums<Shape::TALL, Shape::WIDE> &dscores, const RowTerms *terms,
    const KeySpan *visible, int32_t key, float factor) {
    const int lane = thread_here() % WARP;
#pragma unroll
    for (int m = 0; m < Shape::TALL; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = 16 * m + 8 * half + lane / 4;
            const RowTerms term = terms[row];
            const KeySpan span = MASKED ? visible[row] : all_keys();
#pragma unroll
            for (int n = 0; n < Shape::WIDE; ++n) {
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    float &ds = dscores[m][n][2 * half + i];
                    ds = fast_exp2(fmaf(scores[m][n][2 * half + i], factor, -term.offset)) * (ds - term.delta);
                    if (MASKED && !span.has(key + 8 * n + lane % 4 * 2 + i)) {
                        ds = 0.0f;
                    }
                }
            }
        }
    }
}

/* STEP keys, which stand from row `row` of the buffers on. own: the first row of this warp. */
template <class Shape>
__device__ __forceinline__ void add_keys(
    Sums<Shape::TALL, Shape::OUT_WIDE> &dq, const BackwardQueriesShared<Shape> &shared, int slot, int row, int32_t key,
    int own, float factor) {
    const RowSpans seen = shared.spans[own / SPAN_ROWS];
    if (seen.reached.begin >= key + Shape::STEP || seen.reached.end <= key) {
        return;
    }
    Sums<Shape::TALL, Shape::WIDE> scores;
    Sums<Shape::TALL, Shape::WIDE> dscores;
    clear(scores);
    clear(dscores);
    multiply_transposed<Shape::COLUMNS>(scores, shared.queries, own, shared.keys[slot], row);
    multiply_transposed<Shape::COLUMNS>(dscores, shared.dout, own, shared.values[slot], row);
    if (key < seen.common.begin || key + Shape::STEP > seen.common.end) {
        differentiate_rows<true, Shape>(scores, dscores, shared.terms + own, shared.visible + own, key, factor);
    } else {
        differentiate_rows<false, Shape>(scores, dscores, shared.terms + own, shared.visible + own, key, factor);
    }
    Factors<Shape::TALL, Shape::WIDE / 2> factors;
    round_sums(factors, dscores);
    multiply_rows<Shape::COLUMNS>(dq, factors, shared.keys[slot], row);
}

template <class Shape, bool ALIGNED>
__global__ void __launch_bounds__(Shape::THREADS, Shape::BLOCKS)
differentiate_queries(const __grid_constant__ BackwardOperands<bf16> args) {
    BackwardQueriesShared<Shape> &shared = *shared_memory<BackwardQueriesShared<Shape>>();
    const HeadTile which = head_tile_at(
        blockIdx.x, args.tables.heads, args.query_section, args.rows.count() / Shape::QUERIES);
    const int64_t first_row = which.head * args.rows.count() + which.rank * Shape::QUERIES;
    const KeySpan reached = reached_by<Shape::QUERIES>(args.rows, first_row);
    for (int i = thread_here(); i < Shape::QUERIES; i += Shape::THREADS) {
        shared.places[i] = args.rows.places[first_row + i];
        shared.visible[i] = args.rows.visible[first_row + i];
        shared.terms[i] = args.rows.terms[first_row + i];
        if (i % SPAN_ROWS == 0) {
            shared.spans[i / SPAN_ROWS] = args.rows.spans[(first_row + i) / SPAN_ROWS];
        }
    }
    if (threadIdx.x == 0) {
        shared.sequence = static_cast<int32_t>(which.head / args.tables.kv_heads);
        shared.kv_head = static_cast<int32_t>(which.head % args.tables.kv_heads);
    }
    __syncthreads();

    const auto load_queries = [&](bf16 *tile, const Heads<const bf16> &from) {
        load_tile<Shape::QUERIES, Shape::COLUMNS, Shape::THREADS, ALIGNED>(tile, args.tables.head_dim, [&](int i) {
            const RowPlace place = shared.places[i];
            return place.blank() ? nullptr : from.at(place.row, place.head);
        });
    };
    load_queries(shared.queries, args.q);
    load_queries(shared.dout, args.dout);
    KeyRows rows(args.tables, shared.sequence);
    const auto load_keys = [&](bf16 *tile, const Heads<const bf16> &from, int32_t key) {
        load_tile<Shape::KEYS, Shape::COLUMNS, Shape::THREADS, ALIGNED>(tile, args.tables.head_dim, [&](int i) {
            return key + i < reached.end ? from.at(rows.row(key + i), shared.kv_head) : nullptr;
        });
    };
    const auto load_step = [&](int slot, int32_t key) {
        if (key < reached.end) {
            rows.move_to(key);
            load_keys(shared.keys[slot], args.k, key);
            load_keys(shared.values[slot], args.v, key);
        }
        commit_copies();
    };
    load_step(0, reached.begin);

    const int own = thread_here() / WARP * Shape::WARP_ROWS;
    Sums<Shape::TALL, Shape::OUT_WIDE> dq;
    clear(dq);
    int slot = 0;
    for (int32_t key = reached.begin; key < reached.end; key += Shape::KEYS) {
        wait_for_copies<0>();
        __syncthreads();
        load_step(1 - slot, key + Shape::KEYS);
#pragma unroll 1
        for (int row = 0; row < Shape::KEYS; row += Shape::STEP) {
            add_keys<Shape>(dq, shared, slot, row, key + row, own, args.tables.factor);
        }
        slot = 1 - slot;
    }
    /* Without keys nobody has waited for the queries yet, whose place dQ takes. */
    wait_for_copies<0>();
    __syncthreads();
    store_rows<Shape::COLUMNS, ALIGNED>(
        dq,
        shared.queries,
        own,
        args.tables.head_dim,
        [&](int, int) { return args.tables.scale; },
        [&](int i) {
            const RowPlace place = shared.places[i];
            return place.row < 0 ? nullptr : args.dq.at(place.row, place.head < 0 ? -1 - place.head : place.head);
        });
}

} // namespace tsp::gpu
