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
 *
 * A panel is cut along its depth into slices that fit the second-level cache, and each slice meets all rows of the block
 * before the next is read. Sums of slices are added up in ascending order: short sums lose less to rounding than one long
 * one, and neither the number of threads nor the number of rows changes a bit.
 */
#include <cinttypes>

#include "kernel.h"
#include "microkernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

constexpr int64_t FEATURES = PANEL / 2;
constexpr int64_t LINE_BYTES = 64;

/* 384 rows read a slice of weights 64 times from the second-level cache for each time it comes from memory. */
constexpr int64_t BLOCK_ROWS = 384;
static_assert(BLOCK_ROWS % TILE_ROWS == 0);

/* Below this many multiplications of each of the three products a team of threads costs more than it saves. */
constexpr int64_t TINY_PRODUCTS = 1 << 16;

/* A slice of a panel: 512 words deep, 128 KiB. */
template <class T>
constexpr int64_t SLICE = 512 * WORD<T>;

constexpr int64_t ceil_div(int64_t x, int64_t y) {
    return (x + y - 1) / y;
}

constexpr int64_t round_up(int64_t x, int64_t multiple) {
    return ceil_div(x, multiple) * multiple;
}

/* Elements between rows of a matrix in the workspace: an odd number of cache lines, since rows a power of two apart
 * would crowd into the same sets of a cache. */
int64_t row_stride(int64_t columns, int64_t element_bytes) {
    return (ceil_div(columns * element_bytes, LINE_BYTES) | 1) * LINE_BYTES / element_bytes;
}

struct Plan {
    int64_t rows;       /* T */
    int64_t columns;    /* h */
    int64_t depth;      /* h, padded as in the panels of gate and up */
    int64_t features;   /* f */
    int64_t block_rows; /* rows of the largest block */
    int64_t x_stride;
    int64_t hidden_stride;
    int64_t left_bytes; /* of an element of the copies of x and of the hidden activation */

    int64_t x_bytes() const {
        return block_rows * x_stride * left_bytes;
    }

    int64_t hidden_bytes() const {
        return block_rows * hidden_stride * left_bytes;
    }

    int64_t sums_bytes() const {
        return block_rows * PANEL * static_cast<int64_t>(sizeof(float));
    }

    int64_t workspace_bytes(int32_t threads) const {
        return x_bytes() + hidden_bytes() + threads * sums_bytes();
    }
};

Plan make_plan(const tsp_gated_mlp_args &args) {
    require_tensor(args.x, "x", 2, {TSP_F32, TSP_BF16});
    const tsp_dtype dtype = args.x.dtype;
    const int64_t rows = args.x.shape[0];
    const int64_t columns = args.x.shape[1];
    const int64_t features = args.intermediate;
    require(
        features >= 0 && features % FEATURES == 0,
        "intermediate is %" PRId64 ", a multiple of %" PRId64 " is needed",
        features,
        FEATURES);
    const int64_t depth = round_up(columns, 2);
    require_tensor(args.gate_up, "gate_up", 1, {dtype});
    require_shape(args.gate_up, "gate_up", {features / FEATURES * depth * PANEL});
    require_tensor(args.down, "down", 1, {dtype});
    require_shape(args.down, "down", {round_up(columns, PANEL) * features});
    require_tensor(args.y, "y", 2, {TSP_F32});
    require_shape(args.y, "y", {rows, columns});
    if (args.saved.data != nullptr) {
        require_tensor(args.saved, "saved", 2, {dtype});
        require_shape(args.saved, "saved", {rows, 2 * features});
    }
    require((args.flags & ~TSP_ACCUMULATE) == 0, "flags is %u, only TSP_ACCUMULATE is known", args.flags);
    const int64_t blocks = ceil_div(rows, BLOCK_ROWS);
    const int64_t left_bytes = dtype == TSP_BF16 ? sizeof(Left<bf16>) : sizeof(float);
    return {
        .rows = rows,
        .columns = columns,
        .depth = depth,
        .features = features,
        .block_rows = blocks == 0 ? 0 : round_up(ceil_div(rows, blocks), TILE_ROWS),
        .x_stride = row_stride(depth, left_bytes),
        .hidden_stride = row_stride(features, left_bytes),
        .left_bytes = left_bytes,
    };
}

