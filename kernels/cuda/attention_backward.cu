/*
 * Attention backward on mma.sync: the workspace and the kernels of a call, one after the other. The first one sums up
 * what there is to know of each query, the second one makes dK and dV, the third dQ.
 *
 * Workspace: for each query, head and sequence 24 bytes, tiles of queries filled up.
 */
#include "attention_backward_f32.h"
#include "attention_backward_keys.h"
#include "attention_backward_queries.h"
#include "ops.h"

namespace tsp::gpu {
namespace {

BackwardRows cut_workspace(const AttentionTables &tables, Workspace &workspace) {
    BackwardRows rows{};
    rows.tiles = tables.tiles(BACKWARD_TILE);
    small(rows.count(), "the number of queries of a sequence times the heads of a group");
    const int64_t count = tables.heads * rows.count();
    rows.places = workspace.take<RowPlace>(count);
    rows.visible = workspace.take<KeySpan>(count);
    rows.terms = workspace.take<RowTerms>(count);
    rows.spans = workspace.take<RowSpans>(count / SPAN_ROWS);
    return rows;
}

bool has_pairs(const tsp_tensor &tensor) {
    return reinterpret_cast<uintptr_t>(tensor.data) % 8 == 0 && tensor.strides[0] % 2 == 0
        && tensor.strides[1] % 2 == 0;
}

template <class T>
class AttentionBackward {
public:
    AttentionBackward(const tsp_attention_backward_args &all, const tsp_launch &where)
        : stream(stream_of(where)),
          operands{
              heads_of<const T>(all.forward.q),
              heads_of<const T>(all.forward.k),
              heads_of<const T>(all.forward.v),
              heads_of<const T>(all.forward.out),
              heads_of<const T>(all.dout),
              heads_of<const float>(all.forward.lse),
              heads_of<T>(all.dq),
              heads_of<float>(all.dk),
              heads_of<float>(all.dv),
              {},
              0,
              0,
              0,
              (all.flags & TSP_ACCUMULATE) != 0,
              has_pairs(all.dk) && has_pairs(all.dv),
              attention_tables(all.forward)},
          aligned(
              has_vector_rows(all.forward.q) && has_vector_rows(all.forward.k) && has_vector_rows(all.forward.v)
              && has_vector_rows(all.forward.out) && has_vector_rows(all.dout) && has_vector_rows(all.dq)) {
        static_assert(sizeof operands <= 4096, "parameters of a kernel are at most 4 KB");
        Workspace workspace(where.workspace);
        operands.rows = cut_workspace(operands.tables, workspace);
        require_workspace(where, workspace.bytes());
        const auto row_bytes = static_cast<int64_t>(2 * sizeof(T)) * operands.tables.head_dim;
        operands.key_section = section_of(operands.rows.count(), row_bytes);
        operands.query_section = section_of(operands.tables.key_count, row_bytes);
    }

    void run();

private:
    int64_t heads() const {
        return operands.tables.heads;
    }

    void prepare() const {
        launch(
            "attention_backward",
            aligned ? prepare_rows<true, T> : prepare_rows<false, T>,
            {grid_of(heads() * operands.rows.tiles), BACKWARD_TILE},
            stream,
            operands);
    }

    template <class Keys, class Queries>
    void run_in_bf16() {
        operands.key_tiles = divide_up(operands.tables.key_count, Keys::KEYS);
        launch(
            "attention_backward",
            aligned ? differentiate_keys<Keys, true> : differentiate_keys<Keys, false>,
            {grid_of(heads() * operands.key_tiles), Keys::THREADS, sizeof(BackwardKeysShared<Keys>)},
            stream,
            operands);
        launch(
            "attention_backward",
            aligned ? differentiate_queries<Queries, true> : differentiate_queries<Queries, false>,
            {grid_of(heads() * operands.rows.count() / Queries::QUERIES),
             Queries::THREADS,
             sizeof(BackwardQueriesShared<Queries>)},
            stream,
            operands);
    }

    void run_in_f32() {
        const size_t bytes = PlainBackward::shared_bytes(operands.tables.head_dim);
        operands.key_tiles = divide_up(operands.tables.key_count, WARP);
        launch(
            "attention_backward",
            differentiate_plainly<true>,
            {grid_of(heads() * operands.key_tiles), PlainBackward::THREADS, bytes},
            stream,
            operands);
        launch(
            "attention_backward",
            differentiate_plainly<false>,
            {grid_of(heads() * operands.rows.count() / WARP), PlainBackward::THREADS, bytes},
            stream,
            operands);
    }

    cudaStream_t stream;
    BackwardOperands<T> operands;
    bool aligned;
};

template <>
void AttentionBackward<float>::run() {
    prepare();
    run_in_f32();
}

template <>
void AttentionBackward<bf16>::run() {
    prepare();
    if (operands.tables.head_dim <= 64) {
        run_in_bf16<BackwardKeysShape<64, 2, 4, 1, 64, 2>, BackwardQueriesShape<64, 2, 64, 2>>();
    } else if (operands.tables.head_dim <= 128) {
        run_in_bf16<BackwardKeysShape<128, 1, 8, 1, 64, 1>, BackwardQueriesShape<128, 2, 32, 2>>();
    } else {
        run_in_bf16<BackwardKeysShape<256, 1, 8, 2, 32, 1>, BackwardQueriesShape<256, 1, 32, 1>>();
    }
}

} // namespace

tsp_status attention_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_attention_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        check_attention_backward(args);
        check_attention_backward_data(args);
        if (args.forward.q.dtype == TSP_BF16) {
            AttentionBackward<bf16>(args, where).run();
        } else {
            AttentionBackward<float>(args, where).run();
        }
    });
}

int64_t attention_backward_workspace(const void *args_in, const tsp_launch *launch_in) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_attention_backward_args>(args_in);
        read_launch(launch_in);
        check_attention_backward(args);
        Workspace workspace(nullptr);
        cut_workspace(attention_tables(args.forward), workspace);
        return workspace.bytes();
    });
}

} // namespace tsp::gpu
