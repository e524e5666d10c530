/* Rows of an embedding table, by token id. */
#include "checks.h"
#include "kernel.h"
#include "ops.h"

namespace tsp::TSP_ISA {
namespace {

/* Bytes that are worth a thread. */
constexpr int64_t GRAIN = int64_t{1} << 16;

} // namespace

tsp_status embedding_forward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_embedding_args>(args_in);
        const auto launch = read_launch(launch_in);
        check(args);
        const int64_t element = element_bytes(args.table.dtype);
        const int64_t row_bytes = args.table.shape[1] * element;
        if (row_bytes == 0) {
            return;
        }
        const bool keep = (args.flags & TSP_KEEP_OUT_OF_RANGE) != 0;
        const auto *ids = static_cast<const int32_t *>(args.ids.data);
        const auto *table = static_cast<const char *>(args.table.data);
        auto *out = static_cast<char *>(args.out.data);
        parallel_for(launch.threads, args.ids.shape[0], 1 + GRAIN / row_bytes, [&](int64_t first, int64_t last) {
            for (int64_t t = first; t < last; ++t) {
                const int64_t row = ids[t] - args.vocab_start;
                char *target = out + t * args.out.strides[0] * element;
                if (row >= 0 && row < args.table.shape[0]) {
                    const char *source = table + row * args.table.strides[0] * element;
                    std::memcpy(target, source, static_cast<size_t>(row_bytes));
                } else if (!keep) {
                    std::memset(target, 0, static_cast<size_t>(row_bytes));
                }
            }
        });
    });
}

} // namespace tsp::TSP_ISA
