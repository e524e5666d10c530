/* Attention forward on mma.sync: which kernel serves a call. attention_forward.h does the arithmetic in bf16. */
#include "attention_forward.h"

#include "attention_forward_f32.h"
#include "ops.h"

namespace tsp::gpu {
namespace {

template <class T>
ForwardOperands<T> operands_of(const tsp_attention_args &args, int64_t tile_rows) {
    ForwardOperands<T> operands{
        heads_of<const T>(args.q),
        heads_of<const T>(args.k),
        heads_of<const T>(args.v),
        heads_of<T>(args.out),
        heads_of<float>(args.lse),
        0,
        0,
        attention_tables(args)};
    static_assert(sizeof operands <= 4096, "parameters of a kernel are at most 4 KB");
    operands.tiles = operands.tables.tiles(tile_rows);
    const auto row_bytes = static_cast<int64_t>(2 * sizeof(T)) * operands.tables.head_dim;
    operands.section = section_of(operands.tables.key_count, row_bytes);
    return operands;
}

template <class Shape>
void attend_in_bf16(const tsp_attention_args &args, cudaStream_t stream) {
    const auto operands = operands_of<bf16>(args, Shape::QUERIES);
    const bool aligned =
        has_vector_rows(args.q) && has_vector_rows(args.k) && has_vector_rows(args.v) && has_vector_rows(args.out);
    launch(
        "attention_forward",
        aligned ? attend<Shape, true> : attend<Shape, false>,
        {grid_of(operands.tables.heads * operands.tiles), Shape::THREADS, sizeof(ForwardShared<Shape>)},
        stream,
        operands);
}

void attend_in_f32(const tsp_attention_args &args, cudaStream_t stream) {
    const auto operands = operands_of<float>(args, PlainForward::QUERIES);
    launch(
        "attention_forward",
        attend_plainly,
        {grid_of(operands.tables.heads * operands.tiles),
         PlainForward::THREADS,
         PlainForward::shared_bytes(operands.tables.head_dim)},
        stream,
        operands);
}

} // namespace

tsp_status attention_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_attention_args>(args_in);
        const auto where = read_launch(launch_in);
        check_attention(args);
        check_attention_data(args);
        const int64_t head_dim = args.q.shape[2];
        if (args.q.dtype == TSP_F32) {
            attend_in_f32(args, stream_of(where));
        } else if (head_dim <= 64) {
            attend_in_bf16<ForwardShape<64, 2, 64, 2>>(args, stream_of(where));
        } else if (head_dim <= 128) {
            attend_in_bf16<ForwardShape<128, 2, 64, 2>>(args, stream_of(where));
        } else {
            attend_in_bf16<ForwardShape<256, 1, 32, 1>>(args, stream_of(where));
        }
    });
}

int64_t attention_forward_workspace(const void *, const tsp_launch *) noexcept {
    return 0;
}

} // namespace tsp::gpu
