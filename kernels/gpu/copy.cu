/*
 * Copies, casts and changes of stride. The last dimension of both tensors is contiguous, so nothing is ever transposed
 * element by element: the tensors are rows, as long as both allow, and a few threads or many share a row.
 */
#include <type_traits>

#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "vector.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
/* Vectors of a row that a thread copies before its block goes elsewhere. */
constexpr int VECTORS = 4;
constexpr int LEADING = TSP_MAX_RANK - 1;

/* Rows of contiguous elements; leading dimensions that are not there have the shape 1. */
struct Plan {
    int64_t shape[LEADING];
    int64_t source_strides[LEADING];
    int64_t target_strides[LEADING];
    int64_t rows;
    int64_t length; /* of a row */
    int64_t tiles;  /* that a row is cut into */
    int32_t lanes;  /* threads on a row, a power of two */
};

/* Rows as long as both tensors allow. */
Plan join(const tsp_tensor &source, const tsp_tensor &target) {
    Plan plan{};
    int32_t rank = source.rank - 1;
    plan.length = source.shape[rank];
    plan.rows = 1;
    while (rank > 0
           && (source.shape[rank - 1] == 1
               || (source.strides[rank - 1] == plan.length && target.strides[rank - 1] == plan.length))) {
        plan.length *= source.shape[--rank];
    }
    for (int32_t i = 0; i < LEADING; ++i) {
        plan.shape[i] = i < rank ? source.shape[i] : 1;
        plan.source_strides[i] = i < rank ? source.strides[i] : 0;
        plan.target_strides[i] = i < rank ? target.strides[i] : 0;
        plan.rows *= plan.shape[i];
    }
    return plan;
}

/* As bf16, with a NaN's payload: what a cast on CPUs gives, to the bit. */
__device__ __forceinline__ uint32_t cast_pair(float first, float second) {
    return bf16_bits(first) | bf16_bits(second) << 16;
}

/* Elements that a thread copies at once: a vector of the wider type, two of f32 if those become one of bf16. */
template <class Source, class Target, bool ALIGNED>
constexpr int STEP = !ALIGNED ? 1 : std::is_same_v<Source, float> && std::is_same_v<Target, float> ? 4 : 8;

template <class Source, class Target, bool ALIGNED>
__device__ __forceinline__ void copy_step(const Source *source, Target *target) {
    if constexpr (std::is_same_v<Source, Target>) {
        /* Bits, not numbers. */
        if constexpr (ALIGNED) {
            *reinterpret_cast<uint4 *>(target) = *reinterpret_cast<const uint4 *>(source);
        } else {
            *target = *source;
        }
    } else if constexpr (std::is_same_v<Source, bf16>) {
        float values[STEP<Source, Target, ALIGNED>];
        load<STEP<Source, Target, ALIGNED>, ALIGNED>(source, values);
        store<STEP<Source, Target, ALIGNED>, ALIGNED>(target, values);
    } else if constexpr (ALIGNED) {
        float x[8];
        load<8, true>(source, x);
        *reinterpret_cast<uint4 *>(target) =
            make_uint4(cast_pair(x[0], x[1]), cast_pair(x[2], x[3]), cast_pair(x[4], x[5]), cast_pair(x[6], x[7]));
    } else {
        *target = {static_cast<uint16_t>(bf16_bits(*source))};
    }
}

template <bool ALIGNED, class Source, class Target>
__global__ void __launch_bounds__(THREADS)
copy_rows(Plan plan, const Source *__restrict__ source, Target *__restrict__ target) {
    constexpr int STRIDE = STEP<Source, Target, ALIGNED>;
    const int lane = static_cast<int>(threadIdx.x) % plan.lanes;
    const int rows_at_once = THREADS / plan.lanes;
    const int64_t groups = divide_up(plan.rows, rows_at_once);
    for (int64_t task = blockIdx.x; task < groups * plan.tiles; task += gridDim.x) {
        const int64_t group = task / plan.tiles;
        const int64_t row = group * rows_at_once + static_cast<int>(threadIdx.x) / plan.lanes;
        if (row >= plan.rows) {
            continue;
        }
        int64_t rest = row;
        int64_t from = 0;
        int64_t to = 0;
#pragma unroll
        for (int i = LEADING - 1; i >= 0; --i) {
            if (plan.shape[i] > 1) {
                const int64_t next = rest / plan.shape[i];
                const int64_t position = rest - next * plan.shape[i];
                from += position * plan.source_strides[i];
                to += position * plan.target_strides[i];
                rest = next;
            }
        }
        const int64_t tile = (task - group * plan.tiles) * plan.lanes * (VECTORS * STRIDE);
        if (tile + int64_t{plan.lanes} * (VECTORS * STRIDE) <= plan.length) {
#pragma unroll
            for (int i = 0; i < VECTORS; ++i) {
                const int64_t column = tile + (int64_t{i} * plan.lanes + lane) * STRIDE;
                copy_step<Source, Target, ALIGNED>(source + from + column, target + to + column);
            }
            continue;
        }
        for (int64_t column = tile + int64_t{lane} * STRIDE; column < plan.length; column += plan.lanes * STRIDE) {
            if (column + STRIDE <= plan.length) {
                copy_step<Source, Target, ALIGNED>(source + from + column, target + to + column);
            } else {
                for (int64_t j = column; j < plan.length; ++j) {
                    copy_step<Source, Target, false>(source + from + j, target + to + j);
                }
            }
        }
    }
}

template <class Source, class Target>
void copy_all(const tsp_copy_args &args, const tsp_launch &where) {
    if (element_count(args.source) == 0) {
        return;
    }
    Plan plan = join(args.source, args.target);
    const bool aligned = has_vector_rows(args.source) && has_vector_rows(args.target);
    const int64_t step = aligned ? STEP<Source, Target, true> : 1;
    plan.lanes = 1;
    while (plan.lanes < THREADS && plan.lanes * step * VECTORS < plan.length) {
        plan.lanes *= 2;
    }
    plan.tiles = divide_up(plan.length, plan.lanes * step * VECTORS);
    const int64_t tasks = divide_up(plan.rows, THREADS / plan.lanes) * plan.tiles;
    launch(
        "copy",
        aligned ? copy_rows<true, Source, Target> : copy_rows<false, Source, Target>,
        Grid{blocks_for(tasks), THREADS},
        stream_of(where),
        plan,
        static_cast<const Source *>(args.source.data),
        static_cast<Target *>(args.target.data));
}

} // namespace

tsp_status copy(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_copy_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        /* i32 is moved as f32: a copy does not look at the bits. */
        const bool from_bf16 = args.source.dtype == TSP_BF16;
        const bool to_bf16 = args.target.dtype == TSP_BF16;
        if (from_bf16) {
            to_bf16 ? copy_all<bf16, bf16>(args, where) : copy_all<bf16, float>(args, where);
        } else {
            to_bf16 ? copy_all<float, bf16>(args, where) : copy_all<float, float>(args, where);
        }
    });
}

} // namespace tsp::gpu
