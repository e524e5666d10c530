/* Arguments of the kernels of the forward pass. Rules and letters: tsp_kernels.h. */
#ifndef TSP_FORWARD_H
#define TSP_FORWARD_H

#include "tsp_types.h"

/* O = softmax(scale Q K^T + mask) V, one launch for all query chunks (FlashAttention-2, arXiv 2307.08691).
 *
 * Key j is visible to query i of the same sequence iff j <= i (flag TSP_CAUSAL), j > i - window (window > 0), and
 * j >= kv_start[row of i] (kv_start given); i and j are indices in the whole sequence. Query head n reads key/value
 * head n / (H / K). A query that sees no key gets output 0 and log-sum-exp -inf.
 * q [rows, H, d], k and v [rows', K, d], out [rows, H, d]: f32 or bf16, all alike; d a multiple of 8, at most 256.
 * lse f32 [rows, H], natural logarithm, or data == NULL. kv_start i32 [rows], or data == NULL.
 * k_chunks are in ascending order of start and do not overlap. Products accumulate in fp32; P is rounded to the dtype
 * of V before PV. Rows outside the chunks are neither read nor written.
 * scale is finite and positive. Query chunks of a batch do not share rows; key chunks may (batch_rows 0). With bf16
 * inputs exponentials are as exact as bf16 needs, so lse is good to about 5e-6, not to the last bit of fp32.
 * 4 H d FLOPs for each visible pair. */
typedef struct tsp_attention_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor q;
    tsp_tensor k;
    tsp_tensor v;
    tsp_tensor kv_start;
    tsp_tensor out;
    tsp_tensor lse;
    const tsp_chunk *q_chunks;
    const tsp_chunk *k_chunks;
    int32_t q_chunk_count;
    int32_t k_chunk_count;
    int64_t batch;
    int64_t window;
    float scale;
    int32_t reserved;
} tsp_attention_args;
#define TSP_CAUSAL 1u

/* Panels: the layout in which MLP weights are stored and travel. A matrix B [K, N] that right-multiplies activations is
 * cut into panels of TSP_PANEL columns. N and K are padded with zeros: N to a multiple of 64, K of a gate/up matrix to a
 * multiple of 2, K of a down matrix to a multiple of 32. So the number of elements is the same everywhere; their order
 * within a panel is each library's own, and only the library that packed a panel can read it.
 *   CPUs: f32 [N / 64][K][64], bf16 [N / 64][K / 2][64][2] (two consecutive k in each 32-bit word).
 *   GPUs: [N / 64][64][K], both dtypes: rows of K elements.
 * TSP_PANELS_GATE_UP: B = [gate | up]^T, f padded to a multiple of 32. Panel i holds rows 32 i .. 32 i + 31 of both
 *   Hugging Face matrices [f, h]: on CPUs those of gate and then those of up; on GPUs in turn by 8, rows 8 j .. 8 j + 7 of
 *   gate and then the same of up.
 * TSP_PANELS_PLAIN: B = source^T for one source [N, K] (a Hugging Face weight [out, in]; down_proj is [h, f]).
 * Writes panels first_panel, first_panel + 1, ... that the source rows fill; padding is written as zero.
 * source, second: [rows, K], f32 or bf16; panels: rank 1, the whole packed matrix of its dtype. second only for
 * GATE_UP. Sources are cast when dtypes differ (round to nearest even). */
typedef struct tsp_pack_args {
    uint32_t struct_size;
    int32_t layout;
    tsp_tensor source;
    tsp_tensor second;
    tsp_tensor panels;
    int64_t first_panel;
} tsp_pack_args;
#define TSP_PANELS_PLAIN 0
#define TSP_PANELS_GATE_UP 1
#define TSP_PANEL 64

/* Y (+)= (silu(X Wg^T) * (X Wu^T)) Wd^T for one shard of f intermediate features (arXiv 2002.05202).
 * x [T, h] f32 or bf16; gate_up and down: panels of x's dtype as above; y [T, h] f32. f is a multiple of 32 (padded).
 * Products accumulate in fp32, the hidden activation is rounded to x's dtype. TSP_ACCUMULATE adds to y, else y is
 * overwritten. saved [T, 2 f] in x's dtype, if given, receives the pre-activations in panel order for backward.
 * 6 T h f FLOPs. */
typedef struct tsp_gated_mlp_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor x;
    tsp_tensor gate_up;
    tsp_tensor down;
    tsp_tensor y;
    tsp_tensor saved;
    int64_t intermediate;
} tsp_gated_mlp_args;
#define TSP_ACCUMULATE 1u

