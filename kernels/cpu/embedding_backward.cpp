/*
 * Gradient of an embedding table. Rows of one token are added in the order of the tokens, so each thread takes columns of
 * its own and walks through all tokens.
 */
#include "checks.h"
#include "kernel.h"
#include "ops.h"
#include "rows.h"

namespace tsp::TSP_ISA {
namespace {

/* Columns that are worth a thread. */
constexpr int64_t GRAIN = 64;

/* What to ask for while a row is added; NULL where there is nothing. */
template <class T>
struct Coming {
    const float *target;
    const T *source;
};

template <class T>
TSP_INLINE void add(float *target, const T *source, int64_t count, const Coming<T> &coming) {
    int64_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) {
        if (coming.target != nullptr) {
            fetch(coming.target + i, WIDTH * sizeof(float));
            fetch(coming.source + i, WIDTH * sizeof(T));
        }
        store(target + i, load(target + i) + load(source + i));
    }
    if (i < count) {
        const int lanes = static_cast<int>(count - i);
        store_partial(target + i, load_partial(target + i, lanes) + load_partial(source + i, lanes), lanes);
    }
}

/* Columns first .. last - 1 of all rows. */
template <class T>
void add_columns(const tsp_embedding_backward_args &args, int64_t first, int64_t last) {
    const int64_t columns = last - first;
    const int64_t tokens = args.ids.shape[0];
    const auto *ids = static_cast<const int32_t *>(args.ids.data);
    const auto target_of = [&](int64_t t) -> float * {
        const int64_t row = ids[t] - args.vocab_start;
        const bool inside = row >= 0 && row < args.dtable.shape[0];
        return inside ? static_cast<float *>(args.dtable.data) + row * args.dtable.strides[0] + first : nullptr;
    };
    const auto source_of = [&](int64_t t) {
        return static_cast<const T *>(args.dout.data) + t * args.dout.strides[0] + first;
    };
    for (int64_t t = 0; t < tokens; ++t) {
        const bool last_token = t + 1 == tokens;
        if (float *target = target_of(t)) {
            const Coming<T> coming{last_token ? nullptr : target_of(t + 1), source_of(last_token ? t : t + 1)};
            add(target, source_of(t), columns, coming);
        }
    }
}

void clear_rows(const tsp_tensor &table, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
        float *target = static_cast<float *>(table.data) + row * table.strides[0];
        std::memset(target, 0, sizeof(float) * static_cast<size_t>(table.shape[1]));
    }
}

} // namespace

tsp_status embedding_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_embedding_backward_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        const int64_t columns = args.dout.shape[1];
        if ((args.flags & TSP_ACCUMULATE) == 0) {
            parallel_for(
                launch.threads,
                args.dtable.shape[0],
                1 + 16 * GRAIN * GRAIN / (columns + 1),
                [&](int64_t first, int64_t last) { clear_rows(args.dtable, first, last); });
        }
        parallel_for(launch.threads, columns, GRAIN, [&](int64_t first, int64_t last) {
            if (args.dout.dtype == TSP_BF16) {
                add_columns<bf16>(args, first, last);
            } else {
                add_columns<float>(args, first, last);
            }
        });
    });
}

} // namespace tsp::TSP_ISA
