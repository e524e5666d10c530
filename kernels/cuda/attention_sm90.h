/*
 * Attention forward for sm_90a in bf16 (FlashAttention-3, arXiv 2407.08608): one warpgroup loads by TMA, two (d = 128)
 * or three (d = 64) compute by wgmma, 64 rows of queries each.
 *
 * Rows of a tile of queries are (token, head) pairs as in query_tiles.h if the heads of a group divide a tile; else one
 * head makes a tile and the heads of a group are neighbours in the grid. Tiles of keys lie in one chunk (key_tiles.h),
 * the last one first. A short tile is loaded whole, with the rows behind the chunk, whatever they hold: their scores
 * are masked, and the loading warp overwrites those of V with zeros before it hands the tile on, since 0 times NaN is
 * NaN.
 *
 * Of a computing warpgroup Q K^T of tile j runs while P V of tile j - 1 does, softmax of tile j while P V of j - 1 is
 * still under way; and warpgroups take turns in starting their products, so that one's softmax is under the other's.
 * A block does one tile; the grid begins with the heaviest of each section of heads (head_tile_at).
 */
#pragma once

#include "attention_sm90_load.h"
#include "attention_sm90_softmax.h"

namespace tsp::gpu {

/* S = Q K^T. */
template <class Shape>
__device__ __forceinline__ void start_scores(
    float (&s)[Shape::KEYS / 2], const unsigned char *q, const unsigned char *k) {
    const uint64_t left = matrix_descriptor(q);
    const uint64_t right = matrix_descriptor(k);
    constexpr int STEPS = PANEL_COLUMNS / PRODUCT_DEPTH;
#pragma unroll
    for (int step = 0; step < Shape::PANELS * STEPS; ++step) {
        const uint32_t in_row = step % STEPS * (PRODUCT_DEPTH * 2);
        start_product<Major::K>(
            s,
            left + (step / STEPS * Shape::QUERY_PANEL + in_row) / 16,
            right + (step / STEPS * Shape::KEY_PANEL + in_row) / 16,
            step > 0);
    }
    commit_products();
}

/* O += P V. */
template <class Shape>
__device__ __forceinline__ void start_values(
    float (&o)[Shape::HEAD_DIM / 2], const uint32_t (&p)[Shape::KEYS / 16][4], const unsigned char *v) {
    const uint64_t right = matrix_descriptor(v, Shape::KEY_PANEL);
#pragma unroll
    for (int step = 0; step < Shape::KEYS / PRODUCT_DEPTH; ++step) {
        start_product<Major::MN>(o, p[step], right + step * (PRODUCT_DEPTH * PANEL_ROW_BYTES / 16), true);
    }
    commit_products();
}

/* Output and log-sum-exp of a warpgroup's rows, by way of the shared memory that held their queries. first: row. */
template <class Shape>
__device__ __forceinline__ void write_rows(
    const Sm90Operands &args, unsigned char *staging, const Sm90Tile &tile, int first, float (&o)[Shape::HEAD_DIM / 2],
    Sm90Rows &rows) {
    constexpr float LN_2 = 0.693147181f;
    const int thread = static_cast<int>(threadIdx.x) % Shape::WARPGROUP;
    const int own = thread / WARP * 16 + thread % WARP / 4;
    const int column = thread % 4 * 2;
    float inverse[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        float sum = rows.sum[r];
        sum += __shfl_xor_sync(ALL_LANES, sum, 1);
        sum += __shfl_xor_sync(ALL_LANES, sum, 2);
        inverse[r] = sum == 0.0f ? 0.0f : 1.0f / sum;
        const int row = first + own + 8 * r;
        if (args.lse.data != nullptr && column == 0 && row < tile.rows) {
            const float top = rows.top[r] == MINUS_INFINITY ? 0.0f : __fmul_rn(rows.top[r], args.tables.factor);
            *args.lse.at(tile.first_row + args.pack.quotient(row), tile.head + args.pack.remainder(row)) =
                sum == 0.0f ? MINUS_INFINITY : __fmaf_rn(top, LN_2, logf(sum));
        }
    }
    /* All warps are done with the queries; then each warp has 16 rows to itself. */
    named_barrier_sync(1 + Shape::COMPUTING + static_cast<uint32_t>(first) / PRODUCT_ROWS, Shape::WARPGROUP);
#pragma unroll
    for (int i = 0; i < Shape::HEAD_DIM / 2; i += 2) {
        const int r = row_of_register(i);
        const int at = i / 4 * 8 + column;
        const uint32_t byte = static_cast<uint32_t>(own + 8 * r) * PANEL_ROW_BYTES + at % PANEL_COLUMNS * 2;
        *reinterpret_cast<uint32_t *>(staging + at / PANEL_COLUMNS * Shape::QUERY_PANEL + swizzled(byte)) =
            pack(o[i] * inverse[r], o[i + 1] * inverse[r]);
    }
    __syncwarp();
    constexpr int UNITS = Shape::HEAD_DIM / 8; /* of 16 bytes, of a row */
    constexpr int ROWS = PRODUCT_ROWS / (Shape::WARPGROUP / WARP);
    for (int i = thread % WARP; i < ROWS * UNITS; i += WARP) {
        const int at = thread / WARP * ROWS + i / UNITS;
        const int unit = i % UNITS;
        const int row = first + at;
        if (row < tile.rows) {
            const uint32_t byte = static_cast<uint32_t>(at) * PANEL_ROW_BYTES + static_cast<uint32_t>(unit) % 8 * 16;
            bf16 *target =
                args.out.at(tile.first_row + args.pack.quotient(row), tile.head + args.pack.remainder(row)) + 8 * unit;
            *reinterpret_cast<uint4 *>(target) =
                *reinterpret_cast<const uint4 *>(staging + unit / 8 * Shape::QUERY_PANEL + swizzled(byte));
        }
    }
}

/* One warpgroup, the computing one of this number. */
template <class Shape>
__device__ __forceinline__ void compute_tile(
    const Sm90Operands &args, Sm90Shared<Shape> &shared, const Sm90Tile &tile, int number) {
    const AttentionTables &tables = args.tables;
    const int thread = static_cast<int>(threadIdx.x) % Shape::WARPGROUP;
    const int column = thread % 4 * 2;
    const int first = number * PRODUCT_ROWS;
    unsigned char *q = shared.q + first * static_cast<int>(PANEL_ROW_BYTES);
    Sm90Rows rows;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const int row = first + thread / WARP * 16 + thread % WARP / 4 + 8 * r;
        const int32_t token = args.pack.quotient(row);
        const int32_t index = tile.first_index + token;
        const bool starts = tables.kv_start != nullptr && row < tile.rows;
        rows.visible[r] = {
            larger(window_begin(tables, index), starts ? tables.kv_start[tile.first_row + token] : 0),
            tables.causal != 0 ? index + 1 : INT32_MAX};
    }
    /* Tiles between these indices are seen whole by all rows. */
    const int32_t last_index = tile.first_index + args.pack.quotient(first + PRODUCT_ROWS - 1);
    const KeySpan seen_by_all{
        larger(tile.latest_start, window_begin(tables, last_index)),
        tables.causal != 0 ? tile.first_index + args.pack.quotient(first) + 1 : INT32_MAX};
    const auto has_to_mask = [&](const KeyTile &keys) {
        return keys.rows < Shape::KEYS || keys.index < seen_by_all.begin || keys.index > seen_by_all.end - Shape::KEYS;
    };
    const auto release = [&](MBarrier *barrier) {
        if (thread % WARP == 0) {
            mbarrier_arrive(barrier);
        }
    };
    float o[Shape::HEAD_DIM / 2];
#pragma unroll
    for (int i = 0; i < Shape::HEAD_DIM / 2; ++i) {
        o[i] = 0.0f;
    }
    typename Shape::Tiles tiles(tables.keys, tables.key_chunks, tile.needed.begin, tile.needed.end);
    KeyTile keys;
    if (tiles.next(keys)) {
        Slot<Shape::STAGES> k;
        Slot<Shape::STAGES> v;
        float s[Shape::KEYS / 2];
        uint32_t p[Shape::KEYS / 16][4];
#pragma unroll
        for (int i = 0; i < Shape::KEYS / 2; ++i) {
            s[i] = 0.0f;
        }
        /* Turns go round: barrier 1 + n is warpgroup n's, and the one before it arrives there. */
        const uint32_t turn = 1 + static_cast<uint32_t>(number);
        const uint32_t next_turn = 1 + static_cast<uint32_t>(number + 1) % Shape::COMPUTING;
        if (number + 1 == Shape::COMPUTING) {
            named_barrier_arrive(1, 2 * Shape::WARPGROUP);
        }
        mbarrier_wait(&shared.q_full, 0);
        mbarrier_wait(&shared.k_full[0], 0);
        fence_products();
        start_scores<Shape>(s, q, shared.k[0]);
        wait_for_products<0>(s);
        release(&shared.k_empty[0]);
        k.advance();
        if (has_to_mask(keys)) {
            mask_scores(s, rows, keys, column);
        }
        weigh_scores(s, rows, tables.factor);
        bool values_started = false;
        const auto finish_values = [&] {
            wait_for_products<0>(o);
            if (values_started) {
                release(&shared.v_empty[v.stage]);
                v.advance();
            }
#pragma unroll
            for (int i = 0; i < Shape::HEAD_DIM / 2; ++i) {
                o[i] *= rows.rescale[row_of_register(i)];
            }
            round_weights(s, p);
        };
#pragma unroll 1
        while (tiles.next(keys)) {
            /* This wait stands between the last tile's softmax and the wait for its products, or the compiler would
             * move the exponentials behind the latter, where nothing is left to hide them. */
            mbarrier_wait(&shared.k_full[k.stage], k.parity);
            finish_values();
            named_barrier_sync(turn, 2 * Shape::WARPGROUP);
            fence_products();
            start_scores<Shape>(s, q, shared.k[k.stage]);
            mbarrier_wait(&shared.v_full[v.stage], v.parity);
            fence_products();
            start_values<Shape>(o, p, shared.v[v.stage]);
            values_started = true;
            named_barrier_arrive(next_turn, 2 * Shape::WARPGROUP);
            wait_for_products<1>(s);
            release(&shared.k_empty[k.stage]);
            k.advance();
            if (has_to_mask(keys)) {
                mask_scores(s, rows, keys, column);
            }
            weigh_scores(s, rows, tables.factor);
        }
        if (number == 0) {
            named_barrier_sync(1, 2 * Shape::WARPGROUP);
        }
        finish_values();
        mbarrier_wait(&shared.v_full[v.stage], v.parity);
        fence_products();
        start_values<Shape>(o, p, shared.v[v.stage]);
        wait_for_products<0>(o);
    }
    write_rows<Shape>(args, q, tile, first, o, rows);
}