/* out = x' / sqrt(mean(x'^2) + epsilon) * weight over the last dimension, x' = x + delta (arXiv 1910.07467).
 * x, out [T, n] or [T, heads, n], f32 or bf16; weight [n] of the same dtype; delta (optional) f32 or x's dtype, x's
 * shape; sum (optional, x's dtype) receives x', rounded to its dtype before the norm reads it. sum may be x itself, out
 * may be x itself when sum is not given. Statistics in fp32; the normalised value is rounded to x's dtype before it is
 * multiplied by weight, as Hugging Face does. weight without data: only the sum is written and out is not used. */
typedef struct tsp_rms_norm_args {
    uint32_t struct_size;
    float epsilon;
    tsp_tensor x;
    tsp_tensor delta;
    tsp_tensor weight;
    tsp_tensor sum;
    tsp_tensor out;
} tsp_rms_norm_args;

/* Rotates x [T, heads, d] in place: pairs (i, i + d/2) by positions[t] * inv_freq[i] (arXiv 2104.09864, half-split
 * order as in Hugging Face); cosine and sine are scaled by attention_scale (YaRN, arXiv 2309.00071) and rounded to x's
 * dtype, as Hugging Face does. The angle is one fp32 product. positions i32 [T], inv_freq f32 [d / 2].
 * TSP_INVERSE rotates back (backward). */
typedef struct tsp_rope_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor x;
    tsp_tensor positions;
    tsp_tensor inv_freq;
    float attention_scale;
    int32_t reserved;
} tsp_rope_args;
#define TSP_INVERSE 1u

/* out[t, :] = table[ids[t] - vocab_start, :]. table [V, n], out [T, n], f32 or bf16 alike; ids i32 [T]. Ids outside
 * [vocab_start, vocab_start + V) give zero rows, or leave the row as it is with TSP_KEEP_OUT_OF_RANGE. */
typedef struct tsp_embedding_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor table;
    tsp_tensor ids;
    tsp_tensor out;
    int64_t vocab_start;
} tsp_embedding_args;
#define TSP_KEEP_OUT_OF_RANGE 1u

/* Online log-sum-exp over one vocabulary shard (arXiv 1805.02867). logits f32 [T, V]; labels i32 [T], global ids, a
 * negative one is ignored; state f32 [T, 3] = {running maximum, running sum of exp(x - maximum), label's logit}.
 * TSP_FIRST starts from {-inf, 0, 0}. */
typedef struct tsp_cross_entropy_update_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor logits;
    tsp_tensor labels;
    tsp_tensor state;
    int64_t vocab_start;
} tsp_cross_entropy_update_args;
#define TSP_FIRST 1u

/* Merges parts [P, T, 3] of disjoint vocabulary shards, in ascending order of P, into state [T, 3]. */
typedef struct tsp_cross_entropy_merge_args {
    uint32_t struct_size;
    uint32_t reserved;
    tsp_tensor parts;
    tsp_tensor state;
} tsp_cross_entropy_merge_args;

/* losses[t] = maximum + log(sum) - label's logit, 0 where labels[t] is negative (f32 [T], optional);
 * totals f64 [2] = {sum of the losses in fp64 in row order, number of labels that are not negative}. */
typedef struct tsp_cross_entropy_finish_args {
    uint32_t struct_size;
    uint32_t reserved;
    tsp_tensor state;
    tsp_tensor labels;
    tsp_tensor losses;
    tsp_tensor totals;
} tsp_cross_entropy_finish_args;

/* target = source, any strides, rank 1 to 4, f32 and bf16 in any combination (round to nearest even), i32 to i32. */
typedef struct tsp_copy_args {
    uint32_t struct_size;
    uint32_t reserved;
    tsp_tensor source;
    tsp_tensor target;
} tsp_copy_args;

/* target[i] = ((source_0[i] + source_1[i]) + ...) + source_{count-1}[i]: fp32 sums in exactly this order, target
 * rounded once. Sources and target: count elements each, f32 or bf16 alike. target may be one of the sources. */
typedef struct tsp_sum_args {
    uint32_t struct_size;
    tsp_dtype dtype;
    const void *const *sources;
    void *target;
    int64_t count;
    int32_t source_count;
    int32_t reserved;
} tsp_sum_args;

#endif /* TSP_FORWARD_H */
