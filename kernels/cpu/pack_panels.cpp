/*
 * Weight matrices in the panel layout of the gated MLP.
 *
 * In both dtypes a panel is a transposed matrix of 32-bit words, [K words][64 columns]: a word is one f32, or two bf16 of
 * consecutive k. So one transposition of words, WIDTH x WIDTH in registers, serves every combination of dtypes; they
 * differ only in how a row of the source becomes words.
 */
#include <cinttypes>
#include <utility>

#include "kernel.h"
#include "microkernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 15;

/* Panels beyond this do not stay in the last-level cache anyway, so they are written past it. */
constexpr int64_t STREAM_BYTES = int64_t{32} << 20;

struct Plan {
    int64_t rows;           /* of each source */
    int64_t columns;        /* K */
    int64_t depth;          /* K, padded */
    int64_t rows_per_panel; /* of each source */
    int64_t panels;         /* that the rows fill */
};

Plan make_plan(const tsp_pack_args &args) {
    require(
        args.layout == TSP_PANELS_PLAIN || args.layout == TSP_PANELS_GATE_UP,
        "layout is %d, TSP_PANELS_PLAIN or TSP_PANELS_GATE_UP is needed",
        args.layout);
    const bool gate_up = args.layout == TSP_PANELS_GATE_UP;
    require_tensor(args.source, "source", 2, {TSP_F32, TSP_BF16});
    const int64_t rows = args.source.shape[0];
    const int64_t columns = args.source.shape[1];
    if (gate_up) {
        require_tensor(args.second, "second", 2, {args.source.dtype});
        require_shape(args.second, "second", {rows, columns});
    }
    require_tensor(args.panels, "panels", 1, {TSP_F32, TSP_BF16});
    const int64_t depth_multiple = gate_up ? 2 : 32;
    const int64_t rows_per_panel = gate_up ? PANEL / 2 : PANEL;
    const Plan plan{
        .rows = rows,
        .columns = columns,
        .depth = (columns + depth_multiple - 1) / depth_multiple * depth_multiple,
        .rows_per_panel = rows_per_panel,
        .panels = (rows + rows_per_panel - 1) / rows_per_panel,
    };
    const int64_t panel_elements = plan.depth * PANEL;
    const int64_t capacity = panel_elements == 0 ? 0 : args.panels.shape[0] / panel_elements;
    require(
        capacity * panel_elements == args.panels.shape[0],
        "panels: shape[0] is %" PRId64 ", a multiple of %" PRId64 " is needed",
        args.panels.shape[0],
        panel_elements);
    require(
        panel_elements == 0 || (args.first_panel >= 0 && args.first_panel + plan.panels <= capacity),
        "first_panel is %" PRId64 ": panels has room for %" PRId64 " and %" PRId64 " are to be written",
        args.first_panel,
        capacity,
        plan.panels);
    return plan;
}

/* Lane i of the result comes from lane i of a where bit STEP of i is 0, and from lane i - STEP of b where it is 1. */
template <int STEP, int... LANE>
TSP_INLINE Vec merge_low(Vec a, Vec b, std::integer_sequence<int, LANE...>) {
    return __builtin_shufflevector(a, b, ((LANE & STEP) == 0 ? LANE : LANE - STEP + WIDTH)...);
}

/* Lane i of the result comes from lane i + STEP of a where bit STEP of i is 0, and from lane i of b where it is 1. */
template <int STEP, int... LANE>
TSP_INLINE Vec merge_high(Vec a, Vec b, std::integer_sequence<int, LANE...>) {
    return __builtin_shufflevector(a, b, ((LANE & STEP) == 0 ? LANE + STEP : LANE + WIDTH)...);
}

/* Transposes square by exchanging one bit of the row number with the same bit of the lane number, then the next bit. */
template <int STEP = 1>
TSP_INLINE void transpose(Vec (&square)[WIDTH]) {
    if constexpr (STEP < WIDTH) {
        constexpr auto lanes = std::make_integer_sequence<int, WIDTH>{};
#pragma GCC unroll 16
        for (int i = 0; i < WIDTH; ++i) {
            if ((i & STEP) == 0) {
                const Vec a = square[i];
                const Vec b = square[i + STEP];
                square[i] = merge_low<STEP>(a, b, lanes);
                square[i + STEP] = merge_high<STEP>(a, b, lanes);
            }
        }
        transpose<2 * STEP>(square);
    }
}

