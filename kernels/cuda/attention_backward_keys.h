/*
 * dK and dV in bf16 on mma.sync. A block takes a tile of keys of one head and goes through the steps of queries that see
 * some of it, all heads of the group among them: a key's sums stay in registers and are made in one order. Scores are
 * transposed, keys by queries, so that P^T and dS^T are left factors as they come. The queries of the next step arrive
 * while a step is worked on.
 */
#pragma once

#include "attention_backward_rows.h"
#include "attention_tiles.h"

namespace tsp::gpu {

/* A warp has 16 TALL keys, and of their sums 1 / PARTS of the columns: a part of the warps repeats the scores of another.
 * QUERIES: of a step, 32 of them at a time. */
template <int COLUMNS_, int TALL_, int WARPS_, int PARTS_, int QUERIES_, int BLOCKS_>
struct BackwardKeysShape {
    static constexpr int COLUMNS = COLUMNS_;
    static constexpr int TALL = TALL_;
    static constexpr int WARPS = WARPS_;
    static constexpr int PARTS = PARTS_;
    static constexpr int QUERIES = QUERIES_;
    static constexpr int BLOCKS = BLOCKS_;
    static constexpr int THREADS = WARPS * WARP;
    static constexpr int WARP_KEYS = 16 * TALL;
    static constexpr int KEYS = WARPS / PARTS * WARP_KEYS;
    static constexpr int WIDE = SPAN_ROWS / 8;
    static constexpr int OUT_WIDE = COLUMNS / 8 / PARTS;
    static constexpr int SPANS = QUERIES / SPAN_ROWS;
};

template <class Shape>
struct BackwardKeysShared {
    bf16 keys[Shape::KEYS * Shape::COLUMNS];
    bf16 values[Shape::KEYS * Shape::COLUMNS];
    /* Of two steps. */
    bf16 queries[2][Shape::QUERIES * Shape::COLUMNS];
    bf16 dout[2][Shape::QUERIES * Shape::COLUMNS];
    RowTerms terms[2][Shape::QUERIES];
    KeySpan visible[2][Shape::QUERIES];
    RowSpans spans[2][Shape::SPANS];
    RowPlace places[2][Shape::QUERIES]; /* of the step after */
    int64_t first_row;
    int32_t sequence;
    int32_t kv_head;
};

/* Starts to copy COUNT structs from the workspace, where they begin at a multiple of 16 bytes. */
template <int COUNT, class T>
__device__ __forceinline__ void copy_structs(T *shared, const T *global, int thread) {
    constexpr int EACH = 16 / sizeof(T);
    static_assert(COUNT % EACH == 0);
    if (thread >= 0 && thread < COUNT / EACH) {
        copy_async(shared + thread * EACH, global + thread * EACH, true);
    }
}

template <class Shape>
__device__ __forceinline__ void
load_places(BackwardKeysShared<Shape> &shared, const BackwardRows &rows, int slot, int64_t first) {
    copy_structs<Shape::QUERIES>(shared.places[slot], rows.places + first, thread_here());
}

/* The queries of a step from row `first` on, whose places are in shared memory. */
template <class Shape, bool ALIGNED>
__device__ __forceinline__ void
load_step(BackwardKeysShared<Shape> &shared, const BackwardOperands<bf16> &args, int slot, int64_t first) {
    static_assert(Shape::THREADS >= Shape::QUERIES + Shape::SPANS);
    const int thread = thread_here();
    copy_structs<Shape::QUERIES>(shared.terms[slot], args.rows.terms + first, thread);
    copy_structs<Shape::QUERIES>(shared.visible[slot], args.rows.visible + first, thread - Shape::QUERIES / 2);
    copy_structs<Shape::SPANS>(shared.spans[slot], args.rows.spans + first / SPAN_ROWS, thread - Shape::QUERIES);
    const auto load = [&](bf16 *tile, const Heads<const bf16> &from) {
        load_tile<Shape::QUERIES, Shape::COLUMNS, Shape::THREADS, ALIGNED>(tile, args.tables.head_dim, [&](int i) {
            const RowPlace place = shared.places[slot][i];
            return place.blank() ? nullptr : from.at(place.row, place.head);
        });
    };
    load(shared.queries[slot], args.q);
    load(shared.dout[slot], args.dout);
}

/* Scores to P^T and products dO V^T to dS^T. key: of the warp's first row. */
template <bool MASKED, class Shape>
__device__ __forceinline__ void differentiate_columns(
    Sums<Shape::TALL, Shape::WIDE> &scores, Sums<Shape::TALL, Shape::WIDE> &dscores, const RowTerms *terms,
    const KeySpan *visible, int32_t key, float factor) {
    const int lane = thread_here() % WARP;
#pragma unroll
    for (int n = 0; n < Shape::WIDE; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int query = 8 * n + lane % 4 * 2 + i;
            const RowTerms term = terms[query];
            const KeySpan span = MASKED ? visible[query] : all_keys();
#pragma unroll
            for (int m = 0; m < Shape::TALL; ++m) {
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    float &p = scores[m][n][2 * half + i];
                    float &ds = dscores[m][n][2 * half + i];
                    p = fast_exp2(fmaf(p, factor, -term.offset));
                    ds = p * (ds - term.delta);
                    if (MASKED && !span.has(key + 16 * m + 8 * half + lane / 4)) {
                        p = 0.0f;
                        ds = 0.0f;
                    }
                }
            }
        }
    }
}

