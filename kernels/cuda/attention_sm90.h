/*
 * Attention forward for sm_90a in bf16 (FlashAttention-3, arXiv 2407.08608): one warpgroup loads by TMA, two (d = 128) or
 * three (d = 64) compute by wgmma, 64 rows of queries each.
 *
 * Rows of a tile of queries are (token, head) pairs as in query_tiles.h if the heads of a group divide a tile; else one
 * head makes a tile and the heads of a group are neighbours in the grid. Tiles of keys lie in one chunk (key_tiles.h), the
 * last one first. A short tile is loaded whole, with the rows behind the chunk, whatever they hold: their scores are
 * masked, and the loading warp overwrites those of V with zeros before it hands the tile on, since 0 times NaN is NaN.
 *
 * Of a computing warpgroup Q K^T of tile j runs while P V of tile j - 1 does, softmax of tile j while P V of j - 1 is
 * still under way; and warpgroups take turns in starting their products, so that one's softmax is under the other's.
 * A block does one tile; the grid begins with the heaviest of each section of heads (head_tile_at).
 */
#pragma once

#include "attention_tables.h"
#include "bf16.h"
#include "key_tiles.h"
#include "tensor_map.h"
#include "wgmma.h"

namespace tsp::gpu {

/* GROUPS: warpgroups that compute. */
template <int D, int GROUPS, int LOADING_REGISTERS, int COMPUTING_REGISTERS>
struct Sm90Shape {
    static constexpr int HEAD_DIM = D;
    static constexpr int COMPUTING = GROUPS;
    static constexpr int QUERIES = GROUPS * PRODUCT_ROWS;
    static constexpr int KEYS = 128;
    static constexpr int STAGES = 2;
    static constexpr int PANELS = D / PANEL_COLUMNS;
    static constexpr int WARPGROUP = 128;
    static constexpr int THREADS = (GROUPS + 1) * WARPGROUP;
    static constexpr int LOADING = LOADING_REGISTERS;
    static constexpr int COMPUTING_EACH = COMPUTING_REGISTERS;
    static constexpr uint32_t QUERY_PANEL = QUERIES * PANEL_ROW_BYTES;
    static constexpr uint32_t KEY_PANEL = KEYS * PANEL_ROW_BYTES;
    using Tiles = KeyTiles<SmallChunk, KEYS>;
};

template <class Shape>
struct Sm90Shared {
    unsigned char q[Shape::PANELS * Shape::QUERY_PANEL]; /* at last the output */
    unsigned char k[Shape::STAGES][Shape::PANELS * Shape::KEY_PANEL];
    unsigned char v[Shape::STAGES][Shape::PANELS * Shape::KEY_PANEL];
    MBarrier q_full;
    MBarrier k_full[Shape::STAGES];
    MBarrier k_empty[Shape::STAGES];
    MBarrier v_full[Shape::STAGES];
    MBarrier v_empty[Shape::STAGES];
    MBarrier v_raw; /* a short tile of V whose end is not zero yet */
};

struct Sm90Operands {
    TensorMap q;
    TensorMap k;
    TensorMap v;
    Heads<bf16> out;
    Heads<float> lse;
    int64_t tiles;
    int64_t section;
    int64_t heads; /* of tiles: sequence * (heads / pack) + head / pack */
    int32_t pack;  /* heads of a tile */
    int32_t head_packs;
    AttentionTables tables;
};

/* The tile of this block, and which keys its rows see, in indices of the whole sequence. */
struct Sm90Tile {
    int32_t first_row; /* of the tensors */
    int32_t first_index;
    int32_t rows;
    int32_t head;
    int32_t kv_head;
    int32_t sequence;
    int32_t latest_start; /* the largest kv_start */
    KeySpan needed;
};

__device__ __forceinline__ int32_t window_begin(const AttentionTables &tables, int32_t index) {
    return tables.window > 0 ? static_cast<int32_t>(larger(int64_t{0}, index - tables.window + 1)) : 0;
}

/* All lanes of a warp call it. */
template <class Shape>
__device__ __forceinline__ Sm90Tile sm90_tile(const Sm90Operands &args) {
    const AttentionTables &tables = args.tables;
    const HeadTile head_tile = head_tile_at(blockIdx.x, args.heads, args.section, args.tiles);
    const QueryTile queries = tile_at(tables.queries, tables.order, args.pack, Shape::QUERIES, head_tile.rank);
    const SmallChunk &chunk = tables.queries[queries.chunk];
    const auto first_token = static_cast<int32_t>(queries.first / args.pack);
    Sm90Tile tile;
    tile.sequence = static_cast<int32_t>(head_tile.head / args.head_packs);
    tile.head = static_cast<int32_t>(head_tile.head - int64_t{tile.sequence} * args.head_packs) * args.pack;
    tile.kv_head = tile.head / static_cast<int32_t>(tables.group);
    tile.first_row = chunk.first_row + tile.sequence * chunk.batch_rows + first_token;
    tile.first_index = chunk.start + first_token;
    tile.rows = static_cast<int32_t>(queries.rows);
    tile.latest_start = 0;
    const int32_t tokens = (tile.rows - 1) / args.pack + 1;
    int32_t earliest_start = 0;
    if (tables.kv_start != nullptr) {
        earliest_start = INT32_MAX;
        for (int32_t token = static_cast<int32_t>(threadIdx.x) % WARP; token < tokens; token += WARP) {
            const int32_t start = tables.kv_start[tile.first_row + token];
            earliest_start = smaller(earliest_start, start);
            tile.latest_start = larger(tile.latest_start, start);
        }
        earliest_start = reduce_warp(earliest_start, Smaller{});
        tile.latest_start = reduce_warp(tile.latest_start, Max{});
    }
    tile.needed = {
        larger(earliest_start, window_begin(tables, tile.first_index)),
        tables.causal != 0 ? tile.first_index + tokens : INT32_MAX};
    return tile;
}

/* A place in a ring of stages. */
template <int STAGES>
struct Slot {
    int32_t stage = 0;
    uint32_t parity = 0;

