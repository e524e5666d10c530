/* Rows of an embedding table, by token id. A block copies a row. */
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "vector.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;

struct Operands {
    const int32_t *ids;
    int64_t table_stride;
    int64_t out_stride;
    int64_t tokens;
    int64_t columns;
    int64_t vocab;
    int64_t vocab_start;
    bool keep;
};

/* Element: a word of the elements' size, whatever they mean. */
template <bool ALIGNED, class Element>
__global__ void __launch_bounds__(THREADS)
gather(Operands args, const Element *__restrict__ table, Element *__restrict__ out) {
    constexpr int STEP = VECTOR<Element>;
    for (int64_t token = blockIdx.x; token < args.tokens; token += gridDim.x) {
        const int64_t row = args.ids[token] - args.vocab_start;
        const bool inside = row >= 0 && row < args.vocab;
        if (!inside && args.keep) {
            continue;
        }
        const Element *source = table + (inside ? row : 0) * args.table_stride;
        Element *target = out + token * args.out_stride;
        const int64_t vectors = ALIGNED ? args.columns / STEP : 0;
#pragma unroll 4
        for (int64_t i = threadIdx.x; i < vectors; i += THREADS) {
            reinterpret_cast<uint4 *>(target)[i] =
                inside ? reinterpret_cast<const uint4 *>(source)[i] : make_uint4(0, 0, 0, 0);
        }
        for (int64_t i = vectors * STEP + threadIdx.x; i < args.columns; i += THREADS) {
            target[i] = inside ? source[i] : Element{0};
        }
    }
}

template <class Element>
void gather_all(const tsp_embedding_args &args, const tsp_launch &where) {
    const Operands operands{
        static_cast<const int32_t *>(args.ids.data),
        args.table.strides[0],
        args.out.strides[0],
        args.ids.shape[0],
        args.table.shape[1],
        args.table.shape[0],
        args.vocab_start,
        (args.flags & TSP_KEEP_OUT_OF_RANGE) != 0};
    const bool aligned = has_vector_rows(args.table) && has_vector_rows(args.out);
    const Grid grid{blocks_for(operands.columns == 0 ? 0 : operands.tokens), THREADS};
    launch(
        "embedding_forward",
        aligned ? gather<true, Element> : gather<false, Element>,
        grid,
        stream_of(where),
        operands,
        static_cast<const Element *>(args.table.data),
        static_cast<Element *>(args.out.data));
}

} // namespace

tsp_status embedding_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_embedding_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        if (args.table.dtype == TSP_BF16) {
            gather_all<uint16_t>(args, where);
        } else {
            gather_all<uint32_t>(args, where);
        }
    });
}

} // namespace tsp::gpu
