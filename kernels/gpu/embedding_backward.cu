/*
 * Gradient of an embedding table. Rows of one token are added in the order of the tokens, and no two blocks may add to the
 * same row: so the tokens are sorted by id and, within an id, by place, and the block that finds the first token of an id
 * adds up all of them.
 *
 * The keys that are sorted, id and place, differ from each other, so any way of sorting gives the same order: blocks sort
 * pieces in shared memory, and then neighbouring runs are merged, each key finding its place by binary search.
 */
#include <cinttypes>

#include "block.h"
#include "checks.h"
#include "launch.h"
#include "ops.h"
#include "partial.h"

namespace tsp::gpu {
namespace {

constexpr int THREADS = 512;
constexpr int64_t PIECE = 2 * THREADS; /* keys that a block sorts */
constexpr uint64_t OUTSIDE = ~uint64_t{0};

/* Threads that add rows up, and columns of each. */
constexpr int ADDERS = 128;
constexpr int STEP = 8;
/* Rows that are asked for at once. */
constexpr int AHEAD = 4;

struct Ids {
    const int32_t *data;
    int64_t count;
    int64_t vocab_start;
    int64_t vocab;
};

/* The id and then the place of a token; OUTSIDE comes last. */
__device__ __forceinline__ uint64_t key_of(const Ids &ids, int64_t token) {
    if (token >= ids.count) {
        return OUTSIDE;
    }
    const int32_t id = ids.data[token];
    const int64_t row = id - ids.vocab_start;
    return row >= 0 && row < ids.vocab ? uint64_t{static_cast<uint32_t>(id)} << 32 | static_cast<uint64_t>(token) : OUTSIDE;
}

/* Bitonic sort of a block's piece. */
__global__ void __launch_bounds__(THREADS) sort_pieces(Ids ids, uint64_t *sorted) {
    uint64_t *keys = shared_memory<uint64_t>();
    const int thread = static_cast<int>(threadIdx.x);
    const int64_t first = int64_t{blockIdx.x} * PIECE;
    for (int i = thread; i < PIECE; i += THREADS) {
        keys[i] = key_of(ids, first + i);
    }
    for (int size = 2; size <= PIECE; size *= 2) {
        for (int distance = size / 2; distance > 0; distance /= 2) {
            __syncthreads();
            const int lower = thread / distance * (2 * distance) + thread % distance;
            const int upper = lower + distance;
            const bool ascending = (lower & size) == 0;
            const uint64_t a = keys[lower];
            const uint64_t b = keys[upper];
            if ((a > b) == ascending) {
                keys[lower] = b;
                keys[upper] = a;
            }
        }
    }
    __syncthreads();
    for (int i = thread; i < PIECE; i += THREADS) {
        if (first + i < ids.count) {
            sorted[first + i] = keys[i];
        }
    }
}

/* How many of count sorted keys come before key; of equal ones all if they are of the left run. */
__device__ __forceinline__ int64_t rank_of(uint64_t key, const uint64_t *keys, int64_t count, bool equal_before) {
    int64_t low = 0;
    int64_t high = count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        const bool before = equal_before ? keys[middle] <= key : keys[middle] < key;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low;
}

/* Merges runs of width keys with their right neighbours. */
__global__ void __launch_bounds__(THREADS)
merge_runs(const uint64_t *__restrict__ source, uint64_t *__restrict__ target, int64_t count, int64_t width) {
    const int64_t i = int64_t{blockIdx.x} * THREADS + threadIdx.x;
    if (i >= count) {
        return;
    }
    const int64_t run = i / width * width;
    const bool is_right = run / width % 2 == 1;
    const int64_t other = is_right ? run - width : run + width;
    const int64_t left = count - other;
    const int64_t others = left <= 0 ? 0 : smaller(left, width);
    const int64_t rank = rank_of(source[i], source + other, others, is_right);
    target[smaller(run, other) + (i - run) + rank] = source[i];
}

struct Rows {
    const uint64_t *sorted;
    int64_t tokens;
    int64_t vocab_start;
    float *table;
    int64_t table_stride;
    int64_t dout_stride;
    int64_t columns;
    int64_t slices; /* of the columns, one for each block */
    bool accumulate;
};

/* Adds the rows of dout that belong to the token id at `first` of the sorted ones. */
template <bool ALIGNED, class T>
__device__ __forceinline__ void add_rows(const Rows &rows, const T *dout, int64_t first, int64_t column) {
    const int64_t left = rows.columns - column;
    const auto id = static_cast<uint32_t>(rows.sorted[first] >> 32);
    float *target = rows.table + (static_cast<int32_t>(id) - rows.vocab_start) * rows.table_stride + column;
    float sums[STEP] = {};
    if (rows.accumulate) {
        load_some<STEP, ALIGNED>(target, left, 0.0f, sums);
    }
    bool more = true;
    for (int64_t i = first; more; i += AHEAD) {
        float values[AHEAD][STEP];
        bool same[AHEAD];
#pragma unroll
        for (int j = 0; j < AHEAD; ++j) {
            const uint64_t key = i + j < rows.tokens ? rows.sorted[i + j] : OUTSIDE;
            same[j] = static_cast<uint32_t>(key >> 32) == id && key != OUTSIDE;
            if (same[j]) {
                load_some<STEP, ALIGNED>(
                    dout + static_cast<int64_t>(key & 0xffffffffu) * rows.dout_stride + column, left, 0.0f, values[j]);
            }
        }
#pragma unroll
        for (int j = 0; j < AHEAD; ++j) {
#pragma unroll
            for (int k = 0; k < STEP; ++k) {
                sums[k] = same[j] ? sums[k] + values[j][k] : sums[k];
            }
        }
        more = same[AHEAD - 1];
    }
    store_some<STEP, ALIGNED>(target, left, sums);
}

template <bool ALIGNED, class T>
__global__ void __launch_bounds__(ADDERS) add_all(Rows rows, const T *__restrict__ dout) {
    for (int64_t task = blockIdx.x; task < rows.tokens * rows.slices; task += gridDim.x) {
        const int64_t i = task / rows.slices;
        const uint64_t key = rows.sorted[i];
        const bool is_first = key != OUTSIDE && (i == 0 || rows.sorted[i - 1] >> 32 != key >> 32);
        const int64_t column = ((task - i * rows.slices) * ADDERS + threadIdx.x) * STEP;
        if (is_first && column < rows.columns) {
            add_rows<ALIGNED>(rows, dout, i, column);
        }
    }
}

__global__ void __launch_bounds__(THREADS) clear_rows(float *table, int64_t stride, int64_t rows, int64_t columns) {
    const bool aligned = reinterpret_cast<uintptr_t>(table) % VECTOR_BYTES == 0 && stride % 4 == 0;
    const int64_t vectors = aligned ? columns / 4 : 0;
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        float *target = table + row * stride;
        for (int64_t i = threadIdx.x; i < vectors; i += THREADS) {
            reinterpret_cast<float4 *>(target)[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        }
        for (int64_t i = vectors * 4 + threadIdx.x; i < columns; i += THREADS) {
            target[i] = 0.0f;
        }
    }
}

/* Sorted keys, in one of the two arrays of the workspace. */
const uint64_t *sort(const Ids &ids, uint64_t *keys, uint64_t *others, cudaStream_t stream) {
    const auto pieces = static_cast<uint32_t>(divide_up(ids.count, PIECE));
    launch("embedding_backward: sort", sort_pieces, Grid{pieces, THREADS, sizeof(uint64_t) * PIECE}, stream, ids, keys);
    for (int64_t width = PIECE; width < ids.count; width *= 2) {
        const auto blocks = static_cast<uint32_t>(divide_up(ids.count, THREADS));
        launch("embedding_backward: merge", merge_runs, Grid{blocks, THREADS}, stream, keys, others, ids.count, width);
        uint64_t *const sorted = others;
        others = keys;
        keys = sorted;
    }
    return keys;
}

template <class T>
void add(const tsp_embedding_backward_args &args, const tsp_launch &where, const uint64_t *sorted) {
    const int64_t columns = args.dout.shape[1];
    const Rows rows{
        sorted,
        args.ids.shape[0],
        args.vocab_start,
        static_cast<float *>(args.dtable.data),
        args.dtable.strides[0],
        args.dout.strides[0],
        columns,
        divide_up(columns, ADDERS * STEP),
        (args.flags & TSP_ACCUMULATE) != 0};
    const bool aligned = has_vector_rows(args.dout) && has_vector_rows(args.dtable);
    /* Most blocks find nothing to do, so each has one task: a few would have much more than others. */
    const auto blocks = static_cast<uint32_t>(smaller(rows.tokens * rows.slices, int64_t{INT32_MAX}));
    launch(
        "embedding_backward",
        aligned ? add_all<true, T> : add_all<false, T>,
        Grid{blocks, ADDERS},
        stream_of(where),
        rows,
        static_cast<const T *>(args.dout.data));
}

Workspace cut(const tsp_embedding_backward_args &args, void *memory, uint64_t *&keys, uint64_t *&others) {
    Workspace workspace(memory);
    keys = workspace.take<uint64_t>(args.ids.shape[0]);
    others = workspace.take<uint64_t>(args.ids.shape[0] > PIECE ? args.ids.shape[0] : 0);
    return workspace;
}

} // namespace

tsp_status embedding_backward(const void *args_in, const tsp_launch *launch_in, tsp_error *error) noexcept {
    return guard(error, [&] {
        const auto args = read_args<tsp_embedding_backward_args>(args_in);
        const auto where = read_launch(launch_in);
        check(args);
        const int64_t tokens = args.ids.shape[0];
        if (tokens > INT32_MAX) {
            fail(TSP_UNSUPPORTED, "ids: shape[0] is %" PRId64 ", kernels for GPUs take at most %d", tokens, INT32_MAX);
        }
        require_workspace(where, embedding_backward_workspace(&args, &where));
        const tsp_tensor &table = args.dtable;
        if (element_count(table) == 0) {
            return;
        }
        if ((args.flags & TSP_ACCUMULATE) == 0) {
            launch(
                "embedding_backward: clear",
                clear_rows,
                Grid{blocks_for(table.shape[0]), THREADS},
                stream_of(where),
                static_cast<float *>(table.data),
                table.strides[0],
                table.shape[0],
                table.shape[1]);
        }
        uint64_t *keys = nullptr;
        uint64_t *others = nullptr;
        cut(args, where.workspace, keys, others);
        const Ids ids{static_cast<const int32_t *>(args.ids.data), tokens, args.vocab_start, table.shape[0]};
        const uint64_t *sorted = sort(ids, keys, others, stream_of(where));
        if (args.dout.dtype == TSP_BF16) {
            add<bf16>(args, where, sorted);
        } else {
            add<float>(args, where, sorted);
        }
    });
}

int64_t embedding_backward_workspace(const void *args_in, const tsp_launch *launch_in) noexcept {
    return guard_workspace([&] {
        const auto args = read_args<tsp_embedding_backward_args>(args_in);
        read_launch(launch_in);
        check_shapes(args);
        uint64_t *keys = nullptr;
        uint64_t *others = nullptr;
        return cut(args, nullptr, keys, others).bytes();
    });
}

} // namespace tsp::gpu
