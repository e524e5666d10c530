/* What attention forward for sm_90a works on: sizes of tiles, shared memory, parameters, the tile of a block. */
#pragma once

#include "attention_tables.h"
#include "bf16.h"
#include "key_tiles.h"
#include "small_divisor.h"
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
    int32_t tiles;
    int32_t section;    /* at most heads */
    int32_t heads;      /* of tiles: sequence * head_packs + head / pack */
    int32_t head_packs; /* heads / pack */
    SmallDivisor pack;  /* heads of a tile */
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
    const HeadTile head_tile =
        head_tile_in<int32_t>(static_cast<int32_t>(blockIdx.x), args.heads, args.section, args.tiles);
    const auto head = static_cast<int32_t>(head_tile.head);
    const QueryTile queries = tile_at(tables.queries, tables.order, args.pack.value, Shape::QUERIES, head_tile.rank);
    const SmallChunk &chunk = tables.queries[queries.chunk];
    const auto first_token = static_cast<int32_t>(queries.first / Shape::QUERIES) * args.pack.quotient(Shape::QUERIES);
    Sm90Tile tile;
    tile.sequence = head / args.head_packs;
    tile.head = (head - tile.sequence * args.head_packs) * args.pack.value;
    tile.kv_head = tile.head / static_cast<int32_t>(tables.group);
    tile.first_row = chunk.first_row + tile.sequence * chunk.batch_rows + first_token;
    tile.first_index = chunk.start + first_token;
    tile.rows = static_cast<int32_t>(queries.rows);
    tile.latest_start = 0;
    const int32_t tokens = args.pack.quotient(tile.rows - 1) + 1;
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

} // namespace tsp::gpu
