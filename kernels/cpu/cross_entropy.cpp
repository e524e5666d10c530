/*
 * Cross-entropy over a vocabulary that arrives in shards, by an online log-sum-exp: a state of three numbers per row is
 * all that is kept. Sums are taken relative to the running maximum, so no exponential overflows.
 */
#include <cmath>

#include "checks.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Logits that are read for their maximum and, while they are in the first-level cache, for their exponentials. */
constexpr int64_t BLOCK = 4096;

/* Logits, or rows of state, that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 13;

constexpr float LOG2_E = 1.44269504f;

struct State {
    float maximum;
    float sum;
    float label_logit;
};

constexpr State EMPTY{MINUS_INFINITY, 0.0f, 0.0f};

State load_state(const float *source) {
    return {source[0], source[1], source[2]};
}

void store_state(float *target, const State &state) {
    target[0] = state.maximum;
    target[1] = state.sum;
    target[2] = state.label_logit;
}

/* What to subtract from logits before they are exponentiated: while nothing has been seen, the maximum is no number. */
float shift_of(float maximum) {
    return maximum == MINUS_INFINITY ? 0.0f : maximum;
}

/* The maximum of floor and the logits that are numbers. */
float block_maximum(const float *logits, int64_t count, float floor) {
    Vec even = broadcast(floor);
    Vec odd = even;
    int64_t i = 0;
    for (; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
        even = max(load(logits + i), even);
        odd = max(load(logits + i + WIDTH), odd);
    }
    for (; i + WIDTH <= count; i += WIDTH) {
        even = max(load(logits + i), even);
    }
    float largest = reduce_max(max(even, odd));
    for (; i < count; ++i) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    return largest;
}

float sum_of_exponentials(const float *logits, int64_t count, float shift) {
    const Vec shifts = broadcast(shift);
    const Vec log2_e = broadcast(LOG2_E);
    Vec even = zero();
    Vec odd = zero();
    int64_t i = 0;
    for (; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
        even = even + exp2((load(logits + i) - shifts) * log2_e);
        odd = odd + exp2((load(logits + i + WIDTH) - shifts) * log2_e);
    }
    for (; i < count; i += WIDTH) {
        const int lanes = static_cast<int>(count - i < WIDTH ? count - i : WIDTH);
        const Vec powers = exp2((load_partial(logits + i, lanes) - shifts) * log2_e);
        even = even + select_range(powers, zero(), 0, lanes);
    }
    return reduce_add(even + odd);
}

State update(State state, const float *logits, int64_t count) {
    for (int64_t first = 0; first < count; first += BLOCK) {
        const int64_t block = count - first < BLOCK ? count - first : BLOCK;
        const float maximum = block_maximum(logits + first, block, state.maximum);
        const float shift = shift_of(maximum);
        const float kept = state.sum * std::exp(state.maximum - shift);
        state.sum = kept + sum_of_exponentials(logits + first, block, shift);
        state.maximum = maximum;
    }
    return state;
}

/* At most one of the two has seen the label; the other's logit is 0. */
State merge(const State &a, const State &b) {
    const float maximum = b.maximum > a.maximum ? b.maximum : a.maximum;
    const float shift = shift_of(maximum);
    const float sum = a.sum * std::exp(a.maximum - shift) + b.sum * std::exp(b.maximum - shift);
    return {maximum, sum, a.label_logit + b.label_logit};
}

} // namespace

tsp_status cross_entropy_update(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_update_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        const int64_t rows = args.logits.shape[0];
        const int64_t vocab = args.logits.shape[1];
        const bool fresh = (args.flags & TSP_FIRST) != 0;
        const auto *labels = static_cast<const int32_t *>(args.labels.data);
        parallel_for(launch.threads, rows, 1 + GRAIN / (vocab + 1), [&](int64_t first, int64_t last) {
            for (int64_t t = first; t < last; ++t) {
                const float *logits = static_cast<const float *>(args.logits.data) + t * args.logits.strides[0];
                float *target = static_cast<float *>(args.state.data) + t * args.state.strides[0];
                State state = update(fresh ? EMPTY : load_state(target), logits, vocab);
                const int64_t label = labels[t] - args.vocab_start;
                if (labels[t] >= 0 && label >= 0 && label < vocab) {
                    state.label_logit = logits[label];
                }
                store_state(target, state);
            }
        });
    });
}

tsp_status cross_entropy_merge(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_merge_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        const int64_t parts = args.parts.shape[0];
        const int64_t rows = args.parts.shape[1];
        parallel_for(launch.threads, rows, GRAIN, [&](int64_t first, int64_t last) {
            for (int64_t t = first; t < last; ++t) {
                State state = EMPTY;
                for (int64_t p = 0; p < parts; ++p) {
                    const int64_t offset = p * args.parts.strides[0] + t * args.parts.strides[1];
                    state = merge(state, load_state(static_cast<const float *>(args.parts.data) + offset));
                }
                store_state(static_cast<float *>(args.state.data) + t * args.state.strides[0], state);
            }
        });
    });
}

/* One thread: the order of the sum is part of the result, and a logarithm per row is little beside the logits. */
tsp_status cross_entropy_finish(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_finish_args>(args_in);
        read_launch(launch_in);
        check(args);
        const int64_t rows = args.state.shape[0];
        double total = 0.0;
        int64_t labelled = 0;
        for (int64_t t = 0; t < rows; ++t) {
            float loss = 0.0f;
            if (static_cast<const int32_t *>(args.labels.data)[t] >= 0) {
                const State state = load_state(static_cast<const float *>(args.state.data) + t * args.state.strides[0]);
                loss = static_cast<float>(state.maximum + std::log(double{state.sum}) - state.label_logit);
                ++labelled;
            }
            if (args.losses.data != nullptr) {
                static_cast<float *>(args.losses.data)[t] = loss;
            }
            total += loss;
        }
        static_cast<double *>(args.totals.data)[0] = total;
        static_cast<double *>(args.totals.data)[1] = static_cast<double>(labelled);
    });
}

} // namespace tsp::TSP_ISA
