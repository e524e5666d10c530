/*
 * Attention backward: the workspace and the sharing out of the work. attention_backward_pack.h reads and writes the
 * tensors, attention_backward_tile.h does the arithmetic, and attention_check.h the checks.
 *
 * A task is one block of keys of one sequence and key/value head with all queries that see it. It owns dK and dV; blocks
 * add to dQ of a tile of queries in ascending order, each awaiting its turn, so that sums are the same whoever computes
 * them. Blocks go through the tiles from the last to the first, where under a causal mask all of them begin: threads at
 * work on one head follow each other closely, and its packed queries stay in the cache that they share.
 *
 * Workspace: for each head in work rows * d elements, four times in q's dtype and once in f32, where rows = queries of a
 * sequence * H / K. In work are as many heads as give each thread TASKS blocks, at least one, whatever the batch and K.
 * And a BackwardScratch for each thread, 1 to 2 MB.
 */
#include <sched.h>

#include "attention_backward_pack.h"
#include "attention_backward_tile.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Blocks for each thread between two barriers. */
constexpr int64_t TASKS = 16;

/* Tasks are handed out in order, so whoever comes first is at work already. */
void await_turn(const int64_t &turn, int64_t mine) {
    for (int64_t spins = 0; __atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine; ++spins) {
        if (spins > 1000) {
            sched_yield();
        }
    }
}

void pass_turn(int64_t &turn, int64_t next) {
    __atomic_store_n(&turn, next, __ATOMIC_RELEASE);
}

/* Heads worked on between two barriers: enough blocks for the threads, about equally many each time. */
int64_t heads_at_a_time(int64_t heads, int64_t blocks, int64_t threads) {
    const int64_t enough = smaller(heads, divide_up(TASKS * threads, larger(blocks, int64_t{1})));
    return enough == 0 ? 0 : divide_up(heads, divide_up(heads, enough));
}

template <class T>
class AttentionBackward {
public:
    using Scratch = BackwardScratch<T>;

    AttentionBackward(const tsp_attention_backward_args &all, int32_t most_threads, void *memory)
        : args(all.forward),
          workspace(memory),
          order(workspace.take<int32_t>(args.q_chunk_count)),
          tensors(all, order),
          shape(tensors.get_shape()),
          tiles(shape.tiles()),
          blocks(divide_up(shape.keys, Scratch::KEYS)),
          heads(shape.head_dim > 0 ? args.batch * args.k.shape[1] : 0),
          slots(heads_at_a_time(heads, blocks, most_threads)),
          threads(static_cast<int32_t>(smaller(int64_t{most_threads}, slots * larger(blocks, tiles)))) {
        const int64_t rows = slots * tiles * QUERY_TILE;
        packed.query_columns = workspace.take<T>(rows * shape.head_dim);
        packed.dout_columns = workspace.take<T>(rows * shape.head_dim);
        packed.query_rows = workspace.take<T>(rows * shape.width);
        packed.dout_rows = workspace.take<T>(rows * shape.width);
        packed.offset = workspace.take<float>(rows);
        packed.delta = workspace.take<float>(rows);
        packed.visible = workspace.take<KeyRange>(rows);
        packed.steps = workspace.take<StepKeys>(rows / QUERY_STEP);
        packed.dq = workspace.take<float>(rows * shape.width);
        packed.turn = workspace.take<int64_t>(slots * tiles);
        packed.row_stride = tiles * QUERY_TILE * PANEL;
        scratch = workspace.take<Scratch>(threads);
    }

    int64_t workspace_bytes() const {
        return workspace.bytes();
    }

