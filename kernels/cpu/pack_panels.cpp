/*
 * Weight matrices in the panel layout of the gated MLP.
 *
 * In both dtypes a panel is a transposed matrix of 32-bit words, [K words][64 columns]: a word is one f32, or two bf16 of
 * consecutive k. So one transposition of words, WIDTH x WIDTH in registers, serves every combination of dtypes; they
 * differ only in how a row of the source becomes words.
 */
#include "checks.h"
#include "kernel.h"
#include "microkernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 15;

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

/* Rows that become the 64 bytes of a line of a panel, and words of each that are read before the next. */
constexpr int64_t LINE_COLUMNS = 16;
constexpr int64_t BLOCK_WORDS = 16;

/* A block of the source as words, cast and padded with zeros. */
struct Block {
    alignas(64) float rows[LINE_COLUMNS][BLOCK_WORDS];
};

template <class Panel, class Source>
struct Packer {
    static constexpr int64_t BLOCK_DEPTH = BLOCK_WORDS * WORD<Panel>;

    const tsp_pack_args &args;
    const PackPlan &plan;
    bool streamed;

    void pack(int64_t panel) const {
        Panel *target = static_cast<Panel *>(args.panels.data) + (args.first_panel + panel) * plan.depth * PANEL;
        for (int64_t k = 0; k < plan.depth; k += BLOCK_DEPTH) {
            const int64_t left = (plan.depth - k) / WORD<Panel>;
            const int64_t words = left < BLOCK_WORDS ? left : BLOCK_WORDS;
            for (int64_t column = 0; column < PANEL; column += LINE_COLUMNS) {
                pack_block(panel, column, k, words, reinterpret_cast<float *>(target + k * PANEL) + column);
            }
        }
    }

    /* Columns column .. column + 15 of a panel come from consecutive rows of one source. */
    void pack_block(int64_t panel, int64_t column, int64_t k, int64_t words, float *target) const {
        const tsp_tensor &tensor = column < plan.rows_per_panel ? args.source : args.second;
        const int64_t row = panel * plan.rows_per_panel + column % plan.rows_per_panel;
        const int64_t rows = plan.rows - row;
        const int64_t depth = plan.columns - k;
        const Source *source = static_cast<const Source *>(tensor.data) + row * tensor.strides[0] + k;
        if (std::is_same_v<Panel, Source> && rows >= LINE_COLUMNS && depth >= BLOCK_DEPTH) {
            transpose_block(source, tensor.strides[0], words, target);
            return;
        }
        Block block;
        for (int64_t i = 0; i < LINE_COLUMNS; ++i) {
            gather(block.rows[i], source + i * tensor.strides[0], i < rows ? depth : 0);
        }
        transpose_block(block.rows[0], BLOCK_WORDS, words, target);
    }

    /* The words of count elements, and zeros behind them. */
    static void gather(float *row, const Source *source, int64_t count) {
        constexpr int64_t STEP = WIDTH * WORD<Panel>;
        for (int64_t word = 0; word < BLOCK_WORDS; word += WIDTH) {
            Vec words = zero();
            if (count >= STEP) {
                prefetch_line(source + 2 * BLOCK_DEPTH);
                prefetch_line(source + 2 * BLOCK_DEPTH + STEP / 2);
                words = load_words<Panel>(source);
            } else if (count > 0) {
                words = load_words_partial<Panel>(source, count);
            }
            store(row + word, words);
            source += STEP;
            count -= STEP;
        }
    }

    /* Rows of words, stride elements apart, to lines of a panel. */
    template <class T>
    void transpose_block(const T *source, int64_t stride, int64_t words, float *target) const {
        for (int64_t word = 0; word < words; word += WIDTH) {
            for (int64_t column = 0; column < LINE_COLUMNS; column += WIDTH) {
                Vec square[WIDTH];
                const T *corner = source + column * stride + word * WORD<T>;
#pragma GCC unroll 16
                for (int64_t i = 0; i < WIDTH; ++i) {
                    square[i] = load(reinterpret_cast<const float *>(corner + i * stride));
                    prefetch_line(corner + i * stride + 2 * BLOCK_WORDS * WORD<T>);
                }
                transpose(square);
                float *lines = target + word * PANEL + column;
                for (int64_t i = 0; i < WIDTH && i < words - word; ++i) {
                    streamed ? stream(lines + i * PANEL, square[i]) : store(lines + i * PANEL, square[i]);
                }
            }
        }
    }

    /* Into the second-level cache, for the next block of the same rows; the hardware does not follow so many rows. */
    static void prefetch_line(const void *address) {
        __builtin_prefetch(address, 0, 2);
    }
};

template <class Panel, class Source>
void pack_all(const tsp_pack_args &args, const PackPlan &plan, int32_t threads) {
    /* Past the caches even when the panels would fit: they are written a line here and a line there. */
    const bool streamed = reinterpret_cast<uintptr_t>(args.panels.data) % sizeof(Vec) == 0;
    const Packer<Panel, Source> packer{args, plan, streamed};
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
        const PackPlan plan = check(args);
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
