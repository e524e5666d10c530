/*
 * RMSNorm forward, with the residual addition before it. A row is read twice: from memory for its mean square, and from
 * the first-level cache to be scaled.
 */
#include <cmath>

#include "checks.h"
#include "kernel.h"
#include "ops.h"
#include "rows.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 14;

/* One row; absent operands are NULL. */
template <class T, class Delta>
struct Row {
    static constexpr int64_t STEP = 2 * WIDTH;
    using Elements = Two<std::is_same_v<T, bf16>>;

    const T *x;
    const Delta *delta;
    const T *weight;
    T *sum;
    T *out;
    const T *next_x;         /* of the row after this one, or NULL */
    const Delta *next_delta; /* likewise */

    /* Asks for what the next row reads at i while this one is written, so that memory is read and written at once. */
    TSP_INLINE void fetch_next(int64_t i) const {
        fetch(next_x + i, STEP * sizeof(T));
        if (delta != nullptr) {
            fetch(next_delta + i, STEP * sizeof(Delta));
        }
    }

    /* x' */
    TSP_INLINE Elements input(int64_t i) const {
        const auto value = Elements::load_from(x + i);
        return delta == nullptr ? value : value + Elements::load_from(delta + i);
    }

    float input_at(int64_t i) const {
        return delta == nullptr ? to_float(x[i]) : to_float(x[i]) + to_float(delta[i]);
    }

    /* The sum of squares of x', which sum receives; two chains of additions, since one would wait for itself. */
    float sum_of_squares(int64_t n, bool sum_streamed) const {
        auto squares = Elements::of(0.0f);
        int64_t i = 0;
        for (; i + STEP <= n; i += STEP) {
            Elements value = input(i);
            if (sum != nullptr) {
                value = nearest<T>(value);
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
        const auto factors = Elements::of(factor);
        int64_t i = 0;
        for (; i + STEP <= n; i += STEP) {
            if (next_x != nullptr) {
                fetch_next(i);
            }
            Elements value = source.input(i);
            if (sum_streamed) {
                value = nearest<T>(value);
            }
            const Elements normalised = nearest<T>(value * factors);
            const Elements result = normalised * Elements::load_from(weight + i);
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

template <class T, class Delta>
void norm_rows(const tsp_rms_norm_args &args, int32_t threads) {
    const int64_t n = args.x.shape[args.x.rank - 1];
    const int64_t rows = n == 0 ? 0 : element_count(args.x) / n;
    const bool large = rows * n * static_cast<int64_t>(sizeof(T)) >= STREAM_BYTES;
    parallel_for(threads, rows, 1 + GRAIN / (n + 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const Place place = place_of(args.x, i);
            const Place next = place_of(args.x, i + 1);
            const Row<T, Delta> row{
                row_of<T>(args.x, place),
                row_of<Delta>(args.delta, place),
                static_cast<const T *>(args.weight.data),
                row_of<T>(args.sum, place),
                args.weight.data == nullptr ? nullptr : row_of<T>(args.out, place),
                large && i + 1 < end ? row_of<T>(args.x, next) : nullptr,
                large && i + 1 < end ? row_of<Delta>(args.delta, next) : nullptr};
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
