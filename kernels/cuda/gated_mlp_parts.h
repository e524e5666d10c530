/* The two products of gated MLP backward for any GPU from sm_80 on and any argument; sm_90a has better ones for some. */
#pragma once

#include <cuda_runtime.h>

#include "tsp_kernels.h"

namespace tsp::gpu {

/* hidden, dgate and dup. */
void gated_mlp_hidden_gradients(const tsp_gated_mlp_backward_args &args, cudaStream_t stream);

/* dx from dgate and dup. */
void gated_mlp_input_gradient(const tsp_gated_mlp_backward_args &args, cudaStream_t stream);

} // namespace tsp::gpu
