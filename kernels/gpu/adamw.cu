/*
 * One step of AdamW, element by element, in the order of operations that PyTorch's plain implementation has. All of it is
 * fp32, whatever the moments are kept in.
 */
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "vector.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 256;
constexpr int STEP = 4;

/* What a step does alike with all elements; scalars in fp64 until they are used, as in Python. */
struct Scalars {
    float clip;
    float kept; /* of the parameter, after decay */
    float first_weight;
    float second_kept;
    float second_weight;
    float second_root;
    float epsilon;
    float rate;
};

__device__ __forceinline__ Scalars scalars_of(const float *hyper, float clip, bool decay) {
    const double learning_rate = static_cast<double>(hyper[TSP_HYPER_LEARNING_RATE]);
    const double weight_decay = decay ? static_cast<double>(hyper[TSP_HYPER_WEIGHT_DECAY]) : 0.0;
    return {
        clip,
        static_cast<float>(1.0 - learning_rate * weight_decay),
        static_cast<float>(1.0 - static_cast<double>(hyper[TSP_HYPER_BETA1])),
        hyper[TSP_HYPER_BETA2],
        static_cast<float>(1.0 - static_cast<double>(hyper[TSP_HYPER_BETA2])),
        static_cast<float>(sqrt(static_cast<double>(hyper[TSP_HYPER_BIAS_CORRECTION2]))),
        hyper[TSP_HYPER_EPSILON],
        static_cast<float>(-(learning_rate / static_cast<double>(hyper[TSP_HYPER_BIAS_CORRECTION1])))};
}

__device__ __forceinline__ void
advance(const Scalars &step, float grad, float &parameter, float &first, float &second) {
    grad *= step.clip;
    parameter *= step.kept;
    /* torch.lerp goes from the nearer end. */
    const float way = grad - first;
    first = step.first_weight < 0.5f ? fmaf(step.first_weight, way, first) : fmaf(step.first_weight - 1.0f, way, grad);
    second = fmaf(step.second_weight * grad, grad, second * step.second_kept);
    const float root = sqrtf(second) / step.second_root + step.epsilon;
    parameter += step.rate * first / root;
}

template <class First, class Second, class Rounded>
struct Arrays {
    float *parameter;
    const float *grad;
    First *first;
    Second *second;
    Rounded *rounded; /* may be NULL */
};

/* COUNT 1 where an array is not aligned to vectors. */
template <int COUNT, class First, class Second, class Rounded>
__device__ __forceinline__ void
advance_at(const Arrays<First, Second, Rounded> &arrays, const Scalars &step, int64_t i) {
    float grad[COUNT];
    float parameter[COUNT];
    float first[COUNT];
    float second[COUNT];
    load<COUNT, true>(arrays.grad + i, grad);
    load<COUNT, true>(arrays.parameter + i, parameter);
    load<COUNT, true>(arrays.first + i, first);
    load<COUNT, true>(arrays.second + i, second);
#pragma unroll
    for (int j = 0; j < COUNT; ++j) {
        advance(step, grad[j], parameter[j], first[j], second[j]);
    }
    store<COUNT, true>(arrays.parameter + i, parameter);
    store<COUNT, true>(arrays.first + i, first);
    store<COUNT, true>(arrays.second + i, second);
    if (arrays.rounded != nullptr) {
        store<COUNT, true>(arrays.rounded + i, parameter);
    }
}

template <int COUNT, class First, class Second, class Rounded>
__global__ void __launch_bounds__(THREADS) advance_all(
    Arrays<First, Second, Rounded> arrays, int64_t count, const float *hyper, const float *clip, bool decay) {
    if (clip[1] != 0.0f) {
        return;
    }
    const Scalars step = scalars_of(hyper, clip[0], decay);
    const int64_t thread = int64_t{blockIdx.x} * THREADS + threadIdx.x;
    const int64_t threads = int64_t{gridDim.x} * THREADS;
    const int64_t vectors = count / COUNT;
    for (int64_t i = thread; i < vectors; i += threads) {
        advance_at<COUNT>(arrays, step, i * COUNT);
    }
    if (vectors * COUNT + thread < count) {
        advance_at<1>(arrays, step, vectors * COUNT + thread);
    }
}

template <class First, class Second, class Rounded>
void advance_as(const tsp_adamw_args &args, const tsp_launch &where) {
    const Arrays<First, Second, Rounded> arrays{
        static_cast<float *>(args.parameter.data),
        static_cast<const float *>(args.grad.data),
        static_cast<First *>(args.first.data),
        static_cast<Second *>(args.second.data),
        static_cast<Rounded *>(args.rounded.data)};
    const int64_t count = args.parameter.shape[0];
    const bool aligned = is_vector(arrays.parameter) && is_vector(arrays.grad) && is_vector(arrays.first)
        && is_vector(arrays.second) && is_vector(arrays.rounded);
    launch(
        "adamw",
        aligned ? advance_all<STEP, First, Second, Rounded> : advance_all<1, First, Second, Rounded>,
        Grid{blocks_for(divide_up(count, THREADS * (aligned ? STEP : 1))), THREADS},
        stream_of(where),
        arrays,
        count,
        static_cast<const float *>(args.hyper.data),
        static_cast<const float *>(args.clip.data),
        (args.flags & TSP_DECAY) != 0);
}

template <class First, class Second>
void advance_moments(const tsp_adamw_args &args, const tsp_launch &where) {
    if (args.rounded.dtype == TSP_BF16) {
        advance_as<First, Second, bf16>(args, where);
    } else {
        advance_as<First, Second, float>(args, where);
    }
}

} // namespace

tsp_status adamw(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_adamw_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const bool second_bf16 = args.second.dtype == TSP_BF16;
        if (args.first.dtype == TSP_BF16) {
            second_bf16 ? advance_moments<bf16, bf16>(args, where) : advance_moments<bf16, float>(args, where);
        } else {
            second_bf16 ? advance_moments<float, bf16>(args, where) : advance_moments<float, float>(args, where);
        }
    });
}

} // namespace tsp::gpu
