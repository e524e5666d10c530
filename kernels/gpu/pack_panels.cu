/*
 * Weight matrices in the panel layout of GPUs: rows of K elements, as Hugging Face has them, in which tensor cores read a
 * matrix that right-multiplies. A panel is 64 rows; those of gate and up alternate by 8, the columns of the smallest product,
 * so that both pre-activations of a feature come to one thread. A block takes a row.
 */
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "partial.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
constexpr int STEP = 8;
/* Packed rows that are from one source before they are from the other. */
constexpr int64_t INTERLEAVED = 8;

struct Plan {
    int64_t packed_rows;
    int64_t rows; /* of each source */
    int64_t columns;
    int64_t depth; /* columns, padded */
    int64_t source_stride;
    int64_t second_stride;
    bool gate_up;
};

template <bool ALIGNED, class Panel, class Source>
__global__ void __launch_bounds__(THREADS)
pack_rows(Plan plan, const Source *__restrict__ source, const Source *__restrict__ second, Panel *__restrict__ panels) {
    for (int64_t packed = blockIdx.x; packed < plan.packed_rows; packed += gridDim.x) {
        const int64_t group = packed / (2 * INTERLEAVED);
        const bool from_second = plan.gate_up && packed % (2 * INTERLEAVED) >= INTERLEAVED;
        const int64_t row = plan.gate_up ? group * INTERLEAVED + packed % INTERLEAVED : packed;
        const Source *from = from_second ? second + row * plan.second_stride : source + row * plan.source_stride;
        const int64_t count = row < plan.rows ? plan.columns : 0;
        Panel *to = panels + packed * plan.depth;
#pragma unroll 2
        for (int64_t column = threadIdx.x * STEP; column < plan.depth; column += THREADS * STEP) {
            float values[STEP];
            load_some<STEP, ALIGNED>(from + column, count - column, 0.0f, values);
            store_some<STEP, ALIGNED>(to + column, plan.depth - column, values);
        }
    }
}

template <class Panel, class Source>
void pack_all(const tsp_pack_args &args, const PackPlan &panels, const tsp_launch &where) {
    const bool gate_up = args.layout == TSP_PANELS_GATE_UP;
    const Plan plan{
        panels.panels * TSP_PANEL,
        panels.rows,
        panels.columns,
        panels.depth,
        args.source.strides[0],
        gate_up ? args.second.strides[0] : 0,
        gate_up};
    Panel *target = static_cast<Panel *>(args.panels.data) + args.first_panel * TSP_PANEL * panels.depth;
    const bool aligned = has_vector_rows(args.source) && (!gate_up || has_vector_rows(args.second))
        && is_vector(args.panels.data) && panels.depth % VECTOR<Panel> == 0;
    launch(
        "pack_panels",
        aligned ? pack_rows<true, Panel, Source> : pack_rows<false, Panel, Source>,
        Grid{blocks_for(plan.depth == 0 ? 0 : plan.packed_rows), THREADS},
        stream_of(where),
        plan,
        static_cast<const Source *>(args.source.data),
        static_cast<const Source *>(args.second.data),
        target);
}

} // namespace

tsp_status pack_panels(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_pack_args>(args_in);
        const auto where = read_launch(launch_in);
        const PackPlan plan = check(args);
        const bool from_bf16 = args.source.dtype == TSP_BF16;
        if (args.panels.dtype == TSP_BF16) {
            from_bf16 ? pack_all<bf16, bf16>(args, plan, where) : pack_all<bf16, float>(args, plan, where);
        } else {
            from_bf16 ? pack_all<float, bf16>(args, plan, where) : pack_all<float, float>(args, plan, where);
        }
    });
}

} // namespace tsp::gpu
