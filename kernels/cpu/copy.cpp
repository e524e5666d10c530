/* Copies, casts and changes of stride. The elements are numbered in the order of the shape and cut into equal ranges. */
#include "checks.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread: also where ranges are cut, so that streamed rows keep their alignment. */
constexpr int64_t GRAIN = int64_t{1} << 14;

/* Targets beyond this do not stay in the last-level cache anyway, so they are written past it. */
constexpr int64_t STREAM_BYTES = int64_t{32} << 20;

constexpr int64_t LINE_BYTES = 64;

/* The tensors as rows of contiguous elements, trailing dimensions joined where both allow it. */
struct Rows {
    int32_t rank; /* of the leading dimensions */
    int64_t shape[TSP_MAX_RANK];
    int64_t source_strides[TSP_MAX_RANK];
    int64_t target_strides[TSP_MAX_RANK];
    int64_t length; /* of a row */
};

Rows join(const tsp_tensor &source, const tsp_tensor &target) {
    Rows rows{};
    rows.rank = source.rank - 1;
    rows.length = source.shape[rows.rank];
    while (rows.rank > 0) {
        const int32_t last = rows.rank - 1;
        const bool joinable =
            source.shape[last] == 1 || (source.strides[last] == rows.length && target.strides[last] == rows.length);
        if (!joinable) {
            break;
        }
        rows.length *= source.shape[last];
        rows.rank = last;
    }
    for (int32_t i = 0; i < rows.rank; ++i) {
        rows.shape[i] = source.shape[i];
        rows.source_strides[i] = source.strides[i];
        rows.target_strides[i] = target.strides[i];
    }
    return rows;
}

/* A row of both tensors. */
class Cursor {
public:
    Cursor(const Rows &rows, int64_t index) : rows(rows) {
        for (int32_t i = rows.rank - 1; i >= 0; --i) {
            position[i] = index % rows.shape[i];
            source += position[i] * rows.source_strides[i];
            target += position[i] * rows.target_strides[i];
            index /= rows.shape[i];
        }
    }

    void advance() {
        for (int32_t i = rows.rank - 1; i >= 0; --i) {
            source += rows.source_strides[i];
            target += rows.target_strides[i];
            if (++position[i] < rows.shape[i]) {
                return;
            }
            source -= rows.shape[i] * rows.source_strides[i];
            target -= rows.shape[i] * rows.target_strides[i];
            position[i] = 0;
        }
    }

    int64_t source = 0; /* elements before the row */
    int64_t target = 0;

private:
    const Rows &rows;
    int64_t position[TSP_MAX_RANK] = {};
};

template <class T>
bool line_aligned(const T *pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % LINE_BYTES == 0;
}

template <class Source, class Target>
void copy_cached(const Source *source, Target *target, int64_t count) {
    if constexpr (std::is_same_v<Source, Target>) {
        std::memcpy(target, source, sizeof(Target) * static_cast<size_t>(count));
    } else {
        int64_t i = 0;
        for (; i + WIDTH <= count; i += WIDTH) {
            store(target + i, load(source + i));
        }
        if (i < count) {
            const int lanes = static_cast<int>(count - i);
            store_partial(target + i, load_partial(source + i, lanes), lanes);
        }
    }
}

/* target is aligned to a line, and every line of it is written whole. */
template <class Source, class Target>
void copy_streamed(const Source *source, Target *target, int64_t count) {
    constexpr int64_t STEP = std::is_same_v<Target, float> ? WIDTH : 2 * WIDTH;
    constexpr int64_t LINE = LINE_BYTES / static_cast<int64_t>(sizeof(Target));
    const int64_t whole_lines = count / LINE * LINE;
    for (int64_t i = 0; i < whole_lines; i += STEP) {
        Vec words;
        if constexpr (std::is_same_v<Target, float>) {
            words = load(source + i);
        } else if constexpr (std::is_same_v<Source, Target>) {
            words = load_pairs(source + i);
        } else {
            words = narrow_pairs(load(source + i), load(source + i + WIDTH));
        }
        stream(reinterpret_cast<float *>(target + i), words);
    }
    copy_cached(source + whole_lines, target + whole_lines, count - whole_lines);
}

template <class Source, class Target>
void copy_all(const tsp_copy_args &args, int32_t threads) {
    const Rows rows = join(args.source, args.target);
    const int64_t count = element_count(args.source);
    const bool large = count * static_cast<int64_t>(sizeof(Target)) >= STREAM_BYTES;
    parallel_for(threads, count, GRAIN, [&](int64_t first, int64_t last) {
        Cursor row(rows, first / rows.length);
        int64_t column = first % rows.length;
        while (first < last) {
            const int64_t left = rows.length - column;
            const int64_t length = last - first < left ? last - first : left;
            const Source *source = static_cast<const Source *>(args.source.data) + row.source + column;
            Target *target = static_cast<Target *>(args.target.data) + row.target + column;
            if (large && line_aligned(target)) {
                copy_streamed(source, target, length);
            } else {
                copy_cached(source, target, length);
            }
            first += length;
            column = 0;
            row.advance();
        }
        stream_fence();
    });
}

} // namespace

tsp_status copy(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_copy_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        /* i32 is moved as f32: neither load nor store looks at the bits. */
        const bool from_bf16 = args.source.dtype == TSP_BF16;
        const bool to_bf16 = args.target.dtype == TSP_BF16;
        if (from_bf16) {
            to_bf16 ? copy_all<bf16, bf16>(args, launch.threads) : copy_all<bf16, float>(args, launch.threads);
        } else {
            to_bf16 ? copy_all<float, bf16>(args, launch.threads) : copy_all<float, float>(args, launch.threads);
        }
    });
}

} // namespace tsp::TSP_ISA
