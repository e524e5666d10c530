/*
 * Attention backward in float64, written as tsp_training.h says it, with a bound on what a correct kernel may err; and
 * beside it what a plain loop in fp32 gives that rounds P, dS and dQ as the kernel has to.
 */
#pragma once

#include "attention_reference.h"
#include "op_test.h"

namespace tsp::test {

/* One element of a gradient. */
struct GradientSum {
    double value = 0;
    double fp32 = 0;     /* bound on errors of fp32 arithmetic, without those of adding up the terms */
    double rounding = 0; /* bound on errors of rounding P and dS */
    double magnitude = 0;
    double terms = 0;
    float plain = 0;

    /* value: of a term, exact; error: its bound in fp32; relative: the rounding of its factor. */
    void add(double term, double error, double relative, float plain_term) {
        value += term;
        fp32 += error;
        rounding += relative * (std::fabs(term) + error);
        magnitude += std::fabs(term) + error;
        terms += 1;
        plain += plain_term;
    }

    double fp32_bound() const {
        return fp32 + FP32_ROUNDING * (terms + 3) * magnitude + 1e-37;
    }

    /* output: the relative rounding of the gradient's own dtype. */
    double bound(double output) const {
        const double error = fp32_bound() + rounding;
        return error + 1.01 * output * (std::fabs(value) + error);
    }
};

/* What one query and one key that it sees add to the gradients. */
class AttentionPair {
public:
    AttentionPair(const tsp_attention_backward_args &all, int64_t row, int64_t head, int64_t key)
        : all(all),
          args(all.forward),
          row(row),
          head(head),
          key(key),
          kv(head / (args.q.shape[1] / args.k.shape[1])),
          scale(args.scale),
          relative(args.q.dtype == TSP_BF16 ? BF16_ROUNDING : 0) {
        const double lse = value_at(args.lse, row, head, 0);
        const Dot s = dot(args.q, args.k, key, kv);
        const Dot dp = dot(all.dout, args.v, key, kv);
        const Dot delta = dot(all.dout, args.out, row, head);
        const double dots = FP32_ROUNDING * static_cast<double>(args.q.shape[2] + 4);
        const double exponent_error =
            scale * (dots * s.magnitude + 3 * FP32_ROUNDING * std::fabs(s.value)) + 3 * FP32_ROUNDING * std::fabs(lse);
        p = std::exp(scale * s.value - lse);
        p_error = p * (std::expm1(exponent_error) + (args.q.dtype == TSP_BF16 ? 5e-6 : 2.4e-7));
        ds = p * (dp.value - delta.value);
        ds_error = (p + p_error) * dots * (dp.magnitude + delta.magnitude) + p_error * std::fabs(dp.value - delta.value)
            + 2 * FP32_ROUNDING * std::fabs(ds);
        const float exact_p = std::exp(args.scale * s.plain - static_cast<float>(lse));
        plain_p = rounded(args.q.dtype, exact_p);
        plain_ds = rounded(args.q.dtype, exact_p * (dp.plain - delta.plain));
    }

    void add_dq(GradientSum &sum, int64_t x) const {
        add_ds(sum, value_at(args.k, key, kv, x));
    }

    void add_dk(GradientSum &sum, int64_t x) const {
        add_ds(sum, value_at(args.q, row, head, x));
    }

    void add_dv(GradientSum &sum, int64_t x) const {
        const double dout = value_at(all.dout, row, head, x);
        sum.add(p * dout, std::fabs(dout) * p_error, relative, plain_p * static_cast<float>(dout));
    }

private:
    struct Dot {
        double value = 0;
        double magnitude = 0;
        float plain = 0;
    };