    void run() {
        if (threads == 0) {
            return;
        }
        order_chunks(args.q_chunks, args.q_chunk_count, order);
        WorkQueue queue;
        parallel(threads, [&](int64_t thread, int64_t) {
            for (int64_t head = 0; head < heads; head += slots) {
                const int64_t count = smaller(slots, heads - head);
                share_tasks(count * tiles, [&](int64_t job) { pack(head, job / tiles, job % tiles); });
                for (int64_t job = queue.take(); job < count * blocks; job = queue.take()) {
                    add_block(scratch[thread], head, job / blocks, job % blocks);
                }
                barrier();
                if (thread == 0) {
                    queue = WorkQueue{};
                }
            }
        });
    }

private:
    /* What stands in this slot of the workspace. */
    BackwardQueries<T> queries_of(int64_t slot) const {
        const int64_t first = slot * tiles * QUERY_TILE;
        return {
            packed.query_columns + first * shape.head_dim,
            packed.dout_columns + first * shape.head_dim,
            packed.query_rows + first * shape.width,
            packed.dout_rows + first * shape.width,
            packed.offset + first,
            packed.delta + first,
            packed.visible + first,
            packed.steps + first / QUERY_STEP,
            packed.dq + first * shape.width,
            packed.turn + slot * tiles,
            packed.row_stride};
    }

    void pack(int64_t first_head, int64_t slot, int64_t tile) {
        const BackwardQueries<T> queries = queries_of(slot);
        tensors.pack_tile(queries, first_head + slot, tile);
        const KeyRange reached = tensors.reached_by(queries, tile);
        queries.turn[tile] = reached.begin / Scratch::KEYS;
        if (reached.begin >= reached.end) {
            const auto count = static_cast<size_t>(shape.rows_of(tile) * shape.width);
            std::memset(queries.dq + tile * QUERY_TILE * shape.width, 0, count * sizeof(float));
            tensors.write_dq(queries, first_head + slot, tile);
        }
    }

    void add_block(Scratch &own, int64_t first_head, int64_t slot, int64_t number) {
        const KeyRange block{number * Scratch::KEYS, smaller(shape.keys, (number + 1) * Scratch::KEYS)};
        const BackwardQueries<T> queries = queries_of(slot);
        tensors.load_block(own, first_head + slot, block);
        for (int64_t tile = tiles - 1; tile >= 0; --tile) {
            const KeyRange reached = tensors.reached_by(queries, tile);
            if (reached.begin >= block.end || reached.end <= block.begin) {
                continue;
            }
            BackwardTile<T> work(own, queries, shape, block, tile);
            work.score();
            work.add_dv();
            work.add_dk();
            await_turn(queries.turn[tile], number);
            work.add_dq(number == reached.begin / Scratch::KEYS);
            if (reached.end <= block.end) {
                tensors.write_dq(queries, first_head + slot, tile);
            }
            pass_turn(queries.turn[tile], number + 1);
        }
        tensors.write_block(own, first_head + slot, block);
    }

    const tsp_attention_args &args;
    Workspace workspace;
    int32_t *const order;
    const BackwardTensors<T> tensors;
    const BackwardShape &shape;
    const int64_t tiles;
    const int64_t blocks;
    const int64_t heads; /* key/value heads of all sequences: sequence * K + head */
    const int64_t slots; /* heads in work at a time */
    const int32_t threads;
    BackwardQueries<T> packed{}; /* of all slots */
    Scratch *scratch = nullptr;
};

/* Calls body with the computation for the dtype of args. */
template <class Body>
auto with_attention_backward(const tsp_attention_backward_args &args, int32_t threads, void *memory, const Body &body) {
    if (args.forward.q.dtype == TSP_BF16) {
        AttentionBackward<bf16> attention(args, threads, memory);
        return body(attention);
    }
    AttentionBackward<float> attention(args, threads, memory);
    return body(attention);
}

} // namespace

tsp_status attention_backward(const void *raw_args, const tsp_launch *raw_launch, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_attention_backward_args>(raw_args);
        const auto launch = read_launch(raw_launch);
        check_attention_backward(args);
        check_attention_backward_data(args);
        with_attention_backward(args, launch.threads, launch.workspace, [&](auto &attention) {
            require_workspace(launch, attention.workspace_bytes());
            attention.run();
        });
    });
}

int64_t attention_backward_workspace(const void *raw_args, const tsp_launch *raw_launch) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_attention_backward_args>(raw_args);
        const auto launch = read_launch(raw_launch);
        check_attention_backward(args);
        return with_attention_backward(
            args, launch.threads, nullptr, [](const auto &attention) { return attention.workspace_bytes(); });
    });
}

} // namespace tsp::TSP_ISA
