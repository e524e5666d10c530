/*
 * Gated MLP backward without the gradients of the weights: the pre-activations once more, then both products against
 * the transposes of the panels that forward reads.
 *
 * Letters: T token rows, h hidden size, f intermediate features (a multiple of 32).
 *
 *   for each block of rows           x, dy and the gradient of the pre-activations stay in the last-level cache
 *     for each 64 features
 *       pre = x [gate | up]          two panels, unless forward saved what it got
 *       dhidden = dy down^T          one panel of the transpose
 *       hidden, dgate, dup           are written, the gradients also to the block, in the order of pre
 *     for each 64 columns of dx
 *       dx (+)= [dgate | dup] [gate | up]^T
 *
 * Panels are transposed a slice at a time, and each transposed slice meets all rows of the block.
 */
#include "checks.h"
#include "gated_mlp.h"
#include "kernel.h"
#include "ops.h"
#include "panel_transpose.h"

namespace tsp::TSP_ISA {
namespace {

using Args = tsp_gated_mlp_backward_args;

/* Element [row, column]. */
template <class T>
TSP_INLINE T *element(const tsp_tensor &tensor, int64_t row, int64_t column) {
    return static_cast<T *>(tensor.data) + row * tensor.strides[0] + column;
}

template <class T>
struct Backward {
    /* What one thread writes: a transposed slice, and sums [block_rows, 64] of two panels of pre and of dhidden. */
    struct Own {
        T *slice;
        float *pre[2];
        float *sums;
    };

    /* Rows first .. first + count - 1 of the block that starts at row block of x. */
    struct Part {
        int64_t block;
        int64_t first;
        int64_t count;
    };

    struct Gradients {
        Vec hidden;
        Vec dgate;
        Vec dup;
    };

    Backward(const Args &args, const MlpShape &shape, int32_t threads, void *memory)
        : args(args),
          shape(shape),
          recompute(args.saved.data == nullptr),
          x_stride(shape.left_stride(shape.depth)),
          dpre_stride(shape.left_stride(2 * shape.features)),
          workspace(memory),
          x(workspace.take<Left<T>>(recompute ? shape.block_rows * x_stride : 0)),
          dy(workspace.take<Left<T>>(shape.block_rows * x_stride)),
          dpre(workspace.take<Left<T>>(shape.block_rows * dpre_stride)),
          slices(workspace.take<T>(threads * SLICE_COUNT)),
          sums(workspace.take<float>(threads * 3 * shape.sums_count())) {}

    int64_t workspace_bytes() const {
        return workspace.bytes();
    }

    void run(int32_t threads) const {
        parallel(threads, [&](int64_t thread, int64_t team) {
            float *own_sums = sums + thread * 3 * shape.sums_count();
            const Own own{
                slices + thread * SLICE_COUNT,
                {own_sums, own_sums + shape.sums_count()},
                own_sums + 2 * shape.sums_count()};
            for (int64_t block = 0; block < shape.rows; block += shape.block_rows) {
                const int64_t left = shape.rows - block;
                const int64_t rows = left < shape.block_rows ? left : shape.block_rows;
                share_tasks(rows, [&](int64_t row) {
                    if (recompute) {
                        copy_left<T>(args.x, block + row, shape.depth, x + row * x_stride);
                    }
                    copy_left<T>(args.dy, block + row, shape.depth, dy + row * x_stride);
                });
                share_panels(team, rows, ceil_div(shape.features, PANEL), [&](int64_t i, int64_t row, int64_t count) {
                    hidden_gradients(i, i + team, {block, row, count}, own);
                });
                share_panels(team, rows, ceil_div(shape.columns, PANEL), [&](int64_t i, int64_t row, int64_t count) {
                    input_gradient(i, i + team, {block, row, count}, own);
                });
            }
        });
    }

private:
    static constexpr int64_t SLICE_COUNT = SLICE<T> * PANEL;

    /* Features 64 panel .. 64 panel + 63, or as many as there are: one or two panels of gate and up. */
    void hidden_gradients(int64_t panel, int64_t next, const Part &part, const Own &own) const {
        const int64_t first = 2 * panel;
        const int64_t last = first + 2 < shape.features / FEATURES ? first + 2 : shape.features / FEATURES;
        for (int64_t i = first; recompute && i < last; ++i) {
            const PackedPanel<T> weights{static_cast<const T *>(args.gate_up.data) + i * shape.depth * PANEL};
            float *sums = own.pre[i - first];
            multiply_panel<T>(
                x + part.first * x_stride, x_stride, part.count, shape.depth, weights, sums, [](int64_t) {});
        }
        const TransposedPanel<T> weights{
            .matrix = static_cast<const T *>(args.down.data),
            .matrix_depth = shape.features,
            .depth = shape.depth,
            .panel = panel,
            .next_panel = next,
            .slice = own.slice,
        };
        const Left<T> *a = dy + part.first * x_stride;
        multiply_panel<T>(a, x_stride, part.count, shape.depth, weights, own.sums, [&](int64_t row) {
            for (int64_t i = first; i < last; ++i) {
                const float *dhidden = own.sums + row * PANEL + (i - first) * FEATURES;
                if (recompute) {
                    differentiate(own.pre[i - first] + row * PANEL, dhidden, part, row, i);
                } else {
                    const int64_t at = part.block + part.first + row;
                    differentiate(element<const T>(args.saved, at, i * PANEL), dhidden, part, row, i);
                }
            }
        });
    }