/* sums [rows, 64] = a [rows, depth] times one panel. finish(row) is called for each row of sums when it is complete and
 * still in the first-level cache. */
template <class T, class Finish>
void multiply_panel(
    const Left<T> *a, int64_t a_stride, int64_t rows, const T *panel, int64_t depth, float *sums,
    const Finish &finish) {
    int64_t first = 0;
    do {
        const int64_t left = depth - first;
        const int64_t slice = left < SLICE<T> ? left : SLICE<T>;
        for (int64_t row = 0; row < rows; row += TILE_ROWS) {
            with_rows(rows - row, [&](auto tile_rows) {
                for (int64_t column = 0; column < PANEL; column += TILE_COLUMNS) {
                    float *target = sums + row * PANEL + column;
                    Vec tile[tile_rows][TILE_VECS];
                    clear(tile);
                    multiply(
                        tile, a + row * a_stride + first, a_stride, panel + first * PANEL + column * WORD<T>, slice);
                    if (first > 0) {
                        add_tile(tile, target, PANEL);
                    }
                    store_tile(tile, target, PANEL);
                }
                if (slice == left) {
                    for (int64_t i = 0; i < tile_rows; ++i) {
                        finish(row + i);
                    }
                }
            });
        }
        first += slice;
    } while (first < depth);
}

/* silu(gate) * up, silu(g) = g / (1 + e^-g). */
template <class T>
TSP_INLINE Vec silu_product(Vec gate, Vec up) {
    const Vec power = gate * broadcast(-1.44269504f);
    const Vec exponential = std::is_same_v<T, bf16> ? exp2_coarse(power) : exp2(power);
    return gate / (broadcast(1.0f) + exponential) * up;
}

template <class T>
struct Forward {
    const tsp_gated_mlp_args &args;
    const Plan &plan;
    Left<T> *x;
    Left<T> *hidden;
    float *sums; /* [threads, block_rows, 64] */

    Forward(const tsp_gated_mlp_args &args, const Plan &plan, void *workspace)
        : args(args),
          plan(plan),
          x(static_cast<Left<T> *>(workspace)),
          hidden(reinterpret_cast<Left<T> *>(static_cast<char *>(workspace) + plan.x_bytes())),
          sums(reinterpret_cast<float *>(static_cast<char *>(workspace) + plan.x_bytes() + plan.hidden_bytes())) {}

    void run(int32_t threads) const {
        parallel(threads, [&](int64_t thread, int64_t team) {
            float *own_sums = sums + thread * plan.block_rows * PANEL;
            for (int64_t first = 0; first < plan.rows; first += plan.block_rows) {
                const int64_t left = plan.rows - first;
                const int64_t rows = left < plan.block_rows ? left : plan.block_rows;
                share_tasks(rows, [&](int64_t row) { copy_row(first + row, x + row * plan.x_stride); });
                share_panels(team, rows, plan.features / FEATURES, [&](int64_t panel, int64_t row, int64_t count) {
                    gate_and_up(panel, first, row, count, own_sums);
                });
                share_panels(team, rows, ceil_div(plan.columns, PANEL), [&](int64_t panel, int64_t row, int64_t count) {
                    down(panel, first, row, count, own_sums);
                });
            }
        });
    }

    /* A task is one panel and all rows of the block; where that is too few tasks, a part of the rows. */
    template <class Body>
    static void share_panels(int64_t team, int64_t rows, int64_t panels, const Body &body) {
        if (panels == 0) {
            return;
        }
        const int64_t parts_wanted = team == 1 ? 1 : ceil_div(4 * team, panels);
        const int64_t part_rows = round_up(ceil_div(rows, parts_wanted), TILE_ROWS);
        const int64_t parts = ceil_div(rows, part_rows);
        share_tasks(panels * parts, [&](int64_t task) {
            const int64_t row = task % parts * part_rows;
            body(task / parts, row, rows - row < part_rows ? rows - row : part_rows);
        });
    }