    __device__ __forceinline__ void advance() {
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        parity ^= stage == 0 ? 1u : 0u;
    }
};

/* One warp. It is a tile of K ahead of V. */
template <class Shape>
__device__ __forceinline__ void load_tiles(const Sm90Operands &args, Sm90Shared<Shape> &shared, const Sm90Tile &tile) {
    const AttentionTables &tables = args.tables;
    constexpr uint32_t TILE_BYTES = Shape::PANELS * Shape::KEY_PANEL;
    const int lane = static_cast<int>(threadIdx.x) % WARP;
    const bool leader = elect_lane();
    const auto row_of = [&](const KeyTile &keys) {
        const SmallChunk &chunk = tables.keys[keys.chunk];
        return chunk.first_row + tile.sequence * chunk.batch_rows + keys.first;
    };
    const auto load_keys = [&](const TensorMap *map, unsigned char *target, const KeyTile &keys, MBarrier *barrier) {
        if (leader) {
            mbarrier_arrive_expect(barrier, TILE_BYTES);
#pragma unroll
            for (int panel = 0; panel < Shape::PANELS; ++panel) {
                load_tensor(
                    target + panel * Shape::KEY_PANEL,
                    map,
                    {panel * PANEL_COLUMNS, tile.kv_head, row_of(keys)},
                    barrier);
            }
        }
    };
    typename Shape::Tiles tiles(tables.keys, tables.key_chunks, tile.needed.begin, tile.needed.end);
    KeyTile keys;
    if (!tiles.next(keys)) {
        return;
    }
    if (leader) {
        mbarrier_arrive_expect(&shared.q_full, sizeof shared.q);
#pragma unroll
        for (int panel = 0; panel < Shape::PANELS; ++panel) {
            load_tensor(
                shared.q + panel * Shape::QUERY_PANEL,
                &args.q,
                {panel * PANEL_COLUMNS, tile.head, tile.first_row},
                &shared.q_full);
        }
    }
    Slot<Shape::STAGES> k;
    Slot<Shape::STAGES> v;
    uint32_t raw_parity = 0;
    load_keys(&args.k, shared.k[0], keys, &shared.k_full[0]);
    k.advance();
    for (bool more = true; more;) {
        KeyTile following;
        more = tiles.next(following);
        if (more) {
            mbarrier_wait(&shared.k_empty[k.stage], k.parity ^ 1);
            load_keys(&args.k, shared.k[k.stage], following, &shared.k_full[k.stage]);
            k.advance();
        }
        mbarrier_wait(&shared.v_empty[v.stage], v.parity ^ 1);
        unsigned char *target = shared.v[v.stage];
        const bool whole = keys.rows == Shape::KEYS;
        load_keys(&args.v, target, keys, whole ? &shared.v_full[v.stage] : &shared.v_raw);
        if (!whole) {
            mbarrier_wait(&shared.v_raw, raw_parity);
            raw_parity ^= 1;
            /* Whole rows of 128 bytes, so that the swizzle makes no difference. */
            constexpr int UNITS = PANEL_ROW_BYTES / 16;
            for (int panel = 0; panel < Shape::PANELS; ++panel) {
                auto *units = reinterpret_cast<uint4 *>(target + panel * Shape::KEY_PANEL);
                for (int i = keys.rows * UNITS + lane; i < Shape::KEYS * UNITS; i += WARP) {
                    units[i] = make_uint4(0, 0, 0, 0);
                }
            }
            fence_proxy_async();
            __syncwarp();
            if (leader) {
                mbarrier_arrive(&shared.v_full[v.stage]);
            }
        }
        v.advance();
        keys = following;
    }
}

/* Softmax of the two rows that a thread has a part of. The four threads of a quad share the rows. */
struct Sm90Rows {
    float top[2] = {MINUS_INFINITY, MINUS_INFINITY}; /* largest score, before scaling */
    float sum[2] = {0.0f, 0.0f};                     /* of this thread's columns */
    float rescale[2];                                /* of what was summed up before the last tile */
    KeySpan visible[2];
};

__device__ __forceinline__ constexpr int row_of_register(int i) {
    return i % 4 / 2;
}

/* Scores become -inf where the row does not see the key. column: this thread's first one. */
template <int COUNT>
__device__ __forceinline__ void mask_scores(float (&s)[COUNT], const Sm90Rows &rows, const KeyTile &keys, int column) {
    int first[2];
    int end[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        first[r] = rows.visible[r].begin - keys.index - column;
        end[r] = smaller(rows.visible[r].end - keys.index, keys.rows) - column;
    }
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const int r = row_of_register(i);
        const int at = i / 4 * 8 + i % 2;
        s[i] = at >= first[r] && at < end[r] ? s[i] : MINUS_INFINITY;
    }
}

