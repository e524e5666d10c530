/* The table of one level; dispatch.cpp chooses among them. */
#include "kernel.h"
#include "ops.h"

#define TSP_TEXT_OF(x) #x
#define TSP_TEXT(x) TSP_TEXT_OF(x)

#if defined(__clang__)
#define TSP_COMPILER "clang " __clang_version__
#else
#define TSP_COMPILER "gcc " __VERSION__
#endif

namespace tsp::TSP_ISA {

extern const tsp_kernels table;

constexpr tsp_kernels table{
    .struct_size = sizeof(tsp_kernels),
    .abi_version = TSP_ABI_VERSION,
    .build_info = "git=" TSP_GIT_ID "; compiler=" TSP_COMPILER "; isa=" TSP_TEXT(TSP_ISA),
    .isa = TSP_TEXT(TSP_ISA),
    .attention_forward = {attention_forward, attention_forward_workspace},
    .gated_mlp_forward = {gated_mlp_forward, gated_mlp_forward_workspace},
    .pack_panels = {pack_panels, no_workspace},
    .rms_norm_forward = {rms_norm_forward, no_workspace},
    .rope = {rope, no_workspace},
    .embedding_forward = {embedding_forward, no_workspace},
    .cross_entropy_update = {cross_entropy_update, no_workspace},
    .cross_entropy_merge = {cross_entropy_merge, no_workspace},
    .cross_entropy_finish = {cross_entropy_finish, no_workspace},
    .copy = {copy, no_workspace},
    .sum = {sum, no_workspace},
    .attention_backward = {attention_backward, attention_backward_workspace},
    .gated_mlp_backward = {gated_mlp_backward, gated_mlp_backward_workspace},
    .rms_norm_backward = {rms_norm_backward, rms_norm_backward_workspace},
    .embedding_backward = {embedding_backward, no_workspace},
    .cross_entropy_backward = {cross_entropy_backward, no_workspace},
    .column_sum = {column_sum, column_sum_workspace},
    .square_sum = {square_sum, square_sum_workspace},
    .clip = {clip, no_workspace},
    .adamw = {adamw, no_workspace},
};

} // namespace tsp::TSP_ISA
