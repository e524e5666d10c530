/* RMSNorm backward: the rows in parts and groups. */
#include "checks.h"
#include "kernel.h"
#include "ops.h"
#include "rms_norm_group.h"
#include "row_parts.h"
#include "rows.h"

namespace tsp::TSP_ISA {
namespace {

int64_t columns_of(const tsp_rms_norm_backward_args &args) {
    return args.x.shape[args.x.rank - 1];
}

RowParts parts_of(const tsp_rms_norm_backward_args &args) {
    const int64_t n = columns_of(args);
    return {n == 0 ? 0 : element_count(args.x) / n, n};
}

template <class T, class Dout, class Dx>
class Backward {
public:
    explicit Backward(const tsp_rms_norm_backward_args &args)
        : args(args),
          n(columns_of(args)),
          large(element_count(args.x) * static_cast<int64_t>(sizeof(Dx)) >= STREAM_BYTES),
          groups_ahead(1 + AHEAD / (ROWS * n + 1)),
          accumulate((args.flags & TSP_ACCUMULATE) != 0),
          dx_streamed(large && !accumulate && args.dx.data != args.dout.data && has_lines<Dx>(args.dx)),
          rounded_streamed(large && has_lines<T>(args.rounded)) {}

    /* Rows begin .. end - 1, a part; their share of dweight is added to `dweight`. */
    void run(int64_t begin, int64_t end, float *dweight) const {
        const int64_t groups_end = begin + (end - begin) / ROWS * ROWS;
        for (int64_t i = begin; i < groups_end; i += ROWS) {
            const int64_t coming = i + groups_ahead * ROWS;
            run_group<ROWS>(i, large && coming < groups_end ? coming : NONE, dweight);
        }
        for (int64_t i = groups_end; i < end; ++i) {
            run_group<1>(i, NONE, dweight);
        }
        stream_fence();
    }

private:
    static constexpr int ROWS = 4;
    static constexpr int64_t NONE = -1;

    /* Elements from a group to the one that is asked for, so that short rows come in time. */
    static constexpr int64_t AHEAD = 4096;

    /* Rows first, first + 1, ...; coming: the first row of the group to ask for. */
    template <int COUNT>
    void run_group(int64_t first, int64_t coming, float *dweight) const {
        NormRow<T, Dout, Dx> rows[COUNT];
        NormRow<T, Dout, Dx> next[COUNT];
        for (int i = 0; i < COUNT; ++i) {
            rows[i] = row_at(first + i);
            next[i] = coming == NONE ? rows[i] : row_at(coming + i);
        }
        const NormGroup<T, Dout, Dx, COUNT> group{
            rows, coming == NONE ? nullptr : &next, static_cast<const T *>(args.weight.data), dweight, n, accumulate};
        group.write(group.factors(args.epsilon), dx_streamed, rounded_streamed);
    }

    NormRow<T, Dout, Dx> row_at(int64_t i) const {
        const Place place = place_of(args.x, i);
        return {
            row_of<T>(args.x, place),
            row_of<Dout>(args.dout, place),
            row_of<Dx>(args.dx, place),
            row_of<T>(args.rounded, place)};
    }

    /* All rows start at a line. */
    template <class Element>
    static bool has_lines(const tsp_tensor &tensor) {
        bool lines = is_line(tensor.data);
        for (int32_t i = 0; i + 1 < tensor.rank; ++i) {
            lines = lines && tensor.strides[i] * sizeof(Element) % LINE_BYTES == 0;
        }
        return lines;
    }

    const tsp_rms_norm_backward_args &args;
    int64_t n;
    bool large;
    int64_t groups_ahead;
    bool accumulate;
    bool dx_streamed;
    bool rounded_streamed;
};

template <class T, class Dout, class Dx>
void differentiate(const tsp_rms_norm_backward_args &args, const tsp_launch &launch) {
    const Backward<T, Dout, Dx> backward(args);
    parts_of(args).sum(
        launch.threads,
        static_cast<float *>(launch.workspace),
        static_cast<float *>(args.dweight.data),
        (args.flags & TSP_ACCUMULATE_WEIGHT) != 0,
        [&](int64_t begin, int64_t end, float *dweight) { backward.run(begin, end, dweight); });
}

} // namespace

tsp_status rms_norm_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_rms_norm_backward_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        require_workspace(launch, rms_norm_backward_workspace(&args, &launch));
        const bool dout_f32 = args.dout.dtype == TSP_F32;
        const bool dx_f32 = args.dx.dtype == TSP_F32;
        if (args.x.dtype == TSP_F32) {
            differentiate<float, float, float>(args, launch);
        } else if (dout_f32) {
            dx_f32 ? differentiate<bf16, float, float>(args, launch) : differentiate<bf16, float, bf16>(args, launch);
        } else {
            dx_f32 ? differentiate<bf16, bf16, float>(args, launch) : differentiate<bf16, bf16, bf16>(args, launch);
        }
    });
}

int64_t rms_norm_backward_workspace(const void *args_in, const tsp_launch *launch) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_rms_norm_backward_args>(args_in);
        read_launch(launch);
        check_shapes(args);
        return parts_of(args).elements() * static_cast<int64_t>(sizeof(float));
    });
}

} // namespace tsp::TSP_ISA
