/*
 * RMSNorm forward, with the residual addition before it. A block takes a row; what fits into its registers is read once,
 * longer rows are read again from the cache.
 */
#include "block.h"
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "rows.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
/* Elements of a row that a thread keeps, in vectors of 8. */
constexpr int STEP = 8;
constexpr int KEPT = 4;

template <class T, class Delta>
struct Operands {
    Rows<const T> x;
    Rows<const Delta> delta;
    const T *weight;
    Rows<T> sum;
    Rows<T> out;
    int64_t rows;
    int64_t columns;
    float epsilon;
};

/* STEP elements of x' from column on, behind the end of the row 0; sum receives them if it is wanted. */
template <bool ALIGNED, class T, class Delta>
__device__ __forceinline__ void read_input(
    const Operands<T, Delta> &args, int64_t row, int64_t column, bool write_sum, float (&values)[STEP]) {
    const int64_t left = args.columns - column;
    const T *x = args.x.row(row) + column;
    if (left >= STEP) {
        load<STEP, ALIGNED>(x, values);
    } else {
#pragma unroll
        for (int i = 0; i < STEP; ++i) {
            values[i] = i < left ? to_float(x[i]) : 0.0f;
        }
    }
    if (args.delta.data != nullptr) {
        const Delta *delta = args.delta.row(row) + column;
        float added[STEP] = {};
        if (left >= STEP) {
            load<STEP, ALIGNED>(delta, added);
        } else {
#pragma unroll
            for (int i = 0; i < STEP; ++i) {
                added[i] = i < left ? to_float(delta[i]) : 0.0f;
            }
        }
#pragma unroll
        for (int i = 0; i < STEP; ++i) {
            values[i] += added[i];
        }
    }
    if (args.sum.data == nullptr) {
        return;
    }
#pragma unroll
    for (int i = 0; i < STEP; ++i) {
        values[i] = nearest<T>(values[i]);
    }
    if (write_sum) {
        T *sum = args.sum.row(row) + column;
        if (left >= STEP) {
            store<STEP, ALIGNED>(sum, values);
        } else {
#pragma unroll
            for (int i = 0; i < STEP; ++i) {
                if (i < left) {
                    sum[i] = from_float<T>(values[i]);
                }
            }
        }
    }
}

template <bool ALIGNED, class T, class Delta>
__device__ __forceinline__ void write_output(
    const Operands<T, Delta> &args, int64_t row, int64_t column, float factor, const float (&values)[STEP]) {
    const int64_t left = args.columns - column;
    T *out = args.out.row(row) + column;
    float result[STEP];
    if (left >= STEP) {
        load<STEP, ALIGNED>(args.weight + column, result);
#pragma unroll
        for (int i = 0; i < STEP; ++i) {
            result[i] *= nearest<T>(values[i] * factor);
        }
        store<STEP, ALIGNED>(out, result);
    } else {
#pragma unroll
        for (int i = 0; i < STEP; ++i) {
            if (i < left) {
                out[i] = from_float<T>(nearest<T>(values[i] * factor) * to_float(args.weight[column + i]));
            }
        }
    }
}

template <bool ALIGNED, class T, class Delta>
__global__ void __launch_bounds__(THREADS, 3) norm_rows(Operands<T, Delta> args) {
    float *scratch = shared_memory<float>();
    const int64_t first = static_cast<int64_t>(threadIdx.x) * STEP;
    constexpr int64_t STRIDE = THREADS * STEP;
    for (int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
        float kept[KEPT][STEP];
        float squares = 0.0f;
#pragma unroll
        for (int i = 0; i < KEPT; ++i) {
            const int64_t column = first + i * STRIDE;
            if (column < args.columns) {
                read_input<ALIGNED>(args, row, column, true, kept[i]);
#pragma unroll
                for (int j = 0; j < STEP; ++j) {
                    squares += kept[i][j] * kept[i][j];
                }
            }
        }
        for (int64_t column = first + KEPT * STRIDE; column < args.columns; column += STRIDE) {
            float values[STEP];
            read_input<ALIGNED>(args, row, column, true, values);
#pragma unroll
            for (int j = 0; j < STEP; ++j) {
                squares += values[j] * values[j];
            }
        }
        if (args.out.data == nullptr) {
            continue;
        }
        squares = reduce_block<THREADS>(squares, Add{}, scratch);
        const float factor = 1.0f / sqrtf(squares / static_cast<float>(args.columns) + args.epsilon);
#pragma unroll
        for (int i = 0; i < KEPT; ++i) {
            const int64_t column = first + i * STRIDE;
            if (column < args.columns) {
                write_output<ALIGNED>(args, row, column, factor, kept[i]);
            }
        }
        for (int64_t column = first + KEPT * STRIDE; column < args.columns; column += STRIDE) {
            float values[STEP];
            read_input<ALIGNED>(args, row, column, false, values);
            write_output<ALIGNED>(args, row, column, factor, values);
        }
    }
}

template <class T, class Delta>
void norm(const tsp_rms_norm_args &args, const tsp_launch &where) {
    const int64_t columns = args.x.shape[args.x.rank - 1];
    const int64_t rows = row_count(args.x, "x", columns);
    const bool normed = args.weight.data != nullptr;
    const Operands<T, Delta> operands{
        rows_of<const T>(args.x),
        rows_of<const Delta>(args.delta),
        static_cast<const T *>(args.weight.data),
        rows_of<T>(args.sum),
        normed ? rows_of<T>(args.out) : Rows<T>{},
        rows,
        columns,
        args.epsilon};
    const bool aligned = has_vector_rows(args.x) && has_vector_rows(args.delta) && has_vector_rows(args.sum)
        && is_vector(args.weight.data) && (!normed || has_vector_rows(args.out));
    const Grid grid{blocks_for(rows), THREADS, sizeof(float) * (THREADS / WARP)};
    launch(
        "rms_norm_forward",
        aligned ? norm_rows<true, T, Delta> : norm_rows<false, T, Delta>,
        grid,
        stream_of(where),
        operands);
}

} // namespace

tsp_status rms_norm_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_rms_norm_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        if (args.x.dtype == TSP_F32) {
            norm<float, float>(args, where);
        } else if (args.delta.dtype == TSP_F32) {
            norm<bf16, float>(args, where);
        } else {
            norm<bf16, bf16>(args, where);
        }
    });
}

} // namespace tsp::gpu
