/* Attention backward between the caller's tensors and attention_backward_layout.h: what is read and what is written. */
#pragma once

#include "attention_backward_layout.h"
#include "attention_pack.h"
#include "query_tiles.h"

namespace tsp::TSP_ISA {

/* Has the row on its way while others are worked on: rows of one head stand too far apart for the processor to guess. */
template <class Row>
void fetch_row(const Row *row, int64_t count) {
    for (int64_t x = 0; x < count; x += 64 / static_cast<int64_t>(sizeof(Row))) {
        __builtin_prefetch(row + x, 0, 2);
    }
}

/* target = source * factor, or target += source * factor. */
template <class To>
void write_row(To *target, const float *source, int64_t count, Vec factor, bool accumulate) {
    for (int64_t x = 0; x < count; x += WIDTH) {
        const Vec values = load(source + x);
        const Vec result = accumulate ? fma(values, factor, load_row(target, x, count)) : values * factor;
        if (count - x >= WIDTH) {
            store(target + x, result);
        } else {
            store_partial(target + x, result, static_cast<int>(count - x));
        }
    }
}

/* Heads are key/value heads of all sequences: sequence * K + head. */
template <class T>
class BackwardTensors {
public:
    using Scratch = BackwardScratch<T>;

    /* order: of the query chunks, by descending start. */
    BackwardTensors(const tsp_attention_backward_args &all, const int32_t *order)
        : all(all),
          args(all.forward),
          order(order),
          mask{(args.flags & TSP_CAUSAL) != 0, args.window},
          accumulate((all.flags & TSP_ACCUMULATE) != 0),
          kv_heads(args.k.shape[1]),
          group(kv_heads > 0 ? args.q.shape[1] / kv_heads : 0),
          shape{
              args.q.shape[2],
              round_up(args.q.shape[2], PANEL),
              args.scale * LOG2_E,
              key_count(args.q_chunks, args.q_chunk_count) * group,
              key_count(args.k_chunks, args.k_chunk_count)} {}

    const BackwardShape &get_shape() const {
        return shape;
    }

    /* Keys that some query of a packed tile sees; none if end <= begin. */
    KeyRange reached_by(const BackwardQueries<T> &queries, int64_t tile) const {
        KeyRange reached{shape.keys, 0};
        const StepKeys *steps = queries.steps + tile * TILE_STEPS;
        for (int64_t s = 0; s < divide_up(shape.rows_of(tile), QUERY_STEP); ++s) {
            reached = {smaller(reached.begin, steps[s].reached.begin), larger(reached.end, steps[s].reached.end)};
        }
        return reached;
    }

    void pack_tile(const BackwardQueries<T> &queries, int64_t head, int64_t tile) const {
        for (int64_t row = 0; row < shape.rows_of(tile); row += PANEL) {
            pack_panel(queries, head, tile * QUERY_TILE + row);
        }
    }

    void write_dq(const BackwardQueries<T> &queries, int64_t head, int64_t tile) const {
        const Vec scale = broadcast(args.scale);
        for (int64_t row = tile * QUERY_TILE; row < tile * QUERY_TILE + shape.rows_of(tile); ++row) {
            const Query query = query_at(head, row);
            T *target = element<T>(all.dq, query.row, query.head);
            write_row(target, queries.dq + row * shape.width, shape.head_dim, scale, false);
        }
    }

    /* K and V of the block as left factors, K as a right one too; dK and dV are 0. */
    void load_block(Scratch &scratch, int64_t head, KeyRange block) const {
        const T *key_rows[Scratch::PANEL_KEYS] = {};
        const T *value_rows[Scratch::KEYS] = {};
        for_each_key(head, block, [&](int64_t i, int64_t row) {
            key_rows[i] = element<const T>(args.k, row, head % kv_heads);
            value_rows[i] = element<const T>(args.v, row, head % kv_heads);
            fetch_row(key_rows[i], shape.head_dim);
            fetch_row(value_rows[i], shape.head_dim);
        });
        for (int64_t i = 0; i < Scratch::KEYS; ++i) {
            copy_left(scratch.keys + i * Scratch::KEY_STRIDE, key_rows[i]);
            copy_left(scratch.values + i * Scratch::KEY_STRIDE, value_rows[i]);
        }
        for (int64_t key = 0; key < Scratch::PANEL_KEYS; key += PANEL) {
            const T *rows[PANEL];
            std::memcpy(rows, key_rows + key, sizeof rows);
            pack_values(rows, shape.head_dim, scratch.key_panels + key * PANEL, Scratch::PANEL_KEYS * PANEL);
        }
        const size_t bytes = static_cast<size_t>(Scratch::KEYS * shape.width) * sizeof(float);
        std::memset(scratch.dk, 0, bytes);
        std::memset(scratch.dv, 0, bytes);
    }

    void write_block(const Scratch &scratch, int64_t head, KeyRange block) const {
        for_each_key(head, block, [&](int64_t, int64_t row) {
            fetch_row(element<float>(all.dk, row, head % kv_heads), shape.head_dim);
            fetch_row(element<float>(all.dv, row, head % kv_heads), shape.head_dim);
        });
        const Vec scale = broadcast(args.scale);
        const Vec one = broadcast(1);
        for_each_key(head, block, [&](int64_t i, int64_t row) {
            float *dk = element<float>(all.dk, row, head % kv_heads);
            float *dv = element<float>(all.dv, row, head % kv_heads);
            write_row(dk, scratch.dk + i * shape.width, shape.head_dim, scale, accumulate);
            write_row(dv, scratch.dv + i * shape.width, shape.head_dim, one, accumulate);
        });
    }

private:
    struct Query {
        int64_t row;
        int64_t head;
        int64_t index; /* in the whole sequence */
    };

