/*
 * What attention backward knows of each query before it multiplies: where it stands, which keys it sees, its log-sum-exp
 * and the sum of dO * O. Rows stand in the workspace in the order of query_tiles.h, tile after tile, the last one of
 * each chunk filled up with rows that are none.
 */
#pragma once

#include "attention_tables.h"

namespace tsp::gpu {

/* Rows of a tile, and those whose keys are summed up. */
constexpr int BACKWARD_TILE = 128;
constexpr int SPAN_ROWS = WARP;

struct RowPlace {
    int32_t row;  /* -1: none */
    int32_t head; /* -1 - head: sees nothing; what stands in the row is not read then */

    __device__ __forceinline__ bool blank() const {
        return row < 0 || head < 0;
    }
};

struct RowTerms {
    float offset; /* log2(e) * lse */
    float delta;  /* sum of dO * O */
};

struct RowSpans {
    KeySpan reached; /* by some of SPAN_ROWS rows */
    KeySpan common;  /* seen by all of them, blank ones aside */
};

struct BackwardRows {
    RowPlace *places;
    KeySpan *visible; /* empty for blank rows */
    RowTerms *terms;  /* 0 for blank rows */
    RowSpans *spans;
    int64_t tiles; /* of a head */

    /* Rows of a head. */
    TSP_HD int64_t count() const {
        return tiles * BACKWARD_TILE;
    }

    TSP_HD int32_t steps(int32_t step_rows) const {
        return static_cast<int32_t>(count() / step_rows);
    }
};

template <class T>
struct BackwardOperands {
    Heads<const T> q;
    Heads<const T> k;
    Heads<const T> v;
    Heads<const T> out;
    Heads<const T> dout;
    Heads<const float> lse;
    Heads<T> dq;
    Heads<float> dk;
    Heads<float> dv;
    BackwardRows rows;
    int64_t key_tiles;
    int64_t key_section;   /* heads at a time when blocks are tiles of keys, see head_tile_at */
    int64_t query_section; /* and when they are tiles of queries */
    bool accumulate;
    bool pairs; /* whether dk and dv can be written 8 bytes at a time */
    AttentionTables tables;
};

/* The sum of dO * O of one row, in all lanes. */
template <bool ALIGNED, class T>
__device__ __forceinline__ float dot_outputs(const BackwardOperands<T> &args, int32_t row, int32_t head) {
    constexpr int STEP = 8;
    static_assert(STEP * WARP >= MAX_HEAD_DIM);
    const int first = static_cast<int>(threadIdx.x) % WARP * STEP;
    float sum = 0.0f;
    if (first < args.tables.head_dim) {
        float out[STEP];
        float dout[STEP];
        load<STEP, ALIGNED>(args.out.at(row, head) + first, out);
        load<STEP, ALIGNED>(args.dout.at(row, head) + first, dout);
#pragma unroll
        for (int i = 0; i < STEP; ++i) {
            sum = fmaf(out[i], dout[i], sum);
        }
    }
    return reduce_warp(sum, Add{});
}

/* Fills in one tile of BackwardRows; a block for each tile of each head. */
template <bool ALIGNED, class T>
__global__ void __launch_bounds__(BACKWARD_TILE) prepare_rows(const __grid_constant__ BackwardOperands<T> args) {
    const int64_t head = blockIdx.x / args.rows.tiles;
    const int64_t rank = blockIdx.x % args.rows.tiles;
    const auto thread = static_cast<int>(threadIdx.x);
    const int lane = thread % WARP;
    const QueryTile tile =
        tile_at(args.tables.queries, args.tables.order, args.tables.group, int64_t{BACKWARD_TILE}, rank);
    const QueryRow row = query_row(args.tables, tile, head, thread);
    const float lse = row.row < 0 ? 0.0f : *args.lse.at(row.row, row.head);
    const bool blank = row.row < 0 || row.visible.begin >= row.visible.end || lse == MINUS_INFINITY;
    float delta = 0.0f;
#pragma unroll 4
    for (int i = 0; i < WARP; ++i) {
        const bool counts = __shfl_sync(ALL_LANES, static_cast<int>(blank), i) == 0;
        const int32_t other = __shfl_sync(ALL_LANES, row.row, i);
        const int32_t other_head = __shfl_sync(ALL_LANES, row.head, i);
        if (counts) {
            const float sum = dot_outputs<ALIGNED>(args, other, other_head);
            delta = i == lane ? sum : delta;
        }
    }
    const RowSpans spans{
        unite_warp(blank ? no_keys() : row.visible), intersect_warp(blank ? all_keys() : row.visible)};
    const int64_t at = head * args.rows.count() + rank * BACKWARD_TILE + thread;
    args.rows.places[at] = {row.row, blank ? -1 - row.head : row.head};
    args.rows.visible[at] = blank ? KeySpan{0, 0} : row.visible;
    args.rows.terms[at] = blank ? RowTerms{0.0f, 0.0f} : RowTerms{lse * LOG2_E, delta};
    if (lane == 0) {
        args.rows.spans[at / SPAN_ROWS] = spans;
    }
}

/* The union of what rows first, first + 1, ..., first + ROWS - 1 reach. */
template <int ROWS>
__device__ __forceinline__ KeySpan reached_by(const BackwardRows &rows, int64_t first) {
    KeySpan reached = no_keys();
#pragma unroll
    for (int i = 0; i < ROWS / SPAN_ROWS; ++i) {
        const KeySpan span = rows.spans[first / SPAN_ROWS + i].reached;
        reached = {smaller(reached.begin, span.begin), larger(reached.end, span.end)};
    }
    return reached;
}

/* The first step of ROWS rows of a head, not before `step`, that reaches keys of the block; `steps` if there is none. */
template <int ROWS>
__device__ __forceinline__ int32_t
find_step(const BackwardRows &rows, int64_t first_row, int32_t step, int32_t steps, KeySpan block) {
    for (; step < steps; ++step) {
        const KeySpan reached = reached_by<ROWS>(rows, first_row + int64_t{step} * ROWS);
        if (reached.begin < block.end && reached.end > block.begin) {
            break;
        }
    }
    return step;
}

/* target (+)= two neighbours. */
__device__ __forceinline__ void add_pair(float *target, float first, float second, bool accumulate, bool pairs) {
    if (pairs) {
        const float2 old = accumulate ? *reinterpret_cast<const float2 *>(target) : make_float2(0.0f, 0.0f);
        *reinterpret_cast<float2 *>(target) = make_float2(old.x + first, old.y + second);
    } else {
        target[0] = accumulate ? target[0] + first : first;
        target[1] = accumulate ? target[1] + second : second;
    }
}

} // namespace tsp::gpu
