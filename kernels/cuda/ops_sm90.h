/* Kernels that are there for sm_90a only. Each falls back to the op of ops.h where its arguments do not suit it. */
#pragma once

#include "tsp_kernels.h"

namespace tsp::gpu {

tsp_status attention_forward_sm90(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;

} // namespace tsp::gpu