    /* One row of the features of one panel of gate and up. */
    template <class Pre>
    void differentiate(const Pre *pre, const float *dhidden, const Part &part, int64_t row, int64_t panel) const {
        const int64_t at = part.block + part.first + row;
        T *const hidden = element<T>(args.hidden, at, panel * FEATURES);
        T *const dgate = element<T>(args.dgate, at, panel * FEATURES);
        T *const dup = element<T>(args.dup, at, panel * FEATURES);
        Left<T> *const copy = dpre + (part.first + row) * dpre_stride + panel * PANEL;
        for (int64_t j = 0; j < FEATURES; j += 2 * WIDTH) {
            const Gradients lower = gradients_of(load(pre + j), load(pre + FEATURES + j), load(dhidden + j));
            const Gradients upper =
                gradients_of(load(pre + j + WIDTH), load(pre + FEATURES + j + WIDTH), load(dhidden + j + WIDTH));
            store2(hidden + j, lower.hidden, upper.hidden);
            store2(dgate + j, lower.dgate, upper.dgate);
            store2(dup + j, lower.dup, upper.dup);
            store_left<T>(copy + j, lower.dgate, upper.dgate);
            store_left<T>(copy + FEATURES + j, lower.dup, upper.dup);
        }
        /* What the next rows will write, and read, arrives while they are multiplied. */
        __builtin_prefetch(hidden + TILE_ROWS * args.hidden.strides[0], 1);
        __builtin_prefetch(dgate + TILE_ROWS * args.dgate.strides[0], 1);
        __builtin_prefetch(dup + TILE_ROWS * args.dup.strides[0], 1);
        __builtin_prefetch(copy + TILE_ROWS * dpre_stride, 1);
        if (!recompute) {
            __builtin_prefetch(pre + TILE_ROWS * args.saved.strides[0]);
            __builtin_prefetch(pre + TILE_ROWS * args.saved.strides[0] + FEATURES);
        }
    }

    TSP_INLINE static Gradients gradients_of(Vec gate, Vec up, Vec dhidden) {
        const Vec exponential = exp_minus<T>(gate);
        const Vec sigmoid = broadcast(1.0f) / (broadcast(1.0f) + exponential);
        /* 1 - sigmoid without cancellation. An infinite exponential makes the product NaN, and then it is 1. */
        const Vec rest = min(exponential * sigmoid, broadcast(1.0f));
        const Vec slope = sigmoid * (broadcast(1.0f) + gate * rest);
        const Vec activation = silu(gate, exponential);
        return {activation * up, dhidden * up * slope, dhidden * activation};
    }

    void input_gradient(int64_t panel, int64_t next, const Part &part, const Own &own) const {
        const TransposedPanel<T> weights{
            .matrix = static_cast<const T *>(args.gate_up.data),
            .matrix_depth = shape.depth,
            .depth = 2 * shape.features,
            .panel = panel,
            .next_panel = next,
            .slice = own.slice,
        };
        const Left<T> *a = dpre + part.first * dpre_stride;
        const bool accumulate = (args.flags & TSP_ACCUMULATE) != 0;
        multiply_panel<T>(a, dpre_stride, part.count, 2 * shape.features, weights, own.sums, [&](int64_t row) {
            store_sums(own.sums + row * PANEL, args.dx, part.block + part.first + row, panel, accumulate);
        });
    }

    const Args &args;
    const MlpShape &shape;
    const bool recompute;
    const int64_t x_stride; /* of dy too */
    const int64_t dpre_stride;
    Workspace workspace;
    Left<T> *const x;    /* [block_rows, h] */
    Left<T> *const dy;   /* [block_rows, h] */
    Left<T> *const dpre; /* [block_rows, 2 f], in the order of the panels of gate and up */
    T *const slices;     /* [threads, SLICE, 64] */
    float *const sums;   /* [threads, 3, block_rows, 64] */
};

/* Calls body with the computation for the dtype of args. */
template <class Body>
auto with_backward(const Args &args, const MlpShape &shape, int32_t threads, void *memory, const Body &body) {
    if (args.x.dtype == TSP_BF16) {
        return body(Backward<bf16>(args, shape, threads, memory));
    }
    return body(Backward<float>(args, shape, threads, memory));
}

} // namespace

tsp_status gated_mlp_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<Args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        const MlpShape shape = make_shape(args.x, args.intermediate);
        with_backward(args, shape, launch.threads, launch.workspace, [&](const auto &backward) {
            require_workspace(launch, backward.workspace_bytes());
            if (shape.rows > 0) {
                backward.run(shape.worthwhile_threads(launch.threads));
            }
        });
    });
}

int64_t gated_mlp_backward_workspace(const void *args_in, const tsp_launch *launch_in) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<Args>(args_in);
        const auto launch = read_launch(launch_in);
        check_shapes(args);
        const MlpShape shape = make_shape(args.x, args.intermediate);
        return with_backward(
            args, shape, launch.threads, nullptr, [](const auto &backward) { return backward.workspace_bytes(); });
    });
}

} // namespace tsp::TSP_ISA
