/* Attention forward: the workspace and the sharing out of the work. attention_tile.h does the arithmetic, and
 * attention_check.h the checks. */
#include <cmath>

#include "attention_check.h"
#include "attention_pack.h"
#include "attention_tile.h"
#include "kernel.h"
#include "ops.h"
#include "query_tiles.h"

namespace tsp::TSP_ISA {
namespace {

constexpr float LN_2 = 0.693147181f;

template <class T>
class AttentionForward {
public:
    AttentionForward(const tsp_attention_args &args, int32_t most_threads, void *memory)
        : args(args),
          mask{(args.flags & TSP_CAUSAL) != 0, args.window},
          kv_heads(args.k.shape[1]),
          group(kv_heads > 0 ? args.q.shape[1] / kv_heads : 0),
          head_dim(args.q.shape[2]),
          value_width(round_up(head_dim, PANEL)),
          needed(needed_keys(args.k_chunks, args.k_chunk_count, args.q_chunks, args.q_chunk_count, mask)),
          tiles(head_dim > 0 ? tile_count(args.q_chunks, args.q_chunk_count, group, QUERY_ROWS) : 0),
          heads(tiles > 0 ? args.batch * kv_heads : 0),
          panels(divide_up(larger(int64_t{0}, needed.end - needed.begin), PANEL)),
          threads(static_cast<int32_t>(smaller(int64_t{most_threads}, heads * tiles))),
          workspace(memory),
          keys(workspace.take<T>(heads * panels * PANEL * head_dim)),
          values(workspace.take<T>(heads * panels * PANEL * value_width)),
          order(workspace.take<int32_t>(args.q_chunk_count)),
          scratch(workspace.take<AttentionTile<T>>(threads)) {}

    int64_t workspace_bytes() const {
        return workspace.bytes();
    }

    void run() {
        if (threads == 0) {
            return;
        }
        order_chunks(args.q_chunks, args.q_chunk_count, order);
        WorkQueue packing;
        WorkQueue attending;
        parallel(threads, [&](int64_t thread, int64_t) {
            for (int64_t job = packing.take(); job < heads * panels; job = packing.take()) {
                pack(job / panels, job % panels);
            }
            barrier();
            for (int64_t job = attending.take(); job < heads * tiles; job = attending.take()) {
                attend_tile(scratch[thread], job / tiles, job % tiles);
            }
        });
    }

private:
    void pack(int64_t head, int64_t panel) {
        const T *key_rows[PANEL] = {};
        const T *value_rows[PANEL] = {};
        const int64_t first = needed.begin + panel * PANEL;
        int64_t chunk_begin = 0;
        for (int32_t c = 0; c < args.k_chunk_count; ++c) {
            const tsp_chunk &chunk = args.k_chunks[c];
            const int64_t begin = larger(first, chunk_begin);
            const int64_t end = smaller(smaller(first + PANEL, needed.end), chunk_begin + chunk.count);
            for (int64_t key = begin; key < end; ++key) {
                const int64_t row = chunk.first_row + head / kv_heads * chunk.batch_rows + key - chunk_begin;
                key_rows[key - first] = element<const T>(args.k, row, head % kv_heads);
                value_rows[key - first] = element<const T>(args.v, row, head % kv_heads);
            }
            chunk_begin += chunk.count;
        }
        pack_keys(key_rows, head_dim, keys + (head * panels + panel) * PANEL * head_dim);
        T *target = values + head * panels * PANEL * value_width + panel * PANEL * PANEL;
        pack_values(value_rows, head_dim, target, panels * PANEL * PANEL);
    }

    void attend_tile(AttentionTile<T> &tile, int64_t head, int64_t rank) {
        const QueryTile queries = tile_at(args.q_chunks, order, group, QUERY_ROWS, rank);
        const tsp_chunk &chunk = args.q_chunks[queries.chunk];
        const int64_t first_row = chunk.first_row + head / kv_heads * chunk.batch_rows;
        const int64_t first_head = head % kv_heads * group;
        for_each_row(queries, [&](int64_t i, int64_t token, int64_t member) {
            const T *query = element<const T>(args.q, first_row + token, first_head + member);
            T *target = tile.queries + i * AttentionTile<T>::QUERY_STRIDE;
            std::memcpy(target, query, static_cast<size_t>(head_dim) * sizeof(T));
            tile.visible[i] = visible_from_needed(chunk.start + token, first_row + token);
        });
        const PackedHead<T> packed{
            keys + head * panels * PANEL * head_dim,
            values + head * panels * PANEL * value_width,
            panels * PANEL * PANEL,
            head_dim,
            value_width,
            args.scale * LOG2_E};
        attend(tile, packed, queries.rows);
        for_each_row(queries, [&](int64_t i, int64_t token, int64_t member) {
            finish_row(tile, i, first_row + token, first_head + member);
        });
    }

