/* What each op demands of its arguments, data included; only run may ask for it. Compiled once, for the oldest processor. */
#pragma once

#include "tsp_kernels.h"

namespace tsp {

void check(const tsp_rms_norm_args &args);

/* check_shapes does not look at data: workspace_bytes asks for it. */
void check_shapes(const tsp_gated_mlp_args &args);
void check(const tsp_gated_mlp_args &args);
void check_shapes(const tsp_gated_mlp_backward_args &args);
void check(const tsp_gated_mlp_backward_args &args);

} // namespace tsp
