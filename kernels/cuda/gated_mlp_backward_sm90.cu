/*
 * Gated MLP backward on sm_90a, by multiply_wide where the copy engine can read the operands. Weights are read as they are
 * packed for forward, with lines that run across the depth. Rows of gates and ups come in turn by eight: dx is the sum of a
 * product with the gates' rows and one with the ups', each seen by the copy engine as groups of eight lines.
 */
#include "checks.h"
#include "gated_mlp.h"
#include "gated_mlp_parts.h"
#include "gemm_sm90.h"
#include "ops.h"
#include "ops_sm90.h"

namespace tsp::gpu {
namespace {

using namespace gemm;

static_assert(Wide::LINES == GROUP, "gates and ups come in turn by as many rows as a box has lines together");

struct Operands {
    WideMatrix x;
    WideMatrix dy;
    WideMatrix down;
    WideMatrix gate_up;
    WideMatrix dgate;
    WideMatrix dup;
    WideMatrix gate; /* every other group of lines of gate_up */
    WideMatrix up;
    int64_t gate_up_groups; /* elements from a group of gates to the next one */

    explicit Operands(const tsp_gated_mlp_backward_args &args)
        : x(wide_matrix("x", args.x)),
          dy(wide_matrix("dy", args.dy)),
          down{"down", args.down.data, args.intermediate, dy.columns, args.intermediate},
          gate_up{"gate_up", args.gate_up.data, round_up(dy.columns, 2), 2 * args.intermediate, dy.columns},
          dgate(wide_matrix("dgate", args.dgate)),
          dup(wide_matrix("dup", args.dup)),
          gate{"gate_up", args.gate_up.data, gate_up.stride, args.intermediate, dy.columns},
          up(gate),
          gate_up_groups(2 * GROUP * gate.stride) {
        up.data = static_cast<const bf16 *>(gate.data) + GROUP * gate.stride;
    }

    bool wide() const {
        return is_wide(x) && is_wide(dy) && is_wide(down) && is_wide(dgate) && is_wide(dup) && is_wide(gate)
            && is_wide(up);
    }
};

/* Epilogue of two products: the pre-activations of 128 features, recomputed, and their dhidden. */
__global__ void __launch_bounds__(Wide::THREADS, 1) differentiate_wide(
    const __grid_constant__ WideOperands operands, const __grid_constant__ StoreGradients<bf16> store) {
#if TSP_SM_90A
    constexpr int FEATURES = Wide::COLUMNS / 2;
    auto &shared = *shared_memory<Wide::Shared>();
    const auto produce_all = [&] {
        RingPosition position;
        for_each_tile(operands, [&](int32_t row, int32_t column) {
            produce<Major::K, Wide::COLUMNS>(operands, 0, shared, position, row, column);
            produce<Major::MN, FEATURES>(operands, 1, shared, position, row, column / 2);
        });
    };
    const auto consume_all = [&](int first_row) {
        RingPosition position;
        for_each_tile(operands, [&](int32_t row, int32_t column) {
            float pre_sums[Wide::COLUMNS / 2];
            float sums[FEATURES / 2];
            multiply_steps<Major::K>(pre_sums, operands.steps[0], shared, position, first_row);
            multiply_steps<Major::MN>(sums, operands.steps[1], shared, position, first_row);
            constexpr int COUNT = 4;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
#pragma unroll
                for (int first = 0; first < FEATURES / GROUP; first += COUNT) {
                    float pre[2 * COUNT][2];
                    float dhidden[COUNT][2];
                    take_groups(pre, pre_sums, 2 * first, half);
                    take_groups(dhidden, sums, first, half);
                    store(
                        int64_t{row} + first_row + first_row_of_thread() + 8 * half,
                        int64_t{column / 2} + first * GROUP,
                        pre,
                        dhidden);
                }
            }
        });
    };
    run_warpgroups(shared, produce_all, consume_all);
#endif
}

void hidden_gradients(const tsp_gated_mlp_backward_args &args, const Operands &all, cudaStream_t stream) {
    constexpr const char *NAME = "gated_mlp_backward, hidden";
    const StoreGradients<bf16> store{groups<bf16>(args.hidden), groups<bf16>(args.dgate), groups<bf16>(args.dup)};
    const TensorMap dy = map_along_depth(all.dy, Wide::ROWS);
    const TensorMap down = map_across_depth(all.down, GROUP * all.down.stride);
    const int64_t rows = all.dy.rows;
    const int64_t columns = all.dy.columns;
    WideOperands operands{};
    if (args.saved.data != nullptr) {
        operands.a[0] = dy;
        operands.b[0] = down;
        set_shape(operands, rows, args.intermediate, columns, 0);
        const DifferentiateSaved<bf16> epilogue{groups<const bf16>(args.saved), store};
        launch_wide(NAME, multiply_wide<Major::MN, DifferentiateSaved<bf16>>, operands, epilogue, stream);
        return;
    }
    operands.a[0] = map_along_depth(all.x, Wide::ROWS);
    operands.b[0] = map_along_depth(all.gate_up, Wide::COLUMNS);
    operands.a[1] = dy;
    operands.b[1] = down;
    set_shape(operands, rows, 2 * args.intermediate, columns, columns);
    launch_wide(NAME, differentiate_wide, operands, store, stream);
}

void input_gradient(const tsp_gated_mlp_backward_args &args, const Operands &all, cudaStream_t stream) {
    WideOperands operands{};
    operands.a[0] = map_along_depth(all.dgate, Wide::ROWS);
    operands.a[1] = map_along_depth(all.dup, Wide::ROWS);
    operands.b[0] = map_across_depth(all.gate, all.gate_up_groups);
    operands.b[1] = map_across_depth(all.up, all.gate_up_groups);
    set_shape(operands, all.dy.rows, all.dy.columns, args.intermediate, args.intermediate);
    launch_wide(
        "gated_mlp_backward, dx",
        multiply_wide<Major::MN, Output>,
        operands,
        output(args.dx, (args.flags & TSP_ACCUMULATE) != 0),
        stream);
}

} // namespace

tsp_status gated_mlp_backward_sm90(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        const cudaStream_t stream = stream_of(where);
        check(args);
        const Operands all(args);
        if (args.x.dtype == TSP_BF16 && all.wide()) {
            hidden_gradients(args, all, stream);
            input_gradient(args, all, stream);
        } else {
            gated_mlp_hidden_gradients(args, stream);
            gated_mlp_input_gradient(args, stream);
        }
    });
}

} // namespace tsp::gpu