    /* Rows are (token, head of the group), the head running faster, by ascending chunks. */
    Query query_at(int64_t head, int64_t row) const {
        int64_t token = row / group;
        int32_t slot = args.q_chunk_count - 1;
        for (; token >= args.q_chunks[order[slot]].count; --slot) {
            token -= args.q_chunks[order[slot]].count;
        }
        const tsp_chunk &chunk = args.q_chunks[order[slot]];
        return {
            chunk.first_row + head / kv_heads * chunk.batch_rows + token,
            head % kv_heads * group + row % group,
            chunk.start + token};
    }

    KeyRange visible_to(const Query &query) const {
        const auto *kv_start = static_cast<const int32_t *>(args.kv_start.data);
        const int64_t start = kv_start == nullptr ? 0 : kv_start[query.row];
        return visible_keys(args.k_chunks, args.k_chunk_count, mask, query.index, start);
    }

    void pack_panel(const BackwardQueries<T> &queries, int64_t head, int64_t first) const {
        const T *query_rows[PANEL] = {};
        const T *dout_rows[PANEL] = {};
        const T *out_rows[PANEL] = {};
        for (int64_t i = 0; i < PANEL; ++i) {
            queries.visible[first + i] = {shape.keys, 0};
            queries.offset[first + i] = MINUS_INFINITY;
            if (first + i >= shape.rows) {
                continue;
            }
            const Query query = query_at(head, first + i);
            const KeyRange visible = visible_to(query);
            const float lse = *element<const float>(args.lse, query.row, query.head);
            if (visible.begin < visible.end && lse != MINUS_INFINITY) {
                queries.visible[first + i] = visible;
                queries.offset[first + i] = -lse * LOG2_E;
                query_rows[i] = element<const T>(args.q, query.row, query.head);
                dout_rows[i] = element<const T>(all.dout, query.row, query.head);
                out_rows[i] = element<const T>(args.out, query.row, query.head);
                fetch_row(query_rows[i], shape.head_dim);
                fetch_row(dout_rows[i], shape.head_dim);
                fetch_row(out_rows[i], shape.head_dim);
            }
        }
        for (int64_t i = 0; i < PANEL; ++i) {
            queries.delta[first + i] = row_dot(dout_rows[i], out_rows[i]);
        }
        for (int64_t row = first; row < first + PANEL; row += QUERY_STEP) {
            queries.steps[row / QUERY_STEP] = keys_of_step(queries.visible + row, shape.rows - row);
        }
        const int64_t panel = first / PANEL;
        pack_keys(query_rows, shape.head_dim, queries.query_columns + first * shape.head_dim);
        pack_keys(dout_rows, shape.head_dim, queries.dout_columns + first * shape.head_dim);
        pack_values(query_rows, shape.head_dim, queries.query_rows + panel * PANEL * PANEL, queries.row_stride);
        pack_values(dout_rows, shape.head_dim, queries.dout_rows + panel * PANEL * PANEL, queries.row_stride);
    }

    float row_dot(const T *a, const T *b) const {
        Vec sum = zero();
        for (int64_t x = 0; x < shape.head_dim; x += WIDTH) {
            sum = fma(load_row(a, x, shape.head_dim), load_row(b, x, shape.head_dim), sum);
        }
        return reduce_add(sum);
    }

    /* rows: as far as there are any. */
    StepKeys keys_of_step(const KeyRange *visible, int64_t rows) const {
        StepKeys keys{{shape.keys, 0}, {0, shape.keys}};
        for (int64_t i = 0; i < smaller(rows, int64_t{QUERY_STEP}); ++i) {
            keys.reached = {smaller(keys.reached.begin, visible[i].begin), larger(keys.reached.end, visible[i].end)};
            keys.shared = {larger(keys.shared.begin, visible[i].begin), smaller(keys.shared.end, visible[i].end)};
        }
        return keys;
    }

    void copy_left(Left<T> *target, const T *row) const {
        if constexpr (std::is_same_v<Left<T>, T>) {
            const size_t bytes = static_cast<size_t>(shape.head_dim) * sizeof(T);
            row == nullptr ? std::memset(target, 0, bytes) : std::memcpy(target, row, bytes);
        } else {
            for (int64_t x = 0; x < shape.head_dim; x += WIDTH) {
                store(target + x, load_row(row, x, shape.head_dim));
            }
        }
    }

    /* Calls body(number within the block, row of k). */
    template <class Body>
    void for_each_key(int64_t head, KeyRange block, const Body &body) const {
        int64_t chunk_begin = 0;
        for (int32_t c = 0; c < args.k_chunk_count; ++c) {
            const tsp_chunk &chunk = args.k_chunks[c];
            const int64_t first_row = chunk.first_row + head / kv_heads * chunk.batch_rows;
            const int64_t end = smaller(block.end, chunk_begin + chunk.count);
            for (int64_t key = larger(block.begin, chunk_begin); key < end; ++key) {
                body(key - block.begin, first_row + key - chunk_begin);
            }
            chunk_begin += chunk.count;
        }
    }

    const tsp_attention_backward_args &all;
    const tsp_attention_args &args;
    const int32_t *const order;
    const KeyMask mask;
    const bool accumulate;
    const int64_t kv_heads;
    const int64_t group;
    const BackwardShape shape;
};

} // namespace tsp::TSP_ISA
