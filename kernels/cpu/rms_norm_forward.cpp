/*
 * RMSNorm forward, with the residual addition before it. A row is read twice: from memory for its mean square, and from
 * the first-level cache to be scaled.
 */
#include <cinttypes>
#include <cmath>

#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 14;

template <class T>
TSP_INLINE Vec round_to(Vec x) {
    if constexpr (std::is_same_v<T, bf16>) {
        return round_bf16(x);
    } else {
        return x;
    }
}

/* One row; absent operands are NULL. */
template <class T, class Delta>
struct Row {
    const T *x;
    const Delta *delta;
    const T *weight;
    T *sum;
    T *out;

    /* x' of count lanes; WIDTH of them are read without a mask. */
    TSP_INLINE Vec input(int64_t i, int count) const {
        const bool whole = count == WIDTH;
        const Vec value = whole ? load(x + i) : load_partial(x + i, count);
        if (delta == nullptr) {
            return value;
        }
        return value + (whole ? load(delta + i) : load_partial(delta + i, count));
    }

    /* The squares of x' at i, which sum receives. */
    TSP_INLINE Vec add_squares(Vec squares, int64_t i, int count) const {
        Vec value = input(i, count);
        if (sum != nullptr) {
            value = round_to<T>(value);
            if (count == WIDTH) {
                store(sum + i, value);
            } else {
                store_partial(sum + i, value, count);
            }
        }
        return fma(value, value, squares);
    }

    /* The sum of the squares; two chains of additions, since one would wait for itself. */
    float sum_of_squares(int64_t n) const {
        Vec even = zero();
        Vec odd = zero();
        int64_t i = 0;
        for (; i + 2 * WIDTH <= n; i += 2 * WIDTH) {
            even = add_squares(even, i, WIDTH);
            odd = add_squares(odd, i + WIDTH, WIDTH);
        }
        for (; i < n; i += WIDTH) {
            even = add_squares(even, i, static_cast<int>(n - i < WIDTH ? n - i : WIDTH));
        }
        return reduce_add(even + odd);
    }

    void scale(int64_t n, float factor) const {
        const Row source = sum == nullptr ? *this : Row{sum, nullptr, weight, nullptr, out};
        const Vec factors = broadcast(factor);
        int64_t i = 0;
        for (; i + WIDTH <= n; i += WIDTH) {
            store(out + i, round_to<T>(source.input(i, WIDTH) * factors) * load(weight + i));
        }
        if (i < n) {
            const int count = static_cast<int>(n - i);
            const Vec normalised = round_to<T>(source.input(i, count) * factors);
            store_partial(out + i, normalised * load_partial(weight + i, count), count);
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

template <class T, class Delta>
void norm_rows(const tsp_rms_norm_args &args, int32_t threads) {
    const int64_t n = args.x.shape[args.x.rank - 1];
    const int64_t rows = n == 0 ? 0 : element_count(args.x) / n;
    parallel_for(threads, rows, 1 + GRAIN / (n + 1), [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
            const Row<T, Delta> row{
                row_of<T>(args.x, i),
                row_of<Delta>(args.delta, i),
                static_cast<const T *>(args.weight.data),
                row_of<T>(args.sum, i),
                args.weight.data == nullptr ? nullptr : row_of<T>(args.out, i)};
            const float squares = row.sum_of_squares(n);
            if (row.out != nullptr) {
                row.scale(n, 1.0f / std::sqrt(squares / static_cast<float>(n) + args.epsilon));
            }
        }
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