template <class Shape>
__global__ void __launch_bounds__(Shape::THREADS, 1) attend_sm90(const __grid_constant__ Sm90Operands args) {
#if TSP_SM_90A
    auto &shared = *shared_memory<Sm90Shared<Shape>>();
    if (threadIdx.x == 0) {
        constexpr uint32_t COMPUTING_WARPS = Shape::COMPUTING * Shape::WARPGROUP / WARP;
        mbarrier_init(&shared.q_full, 1);
        mbarrier_init(&shared.v_raw, 1);
        for (int stage = 0; stage < Shape::STAGES; ++stage) {
            mbarrier_init(&shared.k_full[stage], 1);
            mbarrier_init(&shared.v_full[stage], 1);
            mbarrier_init(&shared.k_empty[stage], COMPUTING_WARPS);
            mbarrier_init(&shared.v_empty[stage], COMPUTING_WARPS);
        }
        fence_mbarrier_init();
        prefetch_tensor_map(&args.q);
        prefetch_tensor_map(&args.k);
        prefetch_tensor_map(&args.v);
    }
    __syncthreads();
    const Sm90Tile tile = sm90_tile<Shape>(args);
    const int warpgroup = static_cast<int>(threadIdx.x) / Shape::WARPGROUP;
    if (warpgroup == 0) {
        give_up_registers<Shape::LOADING>();
        if (threadIdx.x < WARP) {
            load_tiles<Shape>(args, shared, tile);
        }
    } else {
        take_registers<Shape::COMPUTING_EACH>();
        compute_tile<Shape>(args, shared, tile, warpgroup - 1);
    }
#endif
}

} // namespace tsp::gpu
