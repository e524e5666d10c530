/* Arguments of the kernels that only training needs: gradients and the optimizer. Rules and letters: tsp_kernels.h. */
#ifndef TSP_TRAINING_H
#define TSP_TRAINING_H

#include "tsp_forward.h"
#include "tsp_types.h"

/* Gradients of attention_forward (FlashAttention-2, arXiv 2307.08691, algorithm 2): with P = exp(scale Q K^T + mask - lse)
 * and D = rowsum(dO * O), dV = P^T dO, dS = P * (dO V^T - D), dQ = scale dS K, dK = scale dS^T Q.
 * forward: its arguments with what it left in out and lse; both are needed.
 * dout [rows, H, d], dq [rows, H, d]: q's dtype; dk, dv f32 [rows', K, d], summed over the H / K heads of a group in
 * fp32. P and dS are rounded to q's dtype before they are multiplied. dq is written for the rows of the query chunks, dk
 * and dv for those of the key chunks: 0 where no query sees the key; with TSP_ACCUMULATE dk and dv are added to. Key chunks
 * of a batch do not share rows. 10 H d FLOPs for each visible pair, S = Q K^T recomputed. */
typedef struct tsp_attention_backward_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_attention_args forward;
    tsp_tensor dout;
    tsp_tensor dq;
    tsp_tensor dk;
    tsp_tensor dv;
} tsp_attention_backward_args;

/* Gradients of gated_mlp_forward but those of the weights, which are plain products of what is left here:
 * dWg = dgate^T x, dWu = dup^T x, dWd = dy^T hidden.
 * x, dy [T, h] and panels of one dtype, as in forward; saved: what forward saved, or without data the pre-activations are
 * recomputed. hidden, dgate, dup [T, F] of x's dtype, F = intermediate; padded features get 0.
 * dx f32 [T, h] = dgate Wg + dup Wu, added to with TSP_ACCUMULATE. Products accumulate in fp32; hidden, dgate and dup are
 * rounded before they are multiplied. 10 T h f FLOPs, 6 of them without the recomputation. */
typedef struct tsp_gated_mlp_backward_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor x;
    tsp_tensor gate_up;
    tsp_tensor down;
    tsp_tensor dy;
    tsp_tensor saved;
    tsp_tensor hidden;
    tsp_tensor dgate;
    tsp_tensor dup;
    tsp_tensor dx;
    int64_t intermediate;
} tsp_gated_mlp_backward_args;

/* Gradients of rms_norm_forward: with r = 1 / sqrt(mean(x^2) + epsilon), z = x r and g = dout * weight,
 * dx = r (g - z mean(g z)), dweight [n] f32 = sum over all rows of dout * z.
 * x [T, n] or [T, heads, n]: what the norm read, x' of forward; dout x's shape, f32 or x's dtype; dx x's shape, f32 or
 * x's dtype, may be dout itself; rounded (optional, x's dtype): receives the final dx. Sums in fp32 in an order that does
 * not depend on the number of threads. TSP_ACCUMULATE adds to dx (f32 only), TSP_ACCUMULATE_WEIGHT to dweight. */
typedef struct tsp_rms_norm_backward_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor x;
    tsp_tensor weight;
    tsp_tensor dout;
    tsp_tensor dx;
    tsp_tensor rounded;
    tsp_tensor dweight;
    float epsilon;
    int32_t reserved;
} tsp_rms_norm_backward_args;
#define TSP_ACCUMULATE_WEIGHT 2u

/* dtable[ids[t] - vocab_start] += dout[t] for t = 0, 1, ..., in this order. dout [T, n] f32 or bf16; ids i32 [T], those
 * outside [vocab_start, vocab_start + V) are left out; dtable f32 [V, n], set to 0 first without TSP_ACCUMULATE. */
typedef struct tsp_embedding_backward_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor dout;
    tsp_tensor ids;
    tsp_tensor dtable;
    int64_t vocab_start;
} tsp_embedding_backward_args;

/* dlogits[t, v] = (softmax(logits)[t, v] - [labels[t] == vocab_start + v]) * scale[0], 0 where labels[t] is negative.
 * logits f32 [T, V] of one vocabulary shard; state f32 [T, 3] of all of them, see tsp_cross_entropy_update_args; scale
 * f32 [1], what one label weighs in the loss; dlogits [T, V] f32, may be logits itself, or bf16. */
typedef struct tsp_cross_entropy_backward_args {
    uint32_t struct_size;
    uint32_t reserved;
    tsp_tensor logits;
    tsp_tensor labels;
    tsp_tensor state;
    tsp_tensor scale;
    tsp_tensor dlogits;
    int64_t vocab_start;
} tsp_cross_entropy_backward_args;

/* out[j] (+)= sum over t of x[t, j], the gradient of a bias. x [T, n] f32 or bf16; out f32 [n], added to with
 * TSP_ACCUMULATE. Sums in fp32 in an order that does not depend on the number of threads. */
typedef struct tsp_column_sum_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor x;
    tsp_tensor out;
} tsp_column_sum_args;

/* out[0] (+)= sum over i of x[i]^2 in fp64, in an order that does not depend on the number of threads. x f32, rank 1; out
 * f64 [1], added to with TSP_ACCUMULATE. Inf and NaN stay what they are. */
typedef struct tsp_square_sum_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor x;
    tsp_tensor out;
} tsp_square_sum_args;

/* What an optimizer's step needs beside tensors, f32: written by the host before each step. */
#define TSP_HYPER_LEARNING_RATE 0
#define TSP_HYPER_BETA1 1
#define TSP_HYPER_BETA2 2
#define TSP_HYPER_EPSILON 3
#define TSP_HYPER_WEIGHT_DECAY 4
#define TSP_HYPER_BIAS_CORRECTION1 5 /* 1 - beta1^step */
#define TSP_HYPER_BIAS_CORRECTION2 6 /* 1 - beta2^step */
#define TSP_HYPER_MAX_NORM 7         /* 0: no clipping */
#define TSP_HYPER_COUNT 8

/* The gradient's norm over all parts and what follows from it: clip f32 [3] = {factor, found, norm} with
 * norm = sqrt(squares[0] + squares[1] + ...), in this order in fp64; factor = min(1, max_norm / (norm + 1e-6)) as PyTorch
 * clips, 1 without a maximum; found = 1 if the norm is Inf or NaN, else 0. squares f64 [parts]; hyper f32
 * [TSP_HYPER_COUNT]. */
typedef struct tsp_clip_args {
    uint32_t struct_size;
    uint32_t reserved;
    tsp_tensor squares;
    tsp_tensor hyper;
    tsp_tensor clip;
} tsp_clip_args;

/* One step of AdamW (arXiv 1711.05101) on n consecutive elements, as PyTorch computes it in fp32: g = grad * clip[0],
 * p -= lr weight_decay p (only with TSP_DECAY), m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
 * p -= lr / c1 * m / (sqrt(v) / sqrt(c2) + epsilon). Does nothing if clip[1], found-Inf, is not 0.
 * parameter, grad f32 [n]; first, second [n] f32 or bf16 (rounded to nearest even); rounded (optional, bf16 or f32 [n])
 * receives the new parameter; hyper, clip as above. All rank 1. */
typedef struct tsp_adamw_args {
    uint32_t struct_size;
    uint32_t flags;
    tsp_tensor parameter;
    tsp_tensor grad;
    tsp_tensor first;
    tsp_tensor second;
    tsp_tensor rounded;
    tsp_tensor hyper;
    tsp_tensor clip;
} tsp_adamw_args;
#define TSP_DECAY 1u

#endif /* TSP_TRAINING_H */