/* Scores become weights relative to the largest score so far. */
template <int COUNT>
__device__ __forceinline__ void weigh_scores(float (&s)[COUNT], Sm90Rows &rows, float factor) {
    float scaled_top[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        float top = rows.top[r];
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            top = row_of_register(i) == r ? fmaxf(top, s[i]) : top;
        }
        top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 1));
        top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 2));
        /* Both products rounded: were one fused with the subtraction, sums under an old top would shrink tile by tile. */
        scaled_top[r] = top == MINUS_INFINITY ? 0.0f : __fmul_rn(top, factor);
        rows.rescale[r] = fast_exp2(__fadd_rn(__fmul_rn(rows.top[r], factor), -scaled_top[r]));
        rows.top[r] = top;
    }
    float sum[2] = {0.0f, 0.0f};
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        const int r = row_of_register(i);
        s[i] = fast_exp2(__fmaf_rn(s[i], factor, -scaled_top[r]));
        sum[r] += s[i];
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        rows.sum[r] = rows.sum[r] * rows.rescale[r] + sum[r];
    }
}

template <int COUNT>
__device__ __forceinline__ void round_weights(const float (&s)[COUNT], uint32_t (&p)[COUNT / 8][4]) {
#pragma unroll
    for (int i = 0; i < COUNT / 8; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            p[i][j] = pack(s[8 * i + 2 * j], s[8 * i + 2 * j + 1]);
        }
    }
}

