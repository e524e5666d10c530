/* Attention forward on sm_90a: what attention_sm90.h cannot do is done as on older GPUs. */
#include "attention_sm90.h"
#include "ops.h"
#include "ops_sm90.h"

namespace tsp::gpu {
namespace {

/* [token, head, d] with boxes of a panel's width, some heads and some tokens. A stride that nothing is multiplied with is
 * replaced by what the driver accepts. */
struct HeadBoxes {
    HeadBoxes(const tsp_tensor &tensor, uint32_t heads, uint32_t tokens)
        : dimensions{
              {tensor.shape[2], 1, PANEL_COLUMNS},
              {tensor.shape[1], tensor.shape[1] > 1 ? tensor.strides[1] : tensor.shape[2], heads},
              {tensor.shape[0],
               tensor.shape[0] > 1 ? tensor.strides[0] : tensor.shape[1] * tensor.shape[2],
               tokens}},
          tensor(tensor) {}

    bool possible() const {
        return can_map_tensor(tensor.data, tensor.dtype, {dimensions[0], dimensions[1], dimensions[2]});
    }

    TensorMap map(const char *name) const {
        return map_tensor(name, tensor.data, tensor.dtype, true, {dimensions[0], dimensions[1], dimensions[2]});
    }

    BoxedDimension dimensions[3];
    const tsp_tensor &tensor;
};

template <class Shape>
void attend_wide(const tsp_attention_args &args, cudaStream_t stream) {
    Sm90Operands operands{};
    operands.tables = attention_tables(args);
    const AttentionTables &tables = operands.tables;
    if (tables.heads == 0 || tables.query_chunks == 0) {
        return;
    }
    const bool packs = Shape::QUERIES % tables.group == 0;
    operands.pack = packs ? static_cast<int32_t>(tables.group) : 1;
    operands.head_packs = static_cast<int32_t>(args.q.shape[1]) / operands.pack;
    operands.heads = args.batch * operands.head_packs;
    operands.tiles = tile_count(tables.queries, tables.query_chunks, operands.pack, Shape::QUERIES);
    constexpr int64_t KEY_BYTES = 2 * 2 * Shape::HEAD_DIM;
    operands.section = section_of(tables.key_count, KEY_BYTES) * (packs ? 1 : tables.group);
    operands.out = heads_of<bf16>(args.out);
    operands.lse = heads_of<float>(args.lse);
    const auto pack = static_cast<uint32_t>(operands.pack);
    operands.q = HeadBoxes(args.q, pack, Shape::QUERIES / pack).map("q");
    operands.k = HeadBoxes(args.k, 1, Shape::KEYS).map("k");
    operands.v = HeadBoxes(args.v, 1, Shape::KEYS).map("v");
    static_assert(sizeof operands <= 4096, "parameters of a kernel are at most 4 KB");
    launch(
        "attention_forward",
        attend_sm90<Shape>,
        {grid_of(operands.heads * operands.tiles), Shape::THREADS, sizeof(Sm90Shared<Shape>)},
        stream,
        operands);
}

/* bf16, heads of 64 or 128, tensors that the copy engine can address, indices of 31 bits. */
bool is_wide(const tsp_attention_args &args) {
    const int64_t head_dim = args.q.shape[2];
    return args.q.dtype == TSP_BF16 && (head_dim == 64 || head_dim == 128) && has_vector_rows(args.out)
        && HeadBoxes(args.q, 1, 1).possible() && HeadBoxes(args.k, 1, 1).possible() && HeadBoxes(args.v, 1, 1).possible();
}

} // namespace

tsp_status attention_forward_sm90(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    bool wide = false;
    const tsp_status status = guard(error, [&] {
        const auto args = read_args<tsp_attention_args>(args_in);
        const auto where = read_launch(launch_in);
        check_attention(args);
        check_attention_data(args);
        wide = is_wide(args);
        if (wide && args.q.shape[2] == 64) {
            attend_wide<Sm90Shape<64, 3, 32, 160>>(args, stream_of(where));
        } else if (wide) {
            attend_wide<Sm90Shape<128, 2, 40, 232>>(args, stream_of(where));
        }
    });
    return wide || status != TSP_OK ? status : attention_forward(args_in, launch_in, error);
}

} // namespace tsp::gpu