    /* Of this query's row of a with a row of b. */
    Dot dot(const tsp_tensor &a, const tsp_tensor &b, int64_t b_row, int64_t b_head) const {
        Dot sum;
        for (int64_t x = 0; x < args.q.shape[2]; ++x) {
            const double left = value_at(a, row, head, x);
            const double right = value_at(b, b_row, b_head, x);
            sum.value += left * right;
            sum.magnitude += std::fabs(left * right);
            sum.plain += static_cast<float>(left) * static_cast<float>(right);
        }
        return sum;
    }

    void add_ds(GradientSum &sum, double other) const {
        const float plain = args.scale * plain_ds * static_cast<float>(other);
        sum.add(scale * ds * other, std::fabs(scale * other) * ds_error, relative, plain);
    }

    const tsp_attention_backward_args &all;
    const tsp_attention_args &args;
    const int64_t row;
    const int64_t head;
    const int64_t key;
    const int64_t kv;
    const double scale;
    const double relative;
    double p;
    double p_error;
    double ds;
    double ds_error;
    float plain_p;
    float plain_ds;
};

/* All gradients of one call. */
class AttentionBackwardReference {
public:
    explicit AttentionBackwardReference(const tsp_attention_backward_args &all)
        : all(all),
          args(all.forward),
          dq(count(all.dq)),
          dk(count(all.dk)),
          dv(count(all.dv)) {
        for (int32_t c = 0; c < args.q_chunk_count; ++c) {
            const tsp_chunk &chunk = args.q_chunks[c];
            for (int64_t b = 0; b < args.batch; ++b) {
                for (int64_t i = 0; i < chunk.count; ++i) {
                    for (int64_t head = 0; head < args.q.shape[1]; ++head) {
                        add_query(b, chunk.first_row + b * chunk.batch_rows + i, chunk.start + i, head);
                    }
                }
            }
        }
    }

    const GradientSum &dq_at(int64_t row, int64_t head, int64_t x) const {
        return dq[at(all.dq, row, head, x)];
    }

    const GradientSum &dk_at(int64_t row, int64_t head, int64_t x) const {
        return dk[at(all.dk, row, head, x)];
    }

    const GradientSum &dv_at(int64_t row, int64_t head, int64_t x) const {
        return dv[at(all.dv, row, head, x)];
    }

private:
    static size_t count(const tsp_tensor &tensor) {
        return static_cast<size_t>(tensor.shape[0] * tensor.shape[1] * tensor.shape[2]);
    }

    static size_t at(const tsp_tensor &tensor, int64_t row, int64_t head, int64_t x) {
        return static_cast<size_t>((row * tensor.shape[1] + head) * tensor.shape[2] + x);
    }

    void add_query(int64_t b, int64_t row, int64_t index, int64_t head) {
        const auto *kv_start = static_cast<const int32_t *>(args.kv_start.data);
        for (int32_t c = 0; c < args.k_chunk_count; ++c) {
            const tsp_chunk &chunk = args.k_chunks[c];
            for (int64_t i = 0; i < chunk.count; ++i) {
                const int64_t j = chunk.start + i;
                if (((args.flags & TSP_CAUSAL) == 0 || j <= index) && (args.window == 0 || j > index - args.window)
                    && (kv_start == nullptr || j >= kv_start[row])) {
                    add_pair(row, head, chunk.first_row + b * chunk.batch_rows + i);
                }
            }
        }
    }

    void add_pair(int64_t row, int64_t head, int64_t key) {
        const AttentionPair pair(all, row, head, key);
        const int64_t kv = head / (args.q.shape[1] / args.k.shape[1]);
        for (int64_t x = 0; x < args.q.shape[2]; ++x) {
            pair.add_dq(dq[at(all.dq, row, head, x)], x);
            pair.add_dk(dk[at(all.dk, key, kv, x)], x);
            pair.add_dv(dv[at(all.dv, key, kv, x)], x);
        }
    }

    const tsp_attention_backward_args &all;
    const tsp_attention_args &args;
    std::vector<GradientSum> dq;
    std::vector<GradientSum> dk;
    std::vector<GradientSum> dv;
};

} // namespace tsp::test
