/*
 * Attention backward after attention forward, both kernels in fp32, against differences of the forward pass in float64:
 * the one test of gradients that does not know how they are computed.
 */
#include "attention_reference.h"
#include "op_test.h"

using namespace tsp::test;

namespace {

constexpr int64_t QUERIES = 9;
constexpr int64_t KEYS = 11;
constexpr int64_t HEADS = 4;
constexpr int64_t KV_HEADS = 2;
constexpr int64_t DIM = 8;
constexpr int64_t FIRST_QUERY = KEYS - QUERIES; /* its index in the whole sequence */

/* What of attention differs from trial to trial. */
struct Rules {
    const char *name;
    bool causal;
    int64_t window;
    bool documents;
};

struct Tensors {
    TestTensor q{{QUERIES, HEADS, DIM}, TSP_F32, 0};
    TestTensor k{{KEYS, KV_HEADS, DIM}, TSP_F32, 0};
    TestTensor v{{KEYS, KV_HEADS, DIM}, TSP_F32, 0};
    TestTensor dout{{QUERIES, HEADS, DIM}, TSP_F32, 0};
    TestTensor out{{QUERIES, HEADS, DIM}, TSP_F32, 0};
    TestTensor lse{{QUERIES, HEADS}, TSP_F32, 0};
    TestTensor kv_start{{QUERIES}, TSP_I32, 0};
    TestTensor dq{{QUERIES, HEADS, DIM}, TSP_F32, 0};
    TestTensor dk{{KEYS, KV_HEADS, DIM}, TSP_F32, 0};
    TestTensor dv{{KEYS, KV_HEADS, DIM}, TSP_F32, 0};
    const tsp_chunk queries{0, QUERIES, QUERIES, FIRST_QUERY};
    const tsp_chunk keys{0, KEYS, KEYS, 0};
};

/* All three inputs in float64, one behind the other. */
using Inputs = std::vector<double>;
constexpr int64_t K_AT = QUERIES * HEADS * DIM;
constexpr int64_t V_AT = K_AT + KEYS * KV_HEADS * DIM;
constexpr int64_t INPUTS = V_AT + KEYS * KV_HEADS * DIM;

bool visible(const Rules &rules, const Tensors &tensors, int64_t query, int64_t key) {
    const int64_t index = FIRST_QUERY + query;
    return (!rules.causal || key <= index) && (rules.window == 0 || key > index - rules.window)
        && (!rules.documents || static_cast<double>(key) >= get(tensors.kv_start.view, query));
}

/* sum(dout * attention(inputs)). */
double loss(const Rules &rules, const Tensors &tensors, const Inputs &x, double scale) {
    double total = 0;
    for (int64_t query = 0; query < QUERIES; ++query) {
        for (int64_t head = 0; head < HEADS; ++head) {
            const int64_t kv = head / (HEADS / KV_HEADS);
            double sum = 0;
            double weighted = 0;
            for (int64_t key = 0; key < KEYS; ++key) {
                if (!visible(rules, tensors, query, key)) {
                    continue;
                }
                double score = 0;
                double value = 0;
                for (int64_t i = 0; i < DIM; ++i) {
                    const auto of_query = static_cast<size_t>((query * HEADS + head) * DIM + i);
                    const auto of_key = static_cast<size_t>((key * KV_HEADS + kv) * DIM + i);
                    score += x[of_query] * x[K_AT + of_key];
                    value += get(tensors.dout.view, query, head, i) * x[V_AT + of_key];
                }
                sum += std::exp(scale * score);
                weighted += std::exp(scale * score) * value;
            }
            total += sum > 0 ? weighted / sum : 0;
        }
    }
    return total;
}

void test_rules(const Level &level, const Rules &rules) {
    Tensors tensors;
    fill_normal(tensors.q.view, 1);
    fill_normal(tensors.k.view, 2);
    fill_normal(tensors.v.view, 3);
    fill_normal(tensors.dout.view, 4);
    for (int64_t query = 0; query < QUERIES; ++query) {
        put(tensors.kv_start.view, query == 5 ? KEYS : FIRST_QUERY + query - query % 4, query);
    }
    tsp_attention_backward_args args{};
    args.struct_size = sizeof args;
    args.forward.struct_size = sizeof args.forward;
    args.forward.flags = rules.causal ? TSP_CAUSAL : 0;
    args.forward.q = tensors.q.view;
    args.forward.k = tensors.k.view;
    args.forward.v = tensors.v.view;
    args.forward.out = tensors.out.view;
    args.forward.lse = tensors.lse.view;
    if (rules.documents) {
        args.forward.kv_start = tensors.kv_start.view;
    }
    args.forward.q_chunks = &tensors.queries;
    args.forward.k_chunks = &tensors.keys;
    args.forward.q_chunk_count = args.forward.k_chunk_count = 1;
    args.forward.batch = 1;
    args.forward.window = rules.window;
    args.forward.scale = 0.4f;
    args.dout = tensors.dout.view;
    args.dq = tensors.dq.view;
    args.dk = tensors.dk.view;
    args.dv = tensors.dv.view;
    level.run_ok(level.kernels.attention_forward, args.forward, 2);
    level.run_ok(level.kernels.attention_backward, args, 2);

    Inputs inputs;
    for (const tsp_tensor &tensor : {args.forward.q, args.forward.k, args.forward.v}) {
        for_each(tensor, [&](int64_t i, int64_t j, int64_t x) { inputs.push_back(get(tensor, i, j, x)); });
    }
    std::vector<double> gradients;
    for (const tsp_tensor &tensor : {args.dq, args.dk, args.dv}) {
        for_each(tensor, [&](int64_t i, int64_t j, int64_t x) { gradients.push_back(get(tensor, i, j, x)); });
    }
    /* The difference errs by about STEP^2; the kernel by some hundred roundings of numbers around 1. */
    constexpr double STEP = 1e-4;
    for (size_t i = 0; i < INPUTS; ++i) {
        Inputs changed = inputs;
        changed[i] = inputs[i] + STEP;
        const double above = loss(rules, tensors, changed, double{args.forward.scale});
        changed[i] = inputs[i] - STEP;
        const double below = loss(rules, tensors, changed, double{args.forward.scale});
        const double wanted = (above - below) / (2 * STEP);
        const double bound = STEP * STEP * 10 + 100 * FP32_ROUNDING * (1 + std::fabs(wanted));
        level.close(gradients[i], wanted, bound, std::string(rules.name) + ": gradient " + std::to_string(i));
    }
}

} // namespace

int main() {
    return test_levels("attention_differences_test", [](const Level &level) {
        test_rules(level, {"causal", true, 0, false});
        test_rules(level, {"not causal", false, 0, false});
        test_rules(level, {"window", true, 3, false});
        test_rules(level, {"documents", true, 0, true});
        test_rules(level, {"documents and window, not causal", false, 4, true});
    });
}
