/* Gradient of the cross-entropy of one vocabulary shard, from the state that all shards have left. */
#include "checks.h"
#include "kernel.h"
#include "ops.h"
#include "rows.h"

namespace tsp::TSP_ISA {
namespace {

/* Logits that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 13;

constexpr float LOG2_E = 1.44269504f;

/* One row. */
template <class T>
struct Row {
    const float *logits;
    T *dlogits;
    float maximum;
    float sum;
    float scale;

    TSP_INLINE Vec exponential(Vec logit) const {
        return exp2((logit - broadcast(maximum)) * broadcast(LOG2_E));
    }

    /* scale * softmax */
    void write(int64_t count, bool streamed) const {
        const Vec factor = broadcast(scale / sum);
        int64_t i = 0;
        for (; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
            const Vec lower = exponential(load(logits + i)) * factor;
            const Vec upper = exponential(load(logits + i + WIDTH)) * factor;
            const Two<false> both{lower, upper};
            streamed ? both.stream_to(dlogits + i) : both.store_to(dlogits + i);
        }
        for (; i < count; i += WIDTH) {
            const int lanes = static_cast<int>(count - i < WIDTH ? count - i : WIDTH);
            store_partial(dlogits + i, exponential(load_partial(logits + i, lanes)) * factor, lanes);
        }
    }

    /* What the label's element becomes. Written as one difference, so that a row whose label is certain gets what is left
     * of it. */
    T at_label(float logit) const {
        const float probability = reduce_max(exponential(broadcast(logit))) / sum;
        return from_float<T>((probability - 1.0f) * scale);
    }
};

template <class T>
void differentiate(const tsp_cross_entropy_backward_args &args, int32_t threads) {
    const int64_t rows = args.logits.shape[0];
    const int64_t vocab = args.logits.shape[1];
    const auto *labels = static_cast<const int32_t *>(args.labels.data);
    const bool in_place = args.dlogits.data == args.logits.data;
    const bool large = !in_place && rows * vocab * static_cast<int64_t>(sizeof(T)) >= STREAM_BYTES;
    parallel_for(threads, rows, 1 + GRAIN / (vocab + 1), [&](int64_t first, int64_t last) {
        for (int64_t t = first; t < last; ++t) {
            const Place place{t, 0};
            const auto *state = row_of<const float>(args.state, place);
            const Row<T> row{
                row_of<const float>(args.logits, place),
                row_of<T>(args.dlogits, place),
                state[0] == MINUS_INFINITY ? 0.0f : state[0],
                state[1],
                *static_cast<const float *>(args.scale.data)};
            if (labels[t] < 0) {
                std::memset(row.dlogits, 0, sizeof(T) * static_cast<size_t>(vocab));
                continue;
            }
            const int64_t label = labels[t] - args.vocab_start;
            const bool has_label = label >= 0 && label < vocab;
            const T label_gradient = has_label ? row.at_label(row.logits[label]) : T{};
            row.write(vocab, large && is_line(row.dlogits));
            if (has_label) {
                row.dlogits[label] = label_gradient;
            }
        }
        stream_fence();
    });
}

} // namespace

tsp_status cross_entropy_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_cross_entropy_backward_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        if (args.dlogits.dtype == TSP_BF16) {
            differentiate<bf16>(args, launch.threads);
        } else {
            differentiate<float>(args, launch.threads);
        }
    });
}

} // namespace tsp::TSP_ISA
