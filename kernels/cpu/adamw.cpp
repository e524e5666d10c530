/*
 * One step of AdamW, element by element, in the order of operations that PyTorch's plain implementation has. All of it is
 * fp32, whatever the moments are kept in.
 */
#include <cmath>

#include "checks.h"
#include "kernel.h"
#include "ops.h"
#include "rows.h"

namespace tsp::TSP_ISA {
namespace {

/* Elements that are worth a thread: also where ranges are cut, so that vectors stand where they do with one thread. */
constexpr int64_t GRAIN = int64_t{1} << 14;

/* What a step does alike with all elements; scalars in fp64 until they are used, as in Python. */
struct Step {
    explicit Step(const tsp_adamw_args &args) {
        const auto *hyper = static_cast<const float *>(args.hyper.data);
        const double learning_rate = hyper[TSP_HYPER_LEARNING_RATE];
        const double decay = (args.flags & TSP_DECAY) != 0 ? hyper[TSP_HYPER_WEIGHT_DECAY] : 0.0;
        clip = static_cast<const float *>(args.clip.data)[0];
        kept = static_cast<float>(1.0 - learning_rate * decay);
        first_weight = static_cast<float>(1.0 - double{hyper[TSP_HYPER_BETA1]});
        second_kept = hyper[TSP_HYPER_BETA2];
        second_weight = static_cast<float>(1.0 - double{hyper[TSP_HYPER_BETA2]});
        second_root = static_cast<float>(std::sqrt(double{hyper[TSP_HYPER_BIAS_CORRECTION2]}));
        epsilon = hyper[TSP_HYPER_EPSILON];
        rate = static_cast<float>(-(learning_rate / hyper[TSP_HYPER_BIAS_CORRECTION1]));
    }

    float clip;
    float kept; /* of the parameter, after decay */
    float first_weight;
    float second_kept;
    float second_weight;
    float second_root;
    float epsilon;
    float rate;
};

/* Vectors of one element each. */
struct Elements {
    Vec parameter;
    Vec first;
    Vec second;

    TSP_INLINE void advance(const Step &step, Vec grad) {
        grad = grad * broadcast(step.clip);
        parameter = parameter * broadcast(step.kept);
        /* torch.lerp goes from the nearer end. */
        const Vec way = grad - first;
        first = step.first_weight < 0.5f ? fma(broadcast(step.first_weight), way, first)
                                         : fma(broadcast(step.first_weight - 1.0f), way, grad);
        second = fma(broadcast(step.second_weight) * grad, grad, second * broadcast(step.second_kept));
        const Vec root = sqrt(second) / broadcast(step.second_root) + broadcast(step.epsilon);
        parameter = parameter + broadcast(step.rate) * first / root;
    }
};

template <class First, class Second, class Rounded>
struct Arrays {
    float *parameter;
    const float *grad;
    First *first;
    Second *second;
    Rounded *rounded; /* may be NULL */

    void advance(const Step &step, int64_t begin, int64_t end, bool streamed) const {
        int64_t i = begin;
        for (; i + 2 * WIDTH <= end; i += 2 * WIDTH) {
            Elements lower{load(parameter + i), load(first + i), load(second + i)};
            lower.advance(step, load(grad + i));
            store(parameter + i, lower.parameter);
            store(first + i, lower.first);
            store(second + i, lower.second);
            const int64_t j = i + WIDTH;
            Elements upper{load(parameter + j), load(first + j), load(second + j)};
            upper.advance(step, load(grad + j));
            store(parameter + j, upper.parameter);
            store(first + j, upper.first);
            store(second + j, upper.second);
            if (rounded != nullptr) {
                const Two<false> both{lower.parameter, upper.parameter};
                streamed ? both.stream_to(rounded + i) : both.store_to(rounded + i);
            }
        }
        for (; i < end; i += WIDTH) {
            const int lanes = static_cast<int>(end - i < WIDTH ? end - i : WIDTH);
            Elements last{
                load_partial(parameter + i, lanes), load_partial(first + i, lanes), load_partial(second + i, lanes)};
            last.advance(step, load_partial(grad + i, lanes));
            store_partial(parameter + i, last.parameter, lanes);
            store_partial(first + i, last.first, lanes);
            store_partial(second + i, last.second, lanes);
            if (rounded != nullptr) {
                store_partial(rounded + i, last.parameter, lanes);
            }
        }
    }
};

template <class First, class Second, class Rounded>
void advance_all(const tsp_adamw_args &args, int32_t threads) {
    const Step step(args);
    const Arrays<First, Second, Rounded> arrays{
        static_cast<float *>(args.parameter.data),
        static_cast<const float *>(args.grad.data),
        static_cast<First *>(args.first.data),
        static_cast<Second *>(args.second.data),
        static_cast<Rounded *>(args.rounded.data)};
    const int64_t count = args.parameter.shape[0];
    const bool streamed = count * static_cast<int64_t>(sizeof(Rounded)) >= STREAM_BYTES && is_line(arrays.rounded);
    parallel_for(threads, count, GRAIN, [&](int64_t begin, int64_t end) {
        arrays.advance(step, begin, end, streamed);
        stream_fence();
    });
}

template <class First, class Second>
void advance_moments(const tsp_adamw_args &args, int32_t threads) {
    if (args.rounded.dtype == TSP_BF16) {
        advance_all<First, Second, bf16>(args, threads);
    } else {
        advance_all<First, Second, float>(args, threads);
    }
}

} // namespace

tsp_status adamw(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_adamw_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        if (static_cast<const float *>(args.clip.data)[1] != 0.0f) {
            return;
        }
        const bool second_bf16 = args.second.dtype == TSP_BF16;
        if (args.first.dtype == TSP_BF16) {
            second_bf16 ? advance_moments<bf16, bf16>(args, launch.threads)
                        : advance_moments<bf16, float>(args, launch.threads);
        } else {
            second_bf16 ? advance_moments<float, bf16>(args, launch.threads)
                        : advance_moments<float, float>(args, launch.threads);
        }
    });
}

} // namespace tsp::TSP_ISA