/* S = Q K^T. */
template <class Shape>
__device__ __forceinline__ void
start_scores(float (&s)[Shape::KEYS / 2], const unsigned char *q, const unsigned char *k) {
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
__device__ __forceinline__ void
start_values(float (&o)[Shape::HEAD_DIM / 2], const uint32_t (&p)[Shape::KEYS / 16][4], const unsigned char *v) {
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
    const Sm90Operands &args,
    unsigned char *staging,
    const Sm90Tile &tile,
    int first,
    float (&o)[Shape::HEAD_DIM / 2],
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
            *args.lse.at(tile.first_row + row / args.pack, tile.head + row % args.pack) =
                sum == 0.0f ? MINUS_INFINITY : __fmaf_rn(top, LN_2, logf(sum));
        }
    }
#pragma unroll
    for (int i = 0; i < Shape::HEAD_DIM / 2; i += 2) {
        const int r = row_of_register(i);
        const int at = i / 4 * 8 + column;
        const uint32_t byte = static_cast<uint32_t>((own + 8 * r) * static_cast<int>(PANEL_ROW_BYTES) + at % PANEL_COLUMNS * 2);
        *reinterpret_cast<uint32_t *>(staging + at / PANEL_COLUMNS * Shape::QUERY_PANEL + swizzled(byte)) =
            pack(o[i] * inverse[r], o[i + 1] * inverse[r]);
    }
    named_barrier_sync(1 + Shape::COMPUTING + static_cast<uint32_t>(first) / PRODUCT_ROWS, Shape::WARPGROUP);
    constexpr int UNITS = Shape::HEAD_DIM / 8; /* of 16 bytes, of a row */
    for (int i = thread; i < PRODUCT_ROWS * UNITS; i += Shape::WARPGROUP) {
        const int row = first + i / UNITS;
        const int unit = i % UNITS;
        if (row < tile.rows) {
            const uint32_t byte = static_cast<uint32_t>(i / UNITS) * PANEL_ROW_BYTES + static_cast<uint32_t>(unit) % 8 * 16;
            bf16 *target = args.out.at(tile.first_row + row / args.pack, tile.head + row % args.pack) + 8 * unit;
            *reinterpret_cast<uint4 *>(target) =
                *reinterpret_cast<const uint4 *>(staging + unit / 8 * Shape::QUERY_PANEL + swizzled(byte));
        }
    }
}

/* One warpgroup, the computing one of this number. */
template <class Shape>
__device__ __forceinline__ void
compute_tile(const Sm90Operands &args, Sm90Shared<Shape> &shared, const Sm90Tile &tile, int number) {
    const AttentionTables &tables = args.tables;
    const int thread = static_cast<int>(threadIdx.x) % Shape::WARPGROUP;
    const int column = thread % 4 * 2;
    const int first = number * PRODUCT_ROWS;
    unsigned char *q = shared.q + first * static_cast<int>(PANEL_ROW_BYTES);
    Sm90Rows rows;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const int row = first + thread / WARP * 16 + thread % WARP / 4 + 8 * r;
        const int32_t token = row / args.pack;
        const int32_t index = tile.first_index + token;
        const bool starts = tables.kv_start != nullptr && row < tile.rows;
        rows.visible[r] = {
            larger(window_begin(tables, index), starts ? tables.kv_start[tile.first_row + token] : 0),
            tables.causal != 0 ? index + 1 : INT32_MAX};
    }
    /* Tiles between these indices are seen whole by all rows. */
    const int32_t last_index = tile.first_index + (first + PRODUCT_ROWS - 1) / args.pack;
    const KeySpan seen_by_all{
        larger(tile.latest_start, window_begin(tables, last_index)),
        tables.causal != 0 ? tile.first_index + first / args.pack + 1 : INT32_MAX};
    const auto has_to_mask = [&](const KeyTile &keys) {
        return keys.rows < Shape::KEYS || keys.index < seen_by_all.begin
            || keys.index > seen_by_all.end - Shape::KEYS;
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
        /* Turns go round: barrier 1 + n is warpgroup n's, and the one before it arrives there. */
        const uint32_t turn = 1 + static_cast<uint32_t>(number);
        const uint32_t next_turn = 1 + static_cast<uint32_t>(number + 1) % Shape::COMPUTING;
        if (number + 1 == Shape::COMPUTING) {
            named_barrier_arrive(1, 2 * Shape::WARPGROUP);
        }
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
            /* This wait stands between the last tile's softmax and the wait for its products, or the compiler would move
             * the exponentials behind the latter, where nothing is left to hide them. */
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
