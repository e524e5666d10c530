/* Attention of one query in float64, written as tsp_kernels.h says it, and how far a correct kernel may be from it. */
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "tsp_kernels.h"

namespace tsp::test {

inline double value_at(const tsp_tensor &tensor, int64_t row, int64_t head, int64_t x) {
    const int64_t at = row * tensor.strides[0] + head * tensor.strides[1] + x * tensor.strides[2];
    if (tensor.dtype == TSP_F32) {
        return static_cast<const float *>(tensor.data)[at];
    }
    const uint32_t bits = uint32_t{static_cast<const uint16_t *>(tensor.data)[at]} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

struct Expected {
    std::vector<double> out;
    std::vector<double> out_bound;
    double lse;
    double lse_bound;
    int64_t visible;
};

/* The query in this row, at this index of the whole sequence, of sequence b. */
inline Expected expected_attention(
    const tsp_attention_args &args, int64_t b, int64_t row, int64_t index, int64_t head) {
    const int64_t head_dim = args.q.shape[2];
    const int64_t kv_head = head / (args.q.shape[1] / args.k.shape[1]);
    const auto *kv_start = static_cast<const int32_t *>(args.kv_start.data);
    std::vector<double> scores;
    std::vector<int64_t> rows;
    double terms = 0; /* the largest sum of |q k| over a head dimension, for the bound */
    for (int32_t c = 0; c < args.k_chunk_count; ++c) {
        const tsp_chunk &chunk = args.k_chunks[c];
        for (int64_t i = 0; i < chunk.count; ++i) {
            const int64_t j = chunk.start + i;
            const bool visible = ((args.flags & TSP_CAUSAL) == 0 || j <= index)
                && (args.window == 0 || j > index - args.window) && (kv_start == nullptr || j >= kv_start[row]);
            if (!visible) {
                continue;
            }
            const int64_t key_row = chunk.first_row + b * chunk.batch_rows + i;
            double score = 0;
            double magnitude = 0;
            for (int64_t x = 0; x < head_dim; ++x) {
                const double product = value_at(args.q, row, head, x) * value_at(args.k, key_row, kv_head, x);
                score += product;
                magnitude += std::fabs(product);
            }
            scores.push_back(score * double{args.scale});
            rows.push_back(key_row);
            terms = std::fmax(terms, magnitude * double{args.scale});
        }
    }
    const auto dim = static_cast<size_t>(head_dim);
    Expected expected{std::vector<double>(dim), std::vector<double>(dim), 0, 0, static_cast<int64_t>(rows.size())};
    if (rows.empty()) {
        expected.lse = -std::numeric_limits<double>::infinity();
        return expected;
    }
    double top = scores[0];
    for (const double score : scores) {
        top = std::fmax(top, score);
    }
    double sum = 0;
    for (const double score : scores) {
        sum += std::exp(score - top);
    }
    expected.lse = top + std::log(sum);

    /* Rounding: of each product and sum of a score, of the polynomial, of n additions, of P and of the output. */
    const bool is_bf16 = args.v.dtype == TSP_BF16;
    const double fp32 = std::ldexp(1.0, -24);
    const double score_error = fp32 * (static_cast<double>(head_dim) + 4) * terms;
    const double exp_error = is_bf16 ? 4e-6 : 3e-7;
    const double sum_error = fp32 * static_cast<double>(rows.size() + 2);
    const double rounding = is_bf16 ? std::ldexp(1.0, -8) : fp32;
    const double weight_error = 2 * (2 * score_error + exp_error + sum_error) + rounding;
    expected.lse_bound = score_error + exp_error + sum_error + 2 * fp32 * (std::fabs(expected.lse) + std::fabs(top));
    for (size_t x = 0; x < dim; ++x) {
        double magnitude = 0;
        for (size_t n = 0; n < rows.size(); ++n) {
            const double weight = std::exp(scores[n] - top) / sum;
            const double value = value_at(args.v, rows[n], kv_head, static_cast<int64_t>(x));
            expected.out[x] += weight * value;
            magnitude += weight * std::fabs(value);
        }
        expected.out_bound[x] = weight_error * magnitude + 1.01 * rounding * std::fabs(expected.out[x]) + 1e-37;
    }
    return expected;
}

} // namespace tsp::test