    /* The copy has the depth of the panels, whose padding would otherwise meet what stands behind the row. */
    void copy_row(int64_t row, Left<T> *target) const {
        const T *source = static_cast<const T *>(args.x.data) + row * args.x.strides[0];
        int64_t i = 0;
        for (; i + WIDTH <= plan.columns; i += WIDTH) {
            store(target + i, load(source + i));
        }
        for (; i < plan.depth; ++i) {
            target[i] = from_float<Left<T>>(i < plan.columns ? to_float(source[i]) : 0.0f);
        }
    }

    void gate_and_up(int64_t panel, int64_t block, int64_t first, int64_t rows, float *own_sums) const {
        const T *weights = static_cast<const T *>(args.gate_up.data) + panel * plan.depth * PANEL;
        multiply_panel(x + first * plan.x_stride, plan.x_stride, rows, weights, plan.depth, own_sums, [&](int64_t row) {
            const float *gate = own_sums + row * PANEL;
            const float *up = gate + FEATURES;
            Left<T> *target = hidden + (first + row) * plan.hidden_stride + panel * FEATURES;
            for (int64_t j = 0; j < FEATURES; j += 2 * WIDTH) {
                Vec lower = silu_product<T>(load(gate + j), load(up + j));
                Vec upper = silu_product<T>(load(gate + j + WIDTH), load(up + j + WIDTH));
                if constexpr (!std::is_same_v<T, Left<T>>) {
                    lower = round_bf16(lower);
                    upper = round_bf16(upper);
                }
                store2(target + j, lower, upper);
            }
            if (args.saved.data != nullptr) {
                save(gate, block + first + row, panel);
            }
        });
    }

    void save(const float *gate_and_up, int64_t row, int64_t panel) const {
        T *target = static_cast<T *>(args.saved.data) + row * args.saved.strides[0] + panel * PANEL;
        for (int64_t j = 0; j < PANEL; j += WIDTH) {
            store(target + j, load(gate_and_up + j));
        }
    }

    void down(int64_t panel, int64_t block, int64_t first, int64_t rows, float *own_sums) const {
        const Left<T> *a = hidden + first * plan.hidden_stride;
        const T *weights = static_cast<const T *>(args.down.data) + panel * plan.features * PANEL;
        const bool accumulate = (args.flags & TSP_ACCUMULATE) != 0;
        const int64_t left = plan.columns - panel * PANEL;
        const int64_t columns = left < PANEL ? left : PANEL;
        multiply_panel(a, plan.hidden_stride, rows, weights, plan.features, own_sums, [&](int64_t row) {
            const float *source = own_sums + row * PANEL;
            float *target =
                static_cast<float *>(args.y.data) + (block + first + row) * args.y.strides[0] + panel * PANEL;
            for (int64_t j = 0; j < columns; j += WIDTH) {
                const int count = static_cast<int>(columns - j < WIDTH ? columns - j : WIDTH);
                const Vec sum = load(source + j);
                store_partial(target + j, accumulate ? load_partial(target + j, count) + sum : sum, count);
            }
        });
    }
};

} // namespace

tsp_status gated_mlp_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_gated_mlp_args>(args_in);
        const auto launch = read_launch(launch_in);
        const Plan plan = make_plan(args);
        require_data(args.x, "x");
        require_data(args.gate_up, "gate_up");
        require_data(args.down, "down");
        require_data(args.y, "y");
        if (args.saved.data != nullptr) {
            require_data(args.saved, "saved");
        }
        require_workspace(launch, plan.workspace_bytes(launch.threads));
        if (plan.rows == 0) {
            return;
        }
        const bool tiny = plan.rows * plan.columns * plan.features < TINY_PRODUCTS;
        const int32_t threads = tiny ? 1 : launch.threads;
        if (args.x.dtype == TSP_BF16) {
            Forward<bf16>(args, plan, launch.workspace).run(threads);
        } else {
            Forward<float>(args, plan, launch.workspace).run(threads);
        }
    });
}

int64_t gated_mlp_forward_workspace(const void *args, const tsp_launch *launch) noexcept {
    return guard_workspace(
        [&] { return make_plan(read_args<tsp_gated_mlp_args>(args)).workspace_bytes(read_launch(launch).threads); });
}

} // namespace tsp::TSP_ISA
