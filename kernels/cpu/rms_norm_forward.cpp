/*
 * RMSNorm forward, with the residual addition before it. A row is read twice: from memory for its mean square, and from
 * the first-level cache to be scaled.
 */
#include <cinttypes>
#include <cmath>
#include <utility>

#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 14;

/* Outputs beyond this do not stay in the last-level cache anyway, so they are written past it. */
constexpr int64_t STREAM_BYTES = int64_t{32} << 20;

constexpr uintptr_t LINE_BYTES = 64;

/* The lanes of a and then b whose number is even (ODD 0) or odd (ODD 1). */
template <int ODD, int... LANE>
TSP_INLINE Vec every_second(Vec a, Vec b, std::integer_sequence<int, LANE...>) {
    return __builtin_shufflevector(a, b, (2 * LANE + ODD)...);
}

/* 2 * WIDTH consecutive elements. In rows of bf16 (T) first takes the even ones and second the odd ones, which costs half
 * as much as to keep their order, and the order is nobody's business here. */
template <class T>
struct Two {
    Vec first;
    Vec second;

    template <class Element>
    TSP_INLINE static Two load_from(const Element *source) {
        if constexpr (std::is_same_v<Element, bf16>) {
            const Vec words = load_pairs(source);
            return {low(words), high(words)};
        } else if constexpr (std::is_same_v<T, bf16>) {
            constexpr auto lanes = std::make_integer_sequence<int, WIDTH>{};
            const Vec a = load(source);
            const Vec b = load(source + WIDTH);
            return {every_second<0>(a, b, lanes), every_second<1>(a, b, lanes)};
        } else {
            return {load(source), load(source + WIDTH)};
        }
    }

    TSP_INLINE void store_to(T *target) const {
        if constexpr (std::is_same_v<T, bf16>) {
            store(reinterpret_cast<float *>(target), join_nearest(first, second));
        } else {
            store2(target, first, second);
        }
    }

    /* Past the caches; target is aligned. */
    TSP_INLINE void stream_to(T *target) const {
        if constexpr (std::is_same_v<T, bf16>) {
            stream(reinterpret_cast<float *>(target), join_nearest(first, second));
        } else {
            stream(target, first);
            stream(target + WIDTH, second);
        }
    }

    /* The nearest values of T. */
    TSP_INLINE Two rounded() const {
        if constexpr (std::is_same_v<T, bf16>) {
            const Vec words = join_nearest(first, second);
            return {low(words), high(words)};
        } else {
            return *this;
        }
    }

    TSP_INLINE Two operator+(const Two &other) const {
        return {first + other.first, second + other.second};
    }

    TSP_INLINE Two operator*(const Two &other) const {
        return {first * other.first, second * other.second};
    }
};

/* One row; absent operands are NULL. */
template <class T, class Delta>
struct Row {
    static constexpr int64_t STEP = 2 * WIDTH;

    const T *x;
    const Delta *delta;
    const T *weight;
    T *sum;
    T *out;
    const T *next_x;         /* of the row after this one, or NULL */
    const Delta *next_delta; /* likewise */

    /* Asks for what the next row reads at i while this one is written, so that memory is read and written at once. */
    TSP_INLINE void fetch_next(int64_t i) const {
        for (int64_t byte = 0; byte < STEP * static_cast<int64_t>(sizeof(T)); byte += LINE_BYTES) {
            __builtin_prefetch(reinterpret_cast<const char *>(next_x + i) + byte, 0, 2);
        }
        if (delta != nullptr) {
            for (int64_t byte = 0; byte < STEP * static_cast<int64_t>(sizeof(Delta)); byte += LINE_BYTES) {
                __builtin_prefetch(reinterpret_cast<const char *>(next_delta + i) + byte, 0, 2);
            }
        }
    }

    /* x' */
    TSP_INLINE Two<T> input(int64_t i) const {
        const auto value = Two<T>::load_from(x + i);
        return delta == nullptr ? value : value + Two<T>::load_from(delta + i);
    }

    float input_at(int64_t i) const {
        return delta == nullptr ? to_float(x[i]) : to_float(x[i]) + to_float(delta[i]);
    }

    /* The sum of squares of x', which sum receives; two chains of additions, since one would wait for itself. */
    float sum_of_squares(int64_t n, bool sum_streamed) const {
        Two<T> squares{zero(), zero()};
        int64_t i = 0;
        for (; i + STEP <= n; i += STEP) {
            Two<T> value = input(i);
            if (sum != nullptr) {
                value = value.rounded();
                sum_streamed ? value.stream_to(sum + i) : value.store_to(sum + i);
            }
            squares.first = fma(value.first, value.first, squares.first);
            squares.second = fma(value.second, value.second, squares.second);
        }
        float total = reduce_add(squares.first + squares.second);
        for (; i < n; ++i) {
            float value = input_at(i);
            if (sum != nullptr) {
                sum[i] = from_float<T>(value);
                value = to_float(sum[i]);
            }
            total += value * value;
        }
        return total;
    }

