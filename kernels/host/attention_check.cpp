#include "attention_check.h"

#include <cinttypes>
#include <cmath>

#include "check.h"

namespace tsp {
namespace {

struct NamedTensor {
    const tsp_tensor &tensor;
    const char *name;
};

/* name: of the table that the chunk is entry c of. */
void check_chunk(const tsp_chunk &chunk, const char *name, int32_t c, int64_t batch, int64_t rows) {
    const int64_t free_rows = rows - chunk.count;
    const bool inside = chunk.first_row >= 0 && chunk.batch_rows >= 0 && chunk.first_row <= free_rows
        && (batch <= 1 || chunk.batch_rows <= (free_rows - chunk.first_row) / (batch - 1));
    require(
        inside,
        "%s[%d]: first_row %" PRId64 ", batch_rows %" PRId64 ", count %" PRId64 " leave the tensor of %" PRId64
        " rows in a batch of %" PRId64,
        name,
        c,
        chunk.first_row,
        chunk.batch_rows,
        chunk.count,
        rows,
        batch);
    require(
        chunk.start >= 0 && chunk.start <= INT64_MAX / 2 - chunk.count,
        "%s[%d]: start is %" PRId64,
        name,
        c,
        chunk.start);
}

/* The sequences of a batch do not share the rows of a chunk that is written. */
void require_own_rows(const tsp_chunk &chunk, const char *name, int32_t c, int64_t batch) {
    require(
        batch <= 1 || chunk.batch_rows >= chunk.count,
        "%s[%d]: batch_rows is %" PRId64 ", so that sequences of %" PRId64 " would write the same rows",
        name,
        c,
        chunk.batch_rows,
        chunk.count);
}

enum class Chunks { QUERIES, KEYS };

void check_chunks(Chunks kind, const tsp_chunk *chunks, int32_t chunk_count, int64_t batch, int64_t rows) {
    const char *name = kind == Chunks::QUERIES ? "q_chunks" : "k_chunks";
    require(chunk_count >= 0, "%s: the count is %d", name, chunk_count);
    require(chunk_count == 0 || chunks != nullptr, "%s is NULL", name);
    int64_t end = 0;
    for (int32_t c = 0; c < chunk_count; ++c) {
        const tsp_chunk &chunk = chunks[c];
        require(chunk.count >= 0, "%s[%d]: count is %" PRId64, name, c, chunk.count);
        if (chunk.count == 0) {
            continue;
        }
        check_chunk(chunk, name, c, batch, rows);
        if (kind == Chunks::QUERIES) {
            require_own_rows(chunk, name, c, batch);
        }
        require(
            kind == Chunks::QUERIES || chunk.start >= end,
            "%s[%d]: start is %" PRId64 ", but the chunks before it reach to %" PRId64,
            name,
            c,
            chunk.start,
            end);
        end = chunk.start + chunk.count;
    }
}

} // namespace

void check_attention(const tsp_attention_args &args) {
    require_tensor(args.q, "q", 3, {TSP_F32, TSP_BF16});
    require_tensor(args.k, "k", 3, {args.q.dtype});
    require_tensor(args.v, "v", 3, {args.q.dtype});
    require_tensor(args.out, "out", 3, {args.q.dtype});
    const int64_t head_dim = args.q.shape[2];
    require(
        head_dim % 8 == 0 && head_dim <= MAX_HEAD_DIM,
        "q: the head dimension is %" PRId64 ", a multiple of 8 up to %d is needed",
        head_dim,
        MAX_HEAD_DIM);
    const int64_t heads = args.q.shape[1];
    const int64_t kv_heads = args.k.shape[1];
    require(
        kv_heads > 0 ? heads % kv_heads == 0 : heads == 0,
        "q has %" PRId64 " heads, which is not a multiple of the %" PRId64 " of k",
        heads,
        kv_heads);
    require_shape(args.k, "k", {args.k.shape[0], kv_heads, head_dim});
    require_shape(args.v, "v", {args.k.shape[0], kv_heads, head_dim});
    require_shape(args.out, "out", {args.q.shape[0], heads, head_dim});
    if (args.lse.data != nullptr) {
        require_tensor(args.lse, "lse", 2, {TSP_F32});
        require_shape(args.lse, "lse", {args.q.shape[0], heads});
    }
    if (args.kv_start.data != nullptr) {
        require_tensor(args.kv_start, "kv_start", 1, {TSP_I32});
        require_shape(args.kv_start, "kv_start", {args.q.shape[0]});
    }
    require((args.flags & ~TSP_CAUSAL) == 0, "flags is 0x%x, only TSP_CAUSAL is known", args.flags);
    require(args.batch >= 0, "batch is %" PRId64, args.batch);
    require(args.window >= 0, "window is %" PRId64, args.window);
    require(args.scale > 0 && std::isfinite(args.scale), "scale is %g, it must be positive", double{args.scale});
    check_chunks(Chunks::QUERIES, args.q_chunks, args.q_chunk_count, args.batch, args.q.shape[0]);
    check_chunks(Chunks::KEYS, args.k_chunks, args.k_chunk_count, args.batch, args.k.shape[0]);
}

void check_attention_data(const tsp_attention_args &args) {
    require_data(args.q, "q");
    require_data(args.k, "k");
    require_data(args.v, "v");
    require_data(args.out, "out");
    if (args.lse.data != nullptr) {
        require_data(args.lse, "lse");
    }
    if (args.kv_start.data != nullptr) {
        require_data(args.kv_start, "kv_start");
    }
}

void check_attention_backward(const tsp_attention_backward_args &args) {
    const tsp_attention_args &forward = args.forward;
    check_attention(forward);
    require_tensor(forward.lse, "lse", 2, {TSP_F32});
    require_shape(forward.lse, "lse", {forward.q.shape[0], forward.q.shape[1]});
    for (const auto &[tensor, name] : {NamedTensor{args.dout, "dout"}, NamedTensor{args.dq, "dq"}}) {
        require_tensor(tensor, name, 3, {forward.q.dtype});
        require_shape(tensor, name, {forward.q.shape[0], forward.q.shape[1], forward.q.shape[2]});
    }
    for (const auto &[tensor, name] : {NamedTensor{args.dk, "dk"}, NamedTensor{args.dv, "dv"}}) {
        require_tensor(tensor, name, 3, {TSP_F32});
        require_shape(tensor, name, {forward.k.shape[0], forward.k.shape[1], forward.k.shape[2]});
    }
    require((args.flags & ~TSP_ACCUMULATE) == 0, "flags is 0x%x, only TSP_ACCUMULATE is known", args.flags);
    for (int32_t c = 0; c < forward.k_chunk_count; ++c) {
        require_own_rows(forward.k_chunks[c], "k_chunks", c, forward.batch);
    }
}

void check_attention_backward_data(const tsp_attention_backward_args &args) {
    check_attention_data(args.forward);
    require_data(args.forward.lse, "lse");
    require_data(args.dout, "dout");
    require_data(args.dq, "dq");
    require_data(args.dk, "dk");
    require_data(args.dv, "dv");
}

} // namespace tsp
