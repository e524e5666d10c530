/* The warp that loads in attention forward for sm_90a. */
#pragma once

#include "attention_sm90_operands.h"

namespace tsp::gpu {

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

} // namespace tsp::gpu
