/*
 * Attention backward in fp32, without tensor cores: a kernel for dK and dV and one for dQ, which differ in what a block
 * owns, keys or queries, and what it goes through. A warp owns ROWS of them; its lanes are rows of the others while
 * scores are computed, and columns while sums are.
 */
#pragma once

#include "attention_backward_rows.h"
#include "attention_plain.h"

namespace tsp::gpu {

struct PlainBackward {
    static constexpr int WARPS = 8;
    static constexpr int ROWS = 4;
    static constexpr int THREADS = WARPS * WARP;
    static constexpr int PARTS = MAX_HEAD_DIM / WARP; /* columns of a lane */
    static_assert(WARPS * ROWS == WARP && SPAN_ROWS == WARP);

    /* The next ones in shared memory: two matrices [32][d] of what the block owns, two [32][d + 1] of the others. */
    struct Shared {
        float p[WARPS][ROWS][WARP];
        float ds[WARPS][ROWS][WARP];
        RowPlace places[WARP]; /* of queries */
        KeySpan visible[WARP];
        RowTerms terms[WARP];
    };

    static size_t shared_bytes(int64_t head_dim) {
        return sizeof(Shared) + sizeof(float) * static_cast<size_t>(2 * WARP * (2 * head_dim + 1));
    }
};

/* 32 rows of queries and of dO, and what belongs to them. All threads of the block take part. */
__device__ __forceinline__ void load_plain_queries(
    PlainBackward::Shared &shared, const BackwardOperands<float> &args, int64_t first_row, float *queries, float *dout,
    int stride) {
    if (threadIdx.x < WARP) {
        shared.places[threadIdx.x] = args.rows.places[first_row + threadIdx.x];
        shared.visible[threadIdx.x] = args.rows.visible[first_row + threadIdx.x];
        shared.terms[threadIdx.x] = args.rows.terms[first_row + threadIdx.x];
    }
    __syncthreads();
    const auto source = [&](const Heads<const float> &from) {
        return [&shared, from](int i) {
            return shared.places[i].blank() ? nullptr : from.at(shared.places[i].row, shared.places[i].head);
        };
    };
    copy_rows<WARP, PlainBackward::THREADS, float>(queries, stride, args.tables.head_dim, source(args.q));
    copy_rows<WARP, PlainBackward::THREADS, float>(dout, stride, args.tables.head_dim, source(args.dout));
}

/* Keys key, key + 1, ..., before end, and their values. */
__device__ __forceinline__ void load_plain_keys(
    const BackwardOperands<float> &args, const KeyRows &rows, int32_t kv_head, int32_t key, int32_t end, float *keys,
    float *values, int stride) {
    const auto source = [&](const Heads<const float> &from) {
        return [&rows, from, kv_head, key, end](int i) {
            return key + i < end ? from.at(rows.row(key + i), kv_head) : nullptr;
        };
    };
    copy_rows<WARP, PlainBackward::THREADS, float>(keys, stride, args.tables.head_dim, source(args.k));
    copy_rows<WARP, PlainBackward::THREADS, float>(values, stride, args.tables.head_dim, source(args.v));
}

/* OF_KEYS: dK and dV of a tile of 32 keys, else dQ of 32 queries. */
template <bool OF_KEYS>
__global__ void __launch_bounds__(PlainBackward::THREADS)
differentiate_plainly(const __grid_constant__ BackwardOperands<float> args) {
    using Shape = PlainBackward;
    Shape::Shared &shared = *shared_memory<Shape::Shared>();
    const int columns = args.tables.head_dim;
    float *own = reinterpret_cast<float *>(&shared + 1);           /* K or Q */
    float *own_outputs = own + WARP * columns;                     /* V or dO */
    float *others = own_outputs + WARP * columns;                  /* Q or K */
    float *other_outputs = others + WARP * (columns + 1);          /* dO or V */
    const int warp = static_cast<int>(threadIdx.x) / WARP;
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    const HeadTile which = OF_KEYS
        ? head_tile_at(blockIdx.x, args.tables.heads, args.key_section, args.key_tiles)
        : head_tile_at(blockIdx.x, args.tables.heads, args.query_section, args.rows.count() / WARP);
    const auto sequence = static_cast<int32_t>(which.head / args.tables.kv_heads);
    const auto kv_head = static_cast<int32_t>(which.head % args.tables.kv_heads);
    const int64_t first_row = which.head * args.rows.count();
    KeyRows rows(args.tables, sequence);
    /* The keys that the block goes through, or that it owns. */
    KeySpan block;
    if (OF_KEYS) {
        block.begin = static_cast<int32_t>(which.rank * WARP);
        block.end = smaller(block.begin + WARP, args.tables.key_count);
        rows.move_to(block.begin);
        load_plain_keys(args, rows, kv_head, block.begin, block.end, own, own_outputs, columns);
    } else {
        block = reached_by<WARP>(args.rows, first_row + which.rank * WARP);
        load_plain_queries(shared, args, first_row + which.rank * WARP, own, own_outputs, columns);
    }

    float first_sums[Shape::ROWS][Shape::PARTS] = {};  /* dK or dQ, not yet scaled */
    float second_sums[Shape::ROWS][Shape::PARTS] = {}; /* dV */
    const int32_t steps = args.rows.steps(WARP);
    int32_t step = OF_KEYS ? find_step<WARP>(args.rows, first_row, 0, steps, block) : 0;
    for (int32_t key = block.begin; OF_KEYS ? step < steps : key < block.end;) {
        __syncthreads();
        if (OF_KEYS) {
            load_plain_queries(shared, args, first_row + int64_t{step} * WARP, others, other_outputs, columns + 1);
        } else {
            rows.move_to(key);
            load_plain_keys(args, rows, kv_head, key, block.end, others, other_outputs, columns + 1);
        }
        __syncthreads();
        float scores[Shape::ROWS] = {};
        float products[Shape::ROWS] = {};
        add_dots(scores, own + warp * Shape::ROWS * columns, others, columns + 1, columns);
        add_dots(products, own_outputs + warp * Shape::ROWS * columns, other_outputs, columns + 1, columns);
#pragma unroll
        for (int r = 0; r < Shape::ROWS; ++r) {
            const int mine = warp * Shape::ROWS + r;
            const int query = OF_KEYS ? lane : mine;
            const bool visible = shared.visible[query].has(key + (OF_KEYS ? mine : lane));
            const float p = exp2f(fmaf(scores[r], args.tables.factor, -shared.terms[query].offset));
            shared.p[warp][r][lane] = visible ? p : 0.0f;
            shared.ds[warp][r][lane] = visible ? p * (products[r] - shared.terms[query].delta) : 0.0f;
        }
        __syncwarp();
        add_rows(first_sums, shared.ds[warp], others, columns + 1, columns);
        if (OF_KEYS) {
            add_rows(second_sums, shared.p[warp], other_outputs, columns + 1, columns);
            step = find_step<WARP>(args.rows, first_row, step + 1, steps, block);
        } else {
            key += WARP;
        }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < Shape::ROWS; ++r) {
        const int mine = warp * Shape::ROWS + r;
        const RowPlace place = OF_KEYS ? RowPlace{-1, 0} : shared.places[mine];
        const bool present = OF_KEYS ? block.begin + mine < block.end : place.row >= 0;
        if (!present) {
            continue;
        }
        const int32_t row = OF_KEYS ? rows.row(block.begin + mine) : 0;
#pragma unroll
        for (int i = 0; i < Shape::PARTS; ++i) {
            const int column = lane + WARP * i;
            if (column >= columns) {
                continue;
            }
            const float sum = first_sums[r][i] * args.tables.scale;
            if (OF_KEYS) {
                float *dk = args.dk.at(row, kv_head) + column;
                float *dv = args.dv.at(row, kv_head) + column;
                *dk = args.accumulate ? *dk + sum : sum;
                *dv = args.accumulate ? *dv + second_sums[r][i] : second_sums[r][i];
            } else {
                args.dq.at(place.row, place.head < 0 ? -1 - place.head : place.head)[column] = sum;
            }
        }
    }
}

} // namespace tsp::gpu