    /* out = x' times factor, rounded, times weight. A sum that was streamed is made again instead of fetched again. */
    void scale(int64_t n, float factor, bool streamed, bool sum_streamed) const {
        const Row source =
            sum == nullptr || sum_streamed ? *this : Row{sum, nullptr, weight, nullptr, out, nullptr, nullptr};
        const Two<T> factors{broadcast(factor), broadcast(factor)};
        int64_t i = 0;
        for (; i + STEP <= n; i += STEP) {
            if (next_x != nullptr) {
                fetch_next(i);
            }
            Two<T> value = source.input(i);
            if (sum_streamed) {
                value = value.rounded();
            }
            const Two<T> normalised = (value * factors).rounded();
            const Two<T> result = normalised * Two<T>::load_from(weight + i);
            streamed ? result.stream_to(out + i) : result.store_to(out + i);
        }
        for (; i < n; ++i) {
            float value = source.input_at(i);
            if (sum_streamed) {
                value = to_float(from_float<T>(value));
            }
            const float normalised = to_float(from_float<T>(value * factor));
            out[i] = from_float<T>(normalised * to_float(weight[i]));
        }
    }
};

/* Where row number index, in the order of the leading dimensions, starts. */
int64_t row_offset(const tsp_tensor &tensor, int64_t index) {
    if (tensor.rank == 2) {
        return index * tensor.strides[0];
    }
    const int64_t heads = tensor.shape[1];
    return index / heads * tensor.strides[0] + index % heads * tensor.strides[1];
}

template <class T>
T *row_of(const tsp_tensor &tensor, int64_t index) {
    return tensor.data == nullptr ? nullptr : static_cast<T *>(tensor.data) + row_offset(tensor, index);
}

bool is_line(const void *data) {
    return reinterpret_cast<uintptr_t>(data) % LINE_BYTES == 0;
}

template <class T, class Delta>
void norm_rows(const tsp_rms_norm_args &args, int32_t threads) {
    const int64_t n = args.x.shape[args.x.rank - 1];
    const int64_t rows = n == 0 ? 0 : element_count(args.x) / n;
    const bool large = rows * n * static_cast<int64_t>(sizeof(T)) >= STREAM_BYTES;
    parallel_for(threads, rows, 1 + GRAIN / (n + 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const Row<T, Delta> row{
                row_of<T>(args.x, i),
                row_of<Delta>(args.delta, i),
                static_cast<const T *>(args.weight.data),
                row_of<T>(args.sum, i),
                args.weight.data == nullptr ? nullptr : row_of<T>(args.out, i),
                large && i + 1 < end ? row_of<T>(args.x, i + 1) : nullptr,
                large && i + 1 < end ? row_of<Delta>(args.delta, i + 1) : nullptr};
            const bool sum_streamed = large && row.sum != nullptr && row.sum != row.x && is_line(row.sum);
            const float squares = row.sum_of_squares(n, sum_streamed);
            if (row.out != nullptr) {
                const float factor = 1.0f / std::sqrt(squares / static_cast<float>(n) + args.epsilon);
                row.scale(n, factor, large && is_line(row.out), sum_streamed);
            }
        }
        stream_fence();
    });
}

void check(const tsp_rms_norm_args &args) {
    const tsp_tensor &x = args.x;
    require(x.rank == 2 || x.rank == 3, "x: rank is %d, 2 or 3 is needed", x.rank);
    require_tensor(x, "x", x.rank, {TSP_F32, TSP_BF16});
    require_data(x, "x");
    const auto require_like_x = [&](const tsp_tensor &tensor, const char *name, tsp_dtype other) {
        require_tensor(tensor, name, x.rank, {x.dtype, other});
        require_shape(tensor, name, {x.shape[0], x.shape[1]});
        require(
            x.rank == 2 || tensor.shape[2] == x.shape[2],
            "%s: shape[2] is %" PRId64 ", %" PRId64 " is needed",
            name,
            tensor.shape[2],
            x.shape[2]);
        require_data(tensor, name);
    };
    if (args.delta.data != nullptr) {
        require_like_x(args.delta, "delta", TSP_F32);
    }
    if (args.sum.data != nullptr) {
        require_like_x(args.sum, "sum", x.dtype);
    }
    if (args.weight.data != nullptr) {
        require_tensor(args.weight, "weight", 1, {x.dtype});
        require_shape(args.weight, "weight", {x.shape[x.rank - 1]});
        require_data(args.weight, "weight");
        require_like_x(args.out, "out", x.dtype);
    }
    require(args.epsilon >= 0.0f, "epsilon is %g, 0 or more is needed", static_cast<double>(args.epsilon));
}

} // namespace

tsp_status rms_norm_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_rms_norm_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        const bool wide_delta = args.delta.dtype == TSP_F32;
        if (args.x.dtype == TSP_F32) {
            norm_rows<float, float>(args, launch.threads);
        } else if (wide_delta) {
            norm_rows<bf16, float>(args, launch.threads);
        } else {
            norm_rows<bf16, bf16>(args, launch.threads);
        }
    });
}

} // namespace tsp::TSP_ISA
