/*
 * Gated MLP forward: panels of gate and up stream past a block of rows of X, then panels of down past the hidden block.
 *
 * Letters: T token rows, h hidden size, f intermediate features (a multiple of 32).
 *
 *   for each block of rows           x and the hidden activation of the block stay in the last-level cache
 *     for each panel of gate | up    64 columns: 32 gates, then the ups of the same features
 *       hidden[:, 32 features] = silu(x gate) * (x up)
 *     for each panel of down         64 columns of y
 *       y[:, 64 columns] (+)= hidden down
 */
#include "checks.h"
#include "gated_mlp.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

struct Plan {
    MlpShape shape;
    int64_t x_stride;
    int64_t hidden_stride;

    int64_t x_bytes() const {
        return shape.block_rows * x_stride * shape.left_bytes;
    }

    int64_t hidden_bytes() const {
        return shape.block_rows * hidden_stride * shape.left_bytes;
    }

    int64_t workspace_bytes(int32_t threads) const {
        return x_bytes() + hidden_bytes() + threads * shape.sums_count() * static_cast<int64_t>(sizeof(float));
    }
};

Plan make_plan(const tsp_gated_mlp_args &args) {
    const MlpShape shape = make_shape(args.x, args.intermediate);
    return {shape, shape.left_stride(shape.depth), shape.left_stride(shape.features)};
}

template <class T>
struct Forward {
    const tsp_gated_mlp_args &args;
    const Plan &plan;
    const MlpShape &shape;
    Left<T> *x;
    Left<T> *hidden;
    float *sums; /* [threads, block_rows, 64] */

    Forward(const tsp_gated_mlp_args &args, const Plan &plan, void *workspace)
        : args(args),
          plan(plan),
          shape(plan.shape),
          x(static_cast<Left<T> *>(workspace)),
          hidden(reinterpret_cast<Left<T> *>(static_cast<char *>(workspace) + plan.x_bytes())),
          sums(reinterpret_cast<float *>(static_cast<char *>(workspace) + plan.x_bytes() + plan.hidden_bytes())) {}

    void run(int32_t threads) const {
        parallel(threads, [&](int64_t thread, int64_t team) {
            float *own_sums = sums + thread * shape.sums_count();
            for (int64_t first = 0; first < shape.rows; first += shape.block_rows) {
                const int64_t left = shape.rows - first;
                const int64_t rows = left < shape.block_rows ? left : shape.block_rows;
                share_tasks(rows, [&](int64_t row) {
                    copy_left<T>(args.x, first + row, shape.depth, x + row * plan.x_stride);
                });
                share_panels(team, rows, shape.features / FEATURES, [&](int64_t panel, int64_t row, int64_t count) {
                    gate_and_up(panel, first, row, count, own_sums);
                });
                share_panels(
                    team, rows, ceil_div(shape.columns, PANEL), [&](int64_t panel, int64_t row, int64_t count) {
                        down(panel, first, row, count, own_sums);
                    });
            }
        });
    }

    void gate_and_up(int64_t panel, int64_t block, int64_t first, int64_t rows, float *own_sums) const {
        const PackedPanel<T> weights{static_cast<const T *>(args.gate_up.data) + panel * shape.depth * PANEL};
        const Left<T> *a = x + first * plan.x_stride;
        multiply_panel<T>(a, plan.x_stride, rows, shape.depth, weights, own_sums, [&](int64_t row) {
            const float *gate = own_sums + row * PANEL;
            const float *up = gate + FEATURES;
            Left<T> *target = hidden + (first + row) * plan.hidden_stride + panel * FEATURES;
            for (int64_t j = 0; j < FEATURES; j += 2 * WIDTH) {
                const Vec lower = silu_product(load(gate + j), load(up + j));
                const Vec upper = silu_product(load(gate + j + WIDTH), load(up + j + WIDTH));
                store_left<T>(target + j, lower, upper);
            }
            if (args.saved.data != nullptr) {
                save(gate, block + first + row, panel);
            }
        });
    }

    TSP_INLINE static Vec silu_product(Vec gate, Vec up) {
        return silu(gate, exp_minus<T>(gate)) * up;
    }

    void save(const float *gate_and_up, int64_t row, int64_t panel) const {
        T *target = static_cast<T *>(args.saved.data) + row * args.saved.strides[0] + panel * PANEL;
        for (int64_t j = 0; j < PANEL; j += WIDTH) {
            store(target + j, load(gate_and_up + j));
        }
    }

    void down(int64_t panel, int64_t block, int64_t first, int64_t rows, float *own_sums) const {
        const PackedPanel<T> weights{static_cast<const T *>(args.down.data) + panel * shape.features * PANEL};
        const Left<T> *a = hidden + first * plan.hidden_stride;
        const bool accumulate = (args.flags & TSP_ACCUMULATE) != 0;
        multiply_panel<T>(a, plan.hidden_stride, rows, shape.features, weights, own_sums, [&](int64_t row) {
            store_sums(own_sums + row * PANEL, args.y, block + first + row, panel, accumulate);
        });
    }
};

} // namespace

tsp_status gated_mlp_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        const Plan plan = make_plan(args);
        require_workspace(launch, plan.workspace_bytes(launch.threads));
        if (plan.shape.rows == 0) {
            return;
        }
        const int32_t threads = plan.shape.worthwhile_threads(launch.threads);
        if (args.x.dtype == TSP_BF16) {
            Forward<bf16>(args, plan, launch.workspace).run(threads);
        } else {
            Forward<float>(args, plan, launch.workspace).run(threads);
        }
    });
}

int64_t gated_mlp_forward_workspace(const void *args_in, const tsp_launch *launch) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_gated_mlp_args>(args_in);
        check_shapes(args);
        return make_plan(args).workspace_bytes(read_launch(launch).threads);
    });
}

} // namespace tsp::TSP_ISA
