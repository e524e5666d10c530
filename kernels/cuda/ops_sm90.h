/* Ops that sm_90a has of its own. Each takes what the op of every GPU takes, and hands over to it what it cannot do. */
#pragma once

#include "tsp_kernels.h"

namespace tsp::gpu {

tsp_status attention_forward_sm90(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status gated_mlp_forward_sm90(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status gated_mlp_backward_sm90(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;

} // namespace tsp::gpu
