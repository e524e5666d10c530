/*
 * Attention forward in fp32, without tensor cores: they would round to 10 bits. A warp has ROWS queries and goes through
 * KEYS keys at a time: its lanes are keys while scores are computed, and columns while values are added.
 */
#pragma once

#include "attention_forward.h"
#include "attention_plain.h"

namespace tsp::gpu {

struct PlainForward {
    static constexpr int WARPS = 8;
    static constexpr int ROWS = 4;
    static constexpr int KEYS = WARP;
    static constexpr int QUERIES = WARPS * ROWS;
    static constexpr int THREADS = WARPS * WARP;
    static constexpr int PARTS = MAX_HEAD_DIM / WARP; /* columns of a lane */

    /* The next ones in shared memory: queries [QUERIES][d], keys [KEYS][d + 1], values [KEYS][d]. */
    struct Shared {
        QueryRow rows[QUERIES];
        KeySpan reached;
        float probabilities[WARPS][ROWS][KEYS];
    };

    static size_t shared_bytes(int64_t head_dim) {
        return sizeof(Shared) + sizeof(float) * static_cast<size_t>((QUERIES + KEYS) * head_dim + KEYS * (head_dim + 1));
    }
};

__device__ __forceinline__ void find_plain_rows(
    PlainForward::Shared &shared, const ForwardOperands<float> &args, const HeadTile &which) {
    if (threadIdx.x < WARP) {
        const QueryTile tile = tile_at(
            args.tables.queries, args.tables.order, args.tables.group, int64_t{PlainForward::QUERIES}, which.rank);
        const QueryRow row = query_row(args.tables, tile, which.head, static_cast<int>(threadIdx.x));
        shared.rows[threadIdx.x] = row;
        const KeySpan reached = unite_warp(row.visible);
        if (threadIdx.x == 0) {
            shared.reached = reached;
        }
    }
    __syncthreads();
}

__global__ void __launch_bounds__(PlainForward::THREADS)
attend_plainly(const __grid_constant__ ForwardOperands<float> args) {
    using Shape = PlainForward;
    static_assert(Shape::QUERIES == WARP);
    Shape::Shared &shared = *shared_memory<Shape::Shared>();
    const int columns = args.tables.head_dim;
    float *queries = reinterpret_cast<float *>(&shared + 1);
    float *keys = queries + Shape::QUERIES * columns;
    float *values = keys + Shape::KEYS * (columns + 1);
    const int warp = static_cast<int>(threadIdx.x) / WARP;
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    const HeadTile which = head_tile_at(blockIdx.x, args.tables.heads, args.section, args.tiles);
    find_plain_rows(shared, args, which);
    const KeySpan reached = shared.reached;
    const auto kv_head = static_cast<int32_t>(which.head % args.tables.kv_heads);
    const auto sequence = static_cast<int32_t>(which.head / args.tables.kv_heads);
    KeyRows rows(args.tables, sequence);
    copy_rows<Shape::QUERIES, Shape::THREADS, float>(queries, columns, columns, [&](int i) {
        return shared.rows[i].row < 0 ? nullptr : args.q.at(shared.rows[i].row, shared.rows[i].head);
    });

    float out[Shape::ROWS][Shape::PARTS] = {};
    float top[Shape::ROWS];
    float sum[Shape::ROWS];
#pragma unroll
    for (int r = 0; r < Shape::ROWS; ++r) {
        top[r] = MINUS_INFINITY;
        sum[r] = 0.0f;
    }
    for (int32_t key = reached.begin; key < reached.end; key += Shape::KEYS) {
        __syncthreads();
        rows.move_to(key);
        const auto source = [&](const Heads<const float> &from) {
            return [&, from, key](int i) {
                return key + i < reached.end ? from.at(rows.row(key + i), kv_head) : nullptr;
            };
        };
        copy_rows<Shape::KEYS, Shape::THREADS, float>(keys, columns + 1, columns, source(args.k));
        copy_rows<Shape::KEYS, Shape::THREADS, float>(values, columns, columns, source(args.v));
        __syncthreads();
        float scores[Shape::ROWS] = {};
        add_dots(scores, queries + warp * Shape::ROWS * columns, keys, columns + 1, columns);
#pragma unroll
        for (int r = 0; r < Shape::ROWS; ++r) {
            const bool visible = shared.rows[warp * Shape::ROWS + r].visible.has(key + lane);
            const float score = visible ? scores[r] * args.tables.factor : MINUS_INFINITY;
            const float before = top[r];
            top[r] = reduce_warp(fmaxf(before, score), [](float a, float b) { return fmaxf(a, b); });
            const float shift = top[r] == MINUS_INFINITY ? 0.0f : top[r];
            const float decay = exp2f(before - shift);
            const float probability = exp2f(score - shift);
            shared.probabilities[warp][r][lane] = probability;
            sum[r] = fmaf(sum[r], decay, probability);
#pragma unroll
            for (int i = 0; i < Shape::PARTS; ++i) {
                out[r][i] *= decay;
            }
        }
        __syncwarp();
        add_rows(out, shared.probabilities[warp], values, columns, columns);
    }
#pragma unroll
    for (int r = 0; r < Shape::ROWS; ++r) {
        const QueryRow &row = shared.rows[warp * Shape::ROWS + r];
        const float all = reduce_warp(sum[r], Add{});
        const bool empty = all == 0.0f; /* and not NaN */
        if (row.row < 0) {
            continue;
        }
#pragma unroll
        for (int i = 0; i < Shape::PARTS; ++i) {
            if (lane + WARP * i < columns) {
                args.out.at(row.row, row.head)[lane + WARP * i] = empty ? 0.0f : out[r][i] / all;
            }
        }
        if (args.lse.data != nullptr && lane == 0) {
            constexpr float LN_2 = 0.693147181f;
            *args.lse.at(row.row, row.head) = empty ? MINUS_INFINITY : top[r] * LN_2 + logf(all);
        }
    }
}

} // namespace tsp::gpu