/* What a warp adds up. */
template <class Shape>
struct BackwardKeysSums {
    Sums<Shape::TALL, Shape::OUT_WIDE> dk;
    Sums<Shape::TALL, Shape::OUT_WIDE> dv;
};

/* SPAN_ROWS queries of a step. key: of the warp's first row, which is row `own` of the tile; first: column / 8. */
template <class Shape>
__device__ __forceinline__ void add_queries(
    BackwardKeysSums<Shape> &sums, const BackwardKeysShared<Shape> &shared, int slot, int span, int32_t key, int own,
    int first, float factor) {
    const RowSpans seen = shared.spans[slot][span];
    if (seen.reached.begin >= key + Shape::WARP_KEYS || seen.reached.end <= key) {
        return;
    }
    const int row = span * SPAN_ROWS;
    Sums<Shape::TALL, Shape::WIDE> scores;
    Sums<Shape::TALL, Shape::WIDE> dscores;
    clear(scores);
    clear(dscores);
    multiply_transposed<Shape::COLUMNS>(scores, shared.keys, own, shared.queries[slot], row);
    multiply_transposed<Shape::COLUMNS>(dscores, shared.values, own, shared.dout[slot], row);
    const RowTerms *terms = shared.terms[slot] + row;
    const KeySpan *visible = shared.visible[slot] + row;
    if (key < seen.common.begin || key + Shape::WARP_KEYS > seen.common.end) {
        differentiate_columns<true, Shape>(scores, dscores, terms, visible, key, factor);
    } else {
        differentiate_columns<false, Shape>(scores, dscores, terms, visible, key, factor);
    }
    Factors<Shape::TALL, Shape::WIDE / 2> factors;
    round_sums(factors, scores);
    multiply_rows<Shape::COLUMNS>(sums.dv, factors, shared.dout[slot], row, first);
    round_sums(factors, dscores);
    multiply_rows<Shape::COLUMNS>(sums.dk, factors, shared.queries[slot], row, first);
}

template <class Shape>
__device__ __forceinline__ void write_keys(
    const BackwardKeysSums<Shape> &sums, const BackwardOperands<bf16> &args, KeyRows rows, int32_t kv_head,
    KeySpan block, int32_t key, int first) {
    const int lane = thread_here() % WARP;
#pragma unroll
    for (int m = 0; m < Shape::TALL; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int32_t position = key + 16 * m + 8 * half + lane / 4;
            if (position >= block.end) {
                continue;
            }
            const int32_t row = rows.row(position);
            float *dk = args.dk.at(row, kv_head);
            float *dv = args.dv.at(row, kv_head);
#pragma unroll
            for (int n = 0; n < Shape::OUT_WIDE; ++n) {
                const int column = 8 * (first + n) + lane % 4 * 2;
                if (column < args.tables.head_dim) {
                    const float scale = args.tables.scale;
                    const float(&to_dk)[4] = sums.dk[m][n];
                    const float(&to_dv)[4] = sums.dv[m][n];
                    add_pair(
                        dk + column, to_dk[2 * half] * scale, to_dk[2 * half + 1] * scale, args.accumulate, args.pairs);
                    add_pair(dv + column, to_dv[2 * half], to_dv[2 * half + 1], args.accumulate, args.pairs);
                }
            }
        }
    }
}

