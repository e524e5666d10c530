/* Attention forward at every level against plain float64. A failure here means wrong activations in every scheme. */
#include "attention_trial.h"

using namespace tsp::test;

int main() {
    Report report;
    for (const Case &test : attention_cases()) {
        for (const tsp_dtype dtype : {TSP_F32, TSP_BF16}) {
            Trial trial(test, dtype);
            for_each_level(report, [&](const tsp_kernels &kernels) { trial.run(report, kernels); });
        }
    }
    return report.exit_status("attention_test");
}