/* WIDTH words of a panel of Panel from the elements of Source that they are made of. */
template <class Panel, class Source>
TSP_INLINE Vec load_words(const Source *source) {
    if constexpr (std::is_same_v<Panel, float>) {
        return load(source);
    } else if constexpr (std::is_same_v<Source, bf16>) {
        return load_pairs(source);
    } else {
        return narrow_pairs(load(source), load(source + WIDTH));
    }
}

/* As above for the first count elements; the others are zero. */
template <class Panel, class Source>
TSP_INLINE Vec load_words_partial(const Source *source, int64_t count) {
    Source padded[WIDTH * WORD<Panel>] = {};
    std::memcpy(padded, source, sizeof(Source) * static_cast<size_t>(count));
    return load_words<Panel>(padded);
}

template <class Panel, class Source>
struct Packer {
    const tsp_pack_args &args;
    const Plan &plan;
    bool streamed;

    /* k counts elements. */
    void pack(int64_t panel) const {
        constexpr int64_t STEP = WIDTH * WORD<Panel>;
        Panel *target = static_cast<Panel *>(args.panels.data) + (args.first_panel + panel) * plan.depth * PANEL;
        for (int64_t k = 0; k < plan.depth; k += STEP) {
            for (int64_t column = 0; column < PANEL; column += WIDTH) {
                Vec square[WIDTH];
                load_square(square, panel, column, k);
                transpose(square);
                const int64_t words = (plan.depth - k) / WORD<Panel>;
                auto *words_target = reinterpret_cast<float *>(target + k * PANEL) + column;
                for (int64_t i = 0; i < WIDTH && i < words; ++i) {
                    if (streamed) {
                        stream(words_target + i * PANEL, square[i]);
                    } else {
                        store(words_target + i * PANEL, square[i]);
                    }
                }
            }
        }
    }

    /* Columns column .. column + WIDTH - 1 of a panel come from consecutive rows of one source. */
    void load_square(Vec (&square)[WIDTH], int64_t panel, int64_t column, int64_t k) const {
        const tsp_tensor &tensor = column < plan.rows_per_panel ? args.source : args.second;
        const int64_t row = panel * plan.rows_per_panel + column % plan.rows_per_panel;
        const Source *source = static_cast<const Source *>(tensor.data) + row * tensor.strides[0] + k;
        const int64_t count = plan.columns - k;
        if (row + WIDTH <= plan.rows && count >= WIDTH * WORD<Panel>) {
#pragma GCC unroll 16
            for (int i = 0; i < WIDTH; ++i) {
                square[i] = load_words<Panel>(source + i * tensor.strides[0]);
            }
            return;
        }
        for (int i = 0; i < WIDTH; ++i) {
            if (row + i >= plan.rows || count <= 0) {
                square[i] = zero();
            } else if (count >= WIDTH * WORD<Panel>) {
                square[i] = load_words<Panel>(source + i * tensor.strides[0]);
            } else {
                square[i] = load_words_partial<Panel>(source + i * tensor.strides[0], count);
            }
        }
    }
};

template <class Panel, class Source>
void pack_all(const tsp_pack_args &args, const Plan &plan, int32_t threads) {
    const int64_t bytes = plan.panels * plan.depth * PANEL * static_cast<int64_t>(sizeof(Panel));
    const bool aligned = reinterpret_cast<uintptr_t>(args.panels.data) % sizeof(Vec) == 0;
    const Packer<Panel, Source> packer{args, plan, bytes >= STREAM_BYTES && aligned};
    parallel_for(threads, plan.panels, 1 + GRAIN / (plan.depth * PANEL), [&](int64_t first, int64_t last) {
        for (int64_t panel = first; panel < last; ++panel) {
            packer.pack(panel);
        }
        stream_fence();
    });
}

} // namespace

tsp_status pack_panels(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_pack_args>(args_in);
        const auto launch = read_launch(launch_in);
        const Plan plan = make_plan(args);
        require_data(args.source, "source");
        if (args.layout == TSP_PANELS_GATE_UP) {
            require_data(args.second, "second");
        }
        require_data(args.panels, "panels");
        if (plan.depth == 0) {
            return;
        }
        if (args.panels.dtype == TSP_BF16) {
            if (args.source.dtype == TSP_BF16) {
                pack_all<bf16, bf16>(args, plan, launch.threads);
            } else {
                pack_all<bf16, float>(args, plan, launch.threads);
            }
        } else if (args.source.dtype == TSP_BF16) {
            pack_all<float, bf16>(args, plan, launch.threads);
        } else {
            pack_all<float, float>(args, plan, launch.threads);
        }
    });
}

} // namespace tsp::TSP_ISA