    /* Calls body(row of the tile, token of the chunk, member of the group of heads). */
    template <class Body>
    void for_each_row(const QueryTile &queries, const Body &body) const {
        int64_t token = queries.first / group;
        int64_t member = queries.first % group;
        for (int64_t i = 0; i < queries.rows; ++i) {
            body(i, token, member);
            if (++member == group) {
                member = 0;
                ++token;
            }
        }
    }

    /* Visible keys counted from the first packed one. */
    KeyRange visible_from_needed(int64_t query, int64_t row) const {
        const int64_t kv_start =
            args.kv_start.data == nullptr ? 0 : static_cast<const int32_t *>(args.kv_start.data)[row];
        const KeyRange range = visible_keys(args.k_chunks, args.k_chunk_count, mask, query, kv_start);
        if (range.begin >= range.end) {
            return {panels * PANEL, 0};
        }
        return {range.begin - needed.begin, range.end - needed.begin};
    }

    void finish_row(const AttentionTile<T> &tile, int64_t i, int64_t row, int64_t head) {
        const float sum = reduce_add(load(tile.sum[i]));
        const bool empty = sum == 0; /* and not NaN */
        const Vec inverse = broadcast(empty ? 0.0f : 1.0f / sum);
        T *out = element<T>(args.out, row, head);
        for (int64_t x = 0; x < head_dim; x += WIDTH) {
            const Vec values = load(tile.out + i * value_width + x) * inverse;
            if (head_dim - x >= WIDTH) {
                store(out + x, values);
            } else {
                store_partial(out + x, values, static_cast<int>(head_dim - x));
            }
        }
        if (args.lse.data != nullptr) {
            static_cast<float *>(args.lse.data)[row * args.lse.strides[0] + head * args.lse.strides[1]] =
                empty ? MINUS_INFINITY : tile.top[i] * LN_2 + std::log(sum);
        }
    }

    const tsp_attention_args &args;
    const KeyMask mask;
    const int64_t kv_heads;
    const int64_t group;
    const int64_t head_dim;
    const int64_t value_width;
    const KeyRange needed;
    const int64_t tiles;  /* for each key/value head */
    const int64_t heads;  /* key/value heads of all sequences: sequence * K + head */
    const int64_t panels; /* of 64 keys, for each of them */
    const int32_t threads;
    Workspace workspace;
    T *const keys;
    T *const values;
    int32_t *const order;
    AttentionTile<T> *const scratch;
};

/* Calls body with the computation for the dtype of args. */
template <class Body>
auto with_attention(const tsp_attention_args &args, int32_t threads, void *memory, const Body &body) {
    if (args.q.dtype == TSP_BF16) {
        AttentionForward<bf16> attention(args, threads, memory);
        return body(attention);
    }
    AttentionForward<float> attention(args, threads, memory);
    return body(attention);
}

} // namespace

tsp_status attention_forward(const void *raw_args, const tsp_launch *raw_launch, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_attention_args>(raw_args);
        const auto launch = read_launch(raw_launch);
        check_attention(args);
        check_attention_data(args);
        with_attention(args, launch.threads, launch.workspace, [&](auto &attention) {
            require_workspace(launch, attention.workspace_bytes());
            attention.run();
        });
    });
}

int64_t attention_forward_workspace(const void *raw_args, const tsp_launch *raw_launch) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_attention_args>(raw_args);
        const auto launch = read_launch(raw_launch);
        check_attention(args);
        return with_attention(
            args, launch.threads, nullptr, [](const auto &attention) { return attention.workspace_bytes(); });
    });
}

} // namespace tsp::TSP_ISA