template <class Shape, bool ALIGNED>
__global__ void __launch_bounds__(Shape::THREADS, Shape::BLOCKS)
differentiate_keys(const __grid_constant__ BackwardOperands<bf16> args) {
    BackwardKeysShared<Shape> &shared = *shared_memory<BackwardKeysShared<Shape>>();
    const HeadTile which = head_tile_at(blockIdx.x, args.tables.heads, args.key_section, args.key_tiles);
    if (threadIdx.x == 0) {
        shared.first_row = which.head * args.rows.count();
        shared.sequence = static_cast<int32_t>(which.head / args.tables.kv_heads);
        shared.kv_head = static_cast<int32_t>(which.head % args.tables.kv_heads);
    }
    __syncthreads();
    const auto begin = static_cast<int32_t>(which.rank * Shape::KEYS);
    const KeySpan block{begin, smaller(begin + Shape::KEYS, args.tables.key_count)};
    KeyRows rows(args.tables, shared.sequence);
    rows.move_to(block.begin);
    const auto load_block = [&](bf16 *tile, const Heads<const bf16> &from) {
        load_tile<Shape::KEYS, Shape::COLUMNS, Shape::THREADS, ALIGNED>(tile, args.tables.head_dim, [&](int i) {
            return block.begin + i < block.end ? from.at(rows.row(block.begin + i), shared.kv_head) : nullptr;
        });
    };
    load_block(shared.keys, args.k);
    load_block(shared.values, args.v);

    const int32_t steps = args.rows.steps(Shape::QUERIES);
    const auto find = [&](int32_t from) {
        return find_step<Shape::QUERIES>(args.rows, shared.first_row, from, steps, block);
    };
    const auto row_of = [&](int32_t of) { return shared.first_row + int64_t{of} * Shape::QUERIES; };
    int32_t step = find(0);
    int32_t next = step < steps ? find(step + 1) : steps;
    if (step < steps) {
        load_places(shared, args.rows, 0, row_of(step));
    }
    commit_copies();
    wait_for_copies<0>();
    __syncthreads();
    if (step < steps) {
        load_step<Shape, ALIGNED>(shared, args, 0, row_of(step));
    }
    if (next < steps) {
        load_places(shared, args.rows, 1, row_of(next));
    }
    commit_copies();

    const int warp = thread_here() / WARP;
    const int own = warp % (Shape::WARPS / Shape::PARTS) * Shape::WARP_KEYS;
    const int first = Shape::PARTS == 1 ? 0 : warp / (Shape::WARPS / Shape::PARTS) * Shape::OUT_WIDE;
    BackwardKeysSums<Shape> sums;
    clear(sums.dk);
    clear(sums.dv);
    int slot = 0;
    while (step < steps) {
        wait_for_copies<0>();
        __syncthreads();
        const int32_t after = next < steps ? find(next + 1) : steps;
        if (next < steps) {
            load_step<Shape, ALIGNED>(shared, args, 1 - slot, row_of(next));
        }
        if (after < steps) {
            load_places(shared, args.rows, slot, row_of(after));
        }
        commit_copies();
#pragma unroll 1
        for (int span = 0; span < Shape::SPANS; ++span) {
            add_queries(sums, shared, slot, span, block.begin + own, own, first, args.tables.factor);
        }
        step = next;
        next = after;
        slot = 1 - slot;
    }
    wait_for_copies<0>();
    write_keys(sums, args, rows, shared.kv_head, block, block.begin + own, first);
}

} // namespace tsp::gpu
