/*
 * RMSNorm backward. A block takes a part of the rows, one after the other, and keeps their share of dweight; a second
 * kernel adds up the parts. A team of threads has a row in its registers: a warp, or the whole block. Rows that are too
 * long for that, or not aligned to vectors, are read twice, element by element.
 */
#include "block.h"
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "row_parts.h"
#include "rows.h"

namespace tsp::gpu {
namespace {

constexpr int LEAST_THREADS = 256;
constexpr int STEP = 8;
/* Vectors of STEP elements that a thread keeps. */
constexpr int KEPT = 2;

/* Columns that a team of threads can keep. */
constexpr int64_t columns_of_team(int team) {
    return int64_t{team} * (STEP * KEPT);
}

constexpr int SHORT_TEAM = WARP;
constexpr int MIDDLE_TEAM = LEAST_THREADS;
constexpr int LONG_TEAM = 2 * LEAST_THREADS;

template <class T, class Dout, class Dx>
struct Operands {
    RowParts parts;
    Rows<const T> x;
    const T *weight;
    Rows<const Dout> dout;
    Rows<Dx> dx;
    Rows<T> rounded;
    float *sums; /* of dweight, for each part */
    float epsilon;
    bool accumulate;
};

/* dx = dout factor weight + x slope: factor is r and slope -r^2 mean(g z). */
struct Factors {
    float factor;
    float slope;
};

/* squares, products: of x^2 and x dout weight, each thread's part of a row. scratch: two floats for each warp, not those of
 * the row before, so that one barrier is enough. */
template <int TEAM>
__device__ __forceinline__ Factors
factors_of(float squares, float products, int64_t columns, float epsilon, float *scratch) {
    squares = reduce_warp(squares, Add{});
    products = reduce_warp(products, Add{});
    if constexpr (TEAM > WARP) {
        constexpr int WARPS = TEAM / WARP;
        const int thread = static_cast<int>(threadIdx.x);
        if (thread % WARP == 0) {
            scratch[thread / WARP] = squares;
            scratch[WARPS + thread / WARP] = products;
        }
        __syncthreads();
        squares = scratch[0];
        products = scratch[WARPS];
#pragma unroll
        for (int warp = 1; warp < WARPS; ++warp) {
            squares += scratch[warp];
            products += scratch[WARPS + warp];
        }
    }
    const auto n = static_cast<float>(columns);
    const float factor = 1.0f / sqrtf(squares / n + epsilon);
    const float mean = products * factor / n;
    return {factor, -factor * factor * mean};
}

template <class T>
__device__ __forceinline__ void add_products(
    const T *weight, const float (&x)[STEP], const float (&dout)[STEP], float &squares, float &products) {
    float weights[STEP];
    load<STEP, true>(weight, weights);
#pragma unroll
    for (int i = 0; i < STEP; ++i) {
        squares += x[i] * x[i];
        products += x[i] * (dout[i] * weights[i]);
    }
}

/* STEP elements of dx and rounded, and what they add to dweight. */
template <class T, class Dx>
__device__ __forceinline__ void write_step(
    const T *weight, const float (&x)[STEP], const float (&dout)[STEP], const Factors &factors, Dx *dx, T *rounded,
    bool accumulate, float (&dweight)[STEP]) {
    float values[STEP];
    load<STEP, true>(weight, values);
#pragma unroll
    for (int i = 0; i < STEP; ++i) {
        const float scaled = dout[i] * factors.factor;
        values[i] = scaled * values[i] + x[i] * factors.slope;
        dweight[i] += scaled * x[i];
    }
    if (accumulate) {
        float held[STEP];
        load<STEP, true>(dx, held);
#pragma unroll
        for (int i = 0; i < STEP; ++i) {
            values[i] += held[i];
        }
    }
    store<STEP, true>(dx, values);
    if (rounded != nullptr) {
#pragma unroll
        for (int i = 0; i < STEP; ++i) {
            values[i] = nearest<Dx>(values[i]);
        }
        store<STEP, true>(rounded, values);
    }
}

/* The dweight of a block: of its one team, or the sum of its teams' in shared memory, [team][columns]. */
template <int TEAM, int THREADS>
__device__ __forceinline__ void
write_dweight(const RowParts &parts, float *target, float *shared, const float (&dweight)[KEPT][STEP]) {
    const int thread = static_cast<int>(threadIdx.x);
    float *own = TEAM == THREADS ? target : shared + thread / TEAM * columns_of_team(TEAM);
#pragma unroll
    for (int i = 0; i < KEPT; ++i) {
        const int64_t column = (i * TEAM + thread % TEAM) * STEP;
        if (column < parts.columns) {
            store<STEP, true>(own + column, dweight[i]);
        }
    }
    if constexpr (TEAM < THREADS) {
        __syncthreads();
        for (int64_t column = thread; column < parts.columns; column += THREADS) {
            float total = 0.0f;
#pragma unroll
            for (int team = 0; team < THREADS / TEAM; ++team) {
                total += shared[team * columns_of_team(TEAM) + column];
            }
            target[column] = total;
        }
    }
}

/* Rows of at most columns_of_team(TEAM) elements, whose number is a multiple of STEP, all aligned to vectors. */
template <int TEAM, int THREADS, class T, class Dout, class Dx>
__global__ void __launch_bounds__(THREADS) differentiate_kept(Operands<T, Dout, Dx> args) {
    constexpr int TEAMS = THREADS / TEAM;
    float *shared = shared_memory<float>();
    const int64_t n = args.parts.columns;
    const int64_t end = smaller((blockIdx.x + int64_t{1}) * args.parts.part_rows, args.parts.rows);
    const int lane = static_cast<int>(threadIdx.x) % TEAM * STEP;
    float dweight[KEPT][STEP] = {};
    int turn = 0;
    for (int64_t row = blockIdx.x * args.parts.part_rows + threadIdx.x / TEAM; row < end; row += TEAMS) {
        const T *x_row = args.x.row(row);
        const Dout *dout_row = args.dout.row(row);
        float x[KEPT][STEP];
        float dout[KEPT][STEP];
        float squares = 0.0f;
        float products = 0.0f;
#pragma unroll
        for (int i = 0; i < KEPT; ++i) {
            const int column = lane + i * TEAM * STEP;
            if (column < n) {
                load<STEP, true>(x_row + column, x[i]);
                load<STEP, true>(dout_row + column, dout[i]);
            }
        }
#pragma unroll
        for (int i = 0; i < KEPT; ++i) {
            const int column = lane + i * TEAM * STEP;
            if (column < n) {
                add_products(args.weight + column, x[i], dout[i], squares, products);
            }
        }
        const auto factors = factors_of<TEAM>(squares, products, n, args.epsilon, shared + turn * (2 * THREADS / WARP));
        turn = 1 - turn;
        Dx *dx = args.dx.row(row);
        T *rounded = args.rounded.data == nullptr ? nullptr : args.rounded.row(row);
#pragma unroll
        for (int i = 0; i < KEPT; ++i) {
            const int column = lane + i * TEAM * STEP;
            if (column < n) {
                write_step(
                    args.weight + column,
                    x[i],
                    dout[i],
                    factors,
                    dx + column,
                    rounded == nullptr ? nullptr : rounded + column,
                    args.accumulate,
                    dweight[i]);
            }
        }
    }
    write_dweight<TEAM, THREADS>(args.parts, args.sums + blockIdx.x * args.parts.stride(), shared, dweight);
}

/* Any rows. */
template <class T, class Dout, class Dx>
__global__ void __launch_bounds__(LEAST_THREADS) differentiate_any(Operands<T, Dout, Dx> args) {
    float *shared = shared_memory<float>();
    const int64_t n = args.parts.columns;
    const int64_t first = blockIdx.x * args.parts.part_rows;
    const int64_t end = smaller(first + args.parts.part_rows, args.parts.rows);
    float *dweight = args.sums + blockIdx.x * args.parts.stride();
    int turn = 0;
    for (int64_t row = first; row < end; ++row) {
        const T *x = args.x.row(row);
        const Dout *dout = args.dout.row(row);
        float squares = 0.0f;
        float products = 0.0f;
        for (int64_t j = threadIdx.x; j < n; j += LEAST_THREADS) {
            const float value = to_float(x[j]);
            squares += value * value;
            products += value * (to_float(dout[j]) * to_float(args.weight[j]));
        }
        const auto factors = factors_of<LEAST_THREADS>(
            squares, products, n, args.epsilon, shared + turn * (2 * LEAST_THREADS / WARP));
        turn = 1 - turn;
        Dx *dx = args.dx.row(row);
        for (int64_t j = threadIdx.x; j < n; j += LEAST_THREADS) {
            const float value = to_float(x[j]);
            const float scaled = to_float(dout[j]) * factors.factor;
            const float held = args.accumulate ? to_float(dx[j]) : 0.0f;
            const Dx result = from_float<Dx>(scaled * to_float(args.weight[j]) + value * factors.slope + held);
            dweight[j] = (row == first ? 0.0f : dweight[j]) + scaled * value;
            dx[j] = result;
            if (args.rounded.data != nullptr) {
                args.rounded.row(row)[j] = from_float<T>(to_float(result));
            }
        }
    }
}

RowParts parts_of(const tsp_rms_norm_backward_args &args) {
    const int64_t n = args.x.shape[args.x.rank - 1];
    const int64_t rows = n == 0 ? 0 : element_count(args.x) / n;
    return n <= columns_of_team(SHORT_TEAM) ? RowParts(rows, n, 1024, 16) : RowParts(rows, n, 384, 1);
}

template <int TEAM, class T, class Dout, class Dx>
void launch_kept(const Operands<T, Dout, Dx> &operands, uint32_t blocks, cudaStream_t stream) {
    constexpr int THREADS = TEAM < LEAST_THREADS ? LEAST_THREADS : TEAM;
    constexpr int64_t FLOATS = TEAM == THREADS ? 4 * THREADS / WARP : THREADS / TEAM * columns_of_team(TEAM);
    launch(
        "rms_norm_backward",
        differentiate_kept<TEAM, THREADS, T, Dout, Dx>,
        Grid{blocks, THREADS, sizeof(float) * FLOATS},
        stream,
        operands);
}

template <class T, class Dout, class Dx>
void differentiate(const tsp_rms_norm_backward_args &args, const tsp_launch &where) {
    const RowParts parts = parts_of(args);
    const int64_t n = parts.columns;
    auto *sums = static_cast<float *>(where.workspace);
    const Operands<T, Dout, Dx> operands{
        parts,
        rows_of<const T>(args.x),
        static_cast<const T *>(args.weight.data),
        rows_of<const Dout>(args.dout),
        rows_of<Dx>(args.dx),
        rows_of<T>(args.rounded),
        sums,
        args.epsilon,
        (args.flags & TSP_ACCUMULATE) != 0};
    const bool aligned = n % STEP == 0 && has_vector_rows(args.x) && is_vector(args.weight.data)
        && has_vector_rows(args.dout) && has_vector_rows(args.dx)
        && (args.rounded.data == nullptr || has_vector_rows(args.rounded));
    const auto blocks = static_cast<uint32_t>(parts.parts);
    if (aligned && n <= columns_of_team(SHORT_TEAM)) {
        launch_kept<SHORT_TEAM>(operands, blocks, stream_of(where));
    } else if (aligned && n <= columns_of_team(MIDDLE_TEAM)) {
        launch_kept<MIDDLE_TEAM>(operands, blocks, stream_of(where));
    } else if (aligned && n <= columns_of_team(LONG_TEAM)) {
        launch_kept<LONG_TEAM>(operands, blocks, stream_of(where));
    } else {
        const Grid grid{blocks, LEAST_THREADS, sizeof(float) * (4 * LEAST_THREADS / WARP)};
        launch("rms_norm_backward", differentiate_any<T, Dout, Dx>, grid, stream_of(where), operands);
    }
    add_parts(
        "rms_norm_backward: dweight",
        parts,
        sums,
        static_cast<float *>(args.dweight.data),
        (args.flags & TSP_ACCUMULATE_WEIGHT) != 0,
        stream_of(where));
}

} // namespace

tsp_status rms_norm_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_rms_norm_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        require_workspace(where, rms_norm_backward_workspace(&args, &where));
        const bool dx_f32 = args.dx.dtype == TSP_F32;
        if (args.x.dtype == TSP_F32) {
            differentiate<float, float, float>(args, where);
        } else if (args.dout.dtype == TSP_F32) {
            dx_f32 ? differentiate<bf16, float, float>(args, where) : differentiate<bf16, float, bf16>(args, where);
        } else {
            dx_f32 ? differentiate<bf16, bf16, float>(args, where) : differentiate<bf16, bf16, bf16>(args, where);
        }
    });
}

int64_t rms_norm_backward_workspace(const void *args_in, const tsp_launch *launch_in) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_rms_norm_backward_args>(args_in);
        read_launch(launch_in);
        check_shapes(args);
        return parts_of(args).elements() * static_cast<int64_t>(sizeof(float));
    });
}

} // namespace tsp::gpu
