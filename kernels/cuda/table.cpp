/* The library's one exported symbol, and its tables: one for the architecture with wgmma and TMA, one for older ones. */
#include <cstdlib>
#include <cstring>

#include "launch.h"
#include "ops.h"
#include "ops_sm90.h"

namespace tsp::gpu {
namespace {

#define TSP_BUILD_INFO(isa) "git=" TSP_GIT_ID "; compiler=" TSP_CUDA_COMPILER "; isa=" isa

constexpr tsp_kernels common(const char *isa, const char *build_info) {
    tsp_kernels table{};
    table.struct_size = sizeof(tsp_kernels);
    table.abi_version = TSP_ABI_VERSION;
    table.build_info = build_info;
    table.isa = isa;
    table.attention_forward = {attention_forward, attention_forward_workspace};
    table.gated_mlp_forward = {gated_mlp_forward, gated_mlp_forward_workspace};
    table.pack_panels = {pack_panels, no_workspace};
    table.rms_norm_forward = {rms_norm_forward, no_workspace};
    table.rope = {rope, no_workspace};
    table.embedding_forward = {embedding_forward, no_workspace};
    table.cross_entropy_update = {cross_entropy_update, no_workspace};
    table.cross_entropy_merge = {cross_entropy_merge, no_workspace};
    table.cross_entropy_finish = {cross_entropy_finish, no_workspace};
    table.copy = {copy, no_workspace};
    table.sum = {sum, no_workspace};
    table.attention_backward = {attention_backward, attention_backward_workspace};
    table.gated_mlp_backward = {gated_mlp_backward, no_workspace};
    table.rms_norm_backward = {rms_norm_backward, rms_norm_backward_workspace};
    table.embedding_backward = {embedding_backward, embedding_backward_workspace};
    table.cross_entropy_backward = {cross_entropy_backward, no_workspace};
    table.column_sum = {column_sum, column_sum_workspace};
    table.square_sum = {square_sum, square_sum_workspace};
    table.clip = {clip, no_workspace};
    table.adamw = {adamw, no_workspace};
    return table;
}

constexpr tsp_kernels for_sm_90a() {
    tsp_kernels table = common("sm_90a", TSP_BUILD_INFO("sm_90a"));
    table.attention_forward.run = attention_forward_sm90;
    table.gated_mlp_forward.run = gated_mlp_forward_sm90;
    table.gated_mlp_backward.run = gated_mlp_backward_sm90;
    return table;
}

constexpr tsp_kernels SM_80 = common("sm_80", TSP_BUILD_INFO("sm_80"));
constexpr tsp_kernels SM_90A = for_sm_90a();

/* The compute capability of the device that launches go to, such as 90. */
int capability() {
    int device = 0;
    const cudaError_t status = cudaGetDevice(&device);
    if (status != cudaSuccess) {
        fail(TSP_UNSUPPORTED, "CUDA: no GPU can be used: %s (%s)", cudaGetErrorString(status), cudaGetErrorName(status));
    }
    return 10 * device_attribute(cudaDevAttrComputeCapabilityMajor)
        + device_attribute(cudaDevAttrComputeCapabilityMinor);
}

const tsp_kernels *find(const char *isa) {
    const int present = capability();
    const bool any = isa == nullptr;
    if (present == 90 && (any || std::strcmp(isa, SM_90A.isa) == 0)) {
        return &SM_90A;
    }
    if (present >= 80 && (any || std::strcmp(isa, SM_80.isa) == 0)) {
        return &SM_80;
    }
    if (any) {
        fail(TSP_UNSUPPORTED, "this GPU's compute capability is %d.%d, 8.0 is needed", present / 10, present % 10);
    }
    const bool known = std::strcmp(isa, SM_90A.isa) == 0 || std::strcmp(isa, SM_80.isa) == 0;
    require(known, "isa '%s' is unknown: use sm_80 or sm_90a", isa);
    fail(
        TSP_UNSUPPORTED,
        "this GPU's compute capability is %d.%d, which cannot run kernels for %s",
        present / 10,
        present % 10,
        isa);
}

} // namespace
} // namespace tsp::gpu

extern "C" const tsp_kernels *tsp_kernels_get(const char *isa, tsp_error *error) {
    try {
        const char *wanted = isa != nullptr ? isa : std::getenv("TSP_CUDA_ISA");
        return tsp::gpu::find(wanted != nullptr && wanted[0] != '\0' ? wanted : nullptr);
    } catch (const tsp::Error &failure) {
        tsp::report(error, failure.status, failure.message);
        return nullptr;
    }
}
