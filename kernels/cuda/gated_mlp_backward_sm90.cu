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
    WideMatrix dy;
    WideMatrix down;
    WideMatrix dgate;
    WideMatrix dup;
    WideMatrix gate; /* every other group of lines of gate_up */
    WideMatrix up;
    int64_t gate_up_groups; /* elements from a group of gates to the next one */

    explicit Operands(const tsp_gated_mlp_backward_args &args)
        : dy(wide_matrix("dy", args.dy)),
          down{"down", args.down.data, args.intermediate, dy.columns, args.intermediate},
          dgate(wide_matrix("dgate", args.dgate)),
          dup(wide_matrix("dup", args.dup)),
          gate{"gate_up", args.gate_up.data, round_up(dy.columns, 2), args.intermediate, dy.columns},
          up(gate),
          gate_up_groups(2 * GROUP * gate.stride) {
        up.data = static_cast<const bf16 *>(gate.data) + GROUP * gate.stride;
    }

    bool wide() const {
        return is_wide(dy) && is_wide(down) && is_wide(dgate) && is_wide(dup) && is_wide(gate) && is_wide(up);
    }
};

void hidden_gradients(const tsp_gated_mlp_backward_args &args, const Operands &all, cudaStream_t stream) {
    WideOperands operands{};
    operands.a[0] = map_along_depth(all.dy, Wide::ROWS);
    operands.b[0] = map_across_depth(all.down, GROUP * all.down.stride);
    set_shape(operands, all.dy.rows, args.intermediate, all.dy.columns, 0);
    const StoreGradients<bf16> store{groups<bf16>(args.hidden), groups<bf16>(args.dgate), groups<bf16>(args.dup)};
    launch_wide<Major::MN>(
        "gated_mlp_backward, hidden",
        operands,
        DifferentiateSaved<bf16>{groups<const bf16>(args.saved), store},
        stream);
}

void input_gradient(const tsp_gated_mlp_backward_args &args, const Operands &all, cudaStream_t stream) {
    WideOperands operands{};
    operands.a[0] = map_along_depth(all.dgate, Wide::ROWS);
    operands.a[1] = map_along_depth(all.dup, Wide::ROWS);
    operands.b[0] = map_across_depth(all.gate, all.gate_up_groups);
    operands.b[1] = map_across_depth(all.up, all.gate_up_groups);
    set_shape(operands, all.dy.rows, all.dy.columns, args.intermediate, args.intermediate);
    launch_wide<Major::MN>(
        "gated_mlp_backward, dx", operands, output(args.dx, (args.flags & TSP_ACCUMULATE) != 0), stream);
}

} // namespace

tsp_status gated_mlp_backward_sm90(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        const cudaStream_t stream = stream_of(where);
        check(args);
        const Operands all(args);
        const bool wide = args.x.dtype == TSP_BF16 && all.wide();
        if (wide && args.saved.data != nullptr) {
            hidden_gradients(args, all, stream);
        } else {
            gated_mlp_hidden_gradients(args, stream);
        }
        wide ? input_gradient(args, all, stream) : gated_mlp_input_gradient(args, stream);
    });
}

} // namespace tsp::gpu
