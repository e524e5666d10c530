/* Gradient of the cross-entropy of one vocabulary shard, element by element; a block takes a row. */
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "partial.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
constexpr int STEP = 8;

constexpr float LOG2_E = 1.44269504f;

template <class T>
struct Operands {
    const float *logits;
    const int32_t *labels;
    const float *state;
    const float *scale;
    T *dlogits; /* may be logits */
    int64_t logits_stride;
    int64_t state_stride;
    int64_t dlogits_stride;
    int64_t rows;
    int64_t vocab;
    int64_t vocab_start;
};

template <bool ALIGNED, class T>
__global__ void __launch_bounds__(THREADS) differentiate_rows(Operands<T> args) {
    const float scale = *args.scale;
    for (int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
        const float *logits = args.logits + row * args.logits_stride;
        T *dlogits = args.dlogits + row * args.dlogits_stride;
        const float *state = args.state + row * args.state_stride;
        const float maximum = state[0] == -INFINITY ? 0.0f : state[0];
        const float sum = state[1];
        const float factor = scale / sum;
        const bool ignored = args.labels[row] < 0;
        const int64_t label = args.labels[row] - args.vocab_start;
        for (int64_t column = threadIdx.x * STEP; column < args.vocab; column += THREADS * STEP) {
            const int64_t left = args.vocab - column;
            float values[STEP] = {};
            if (!ignored) {
                load_some<STEP, ALIGNED>(logits + column, left, 0.0f, values);
#pragma unroll
                for (int i = 0; i < STEP; ++i) {
                    const float power = exp2f((values[i] - maximum) * LOG2_E);
                    /* The label's as one difference, so that a row whose label is certain gets what is left of it. */
                    values[i] = column + i == label ? (power / sum - 1.0f) * scale : power * factor;
                }
            }
            store_some<STEP, ALIGNED>(dlogits + column, left, values);
        }
    }
}

template <class T>
void differentiate(const tsp_cross_entropy_backward_args &args, const tsp_launch &where) {
    const Operands<T> operands{
        static_cast<const float *>(args.logits.data),
        static_cast<const int32_t *>(args.labels.data),
        static_cast<const float *>(args.state.data),
        static_cast<const float *>(args.scale.data),
        static_cast<T *>(args.dlogits.data),
        args.logits.strides[0],
        args.state.strides[0],
        args.dlogits.strides[0],
        args.logits.shape[0],
        args.logits.shape[1],
        args.vocab_start};
    const bool aligned = has_vector_rows(args.logits) && has_vector_rows(args.dlogits);
    launch(
        "cross_entropy_backward",
        aligned ? differentiate_rows<true, T> : differentiate_rows<false, T>,
        Grid{blocks_for(operands.rows), THREADS},
        stream_of(where),
        operands);
}

} // namespace

tsp_status cross_entropy_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        if (args.dlogits.dtype == TSP_BF16) {
            differentiate<bf16>(args, where);
        } else {
            differentiate<float>(args, where);
        }
    });
}

} // namespace tsp::gpu
