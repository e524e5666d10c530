/* The sum of the rows of a matrix. */
#include "checks.h"
#include "kernel.h"
#include "ops.h"
#include "row_parts.h"
#include "rows.h"

namespace tsp::TSP_ISA {
namespace {

/* Rows that are added to each other before they are added to what the rows above gave. */
constexpr int64_t GROUP = 4;

/* fetching: asks for the next group while this one is added. */
template <class T>
TSP_INLINE void add_group(const T *x, int64_t stride, int64_t columns, bool fetching, float *sums) {
    constexpr int64_t STEP = LINE_BYTES / sizeof(T);
    int64_t i = 0;
    for (; i + WIDTH <= columns; i += WIDTH) {
        if (fetching && i % STEP == 0) {
            for (int64_t row = GROUP; row < 2 * GROUP; ++row) {
                fetch(x + row * stride + i, LINE_BYTES);
            }
        }
        const Vec upper = load(x + i) + load(x + stride + i);
        const Vec lower = load(x + 2 * stride + i) + load(x + 3 * stride + i);
        store(sums + i, load(sums + i) + (upper + lower));
    }
    for (; i < columns; ++i) {
        const float upper = to_float(x[i]) + to_float(x[stride + i]);
        const float lower = to_float(x[2 * stride + i]) + to_float(x[3 * stride + i]);
        sums[i] += upper + lower;
    }
}

template <class T>
TSP_INLINE void add_row(const T *x, int64_t columns, float *sums) {
    int64_t i = 0;
    for (; i + WIDTH <= columns; i += WIDTH) {
        store(sums + i, load(sums + i) + load(x + i));
    }
    for (; i < columns; ++i) {
        sums[i] += to_float(x[i]);
    }
}

RowParts parts_of(const tsp_column_sum_args &args) {
    return {args.x.shape[0], args.x.shape[1]};
}

template <class T>
void sum_rows(const tsp_column_sum_args &args, const tsp_launch &launch) {
    const auto *x = static_cast<const T *>(args.x.data);
    const int64_t stride = args.x.strides[0];
    const int64_t columns = args.x.shape[1];
    parts_of(args).sum(
        launch.threads,
        static_cast<float *>(launch.workspace),
        static_cast<float *>(args.out.data),
        (args.flags & TSP_ACCUMULATE) != 0,
        [&](int64_t first, int64_t last, float *sums) {
            int64_t t = first;
            for (; t + GROUP <= last; t += GROUP) {
                add_group(x + t * stride, stride, columns, t + 2 * GROUP <= last, sums);
            }
            for (; t < last; ++t) {
                add_row(x + t * stride, columns, sums);
            }
        });
}

} // namespace

tsp_status column_sum(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_column_sum_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        require_workspace(launch, column_sum_workspace(&args, &launch));
        if (args.x.dtype == TSP_BF16) {
            sum_rows<bf16>(args, launch);
        } else {
            sum_rows<float>(args, launch);
        }
    });
}

int64_t column_sum_workspace(const void *args_in, const tsp_launch *launch) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_column_sum_args>(args_in);
        read_launch(launch);
        check_shapes(args);
        return parts_of(args).elements() * static_cast<int64_t>(sizeof(float));
    });
}

} // namespace tsp::TSP_ISA
