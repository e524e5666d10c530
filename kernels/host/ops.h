/* The kernels of one level. A new op is declared here, entered in table.cpp and listed in CMakeLists.txt. */
#pragma once

#include "tsp_kernels.h"

namespace tsp::TSP_ISA {

tsp_status attention_forward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t attention_forward_workspace(const void *args, const tsp_launch *launch) noexcept;

tsp_status gated_mlp_forward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t gated_mlp_forward_workspace(const void *args, const tsp_launch *launch) noexcept;

tsp_status pack_panels(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status rms_norm_forward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status rope(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status embedding_forward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status cross_entropy_update(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status cross_entropy_merge(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status cross_entropy_finish(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status copy(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status sum(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;

tsp_status attention_backward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t attention_backward_workspace(const void *args, const tsp_launch *launch) noexcept;

tsp_status gated_mlp_backward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t gated_mlp_backward_workspace(const void *args, const tsp_launch *launch) noexcept;

tsp_status rms_norm_backward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t rms_norm_backward_workspace(const void *args, const tsp_launch *launch) noexcept;

tsp_status embedding_backward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t embedding_backward_workspace(const void *args, const tsp_launch *launch) noexcept; /* of GPUs; none on CPUs */

tsp_status cross_entropy_backward(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;

tsp_status column_sum(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t column_sum_workspace(const void *args, const tsp_launch *launch) noexcept;

tsp_status square_sum(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
int64_t square_sum_workspace(const void *args, const tsp_launch *launch) noexcept;

tsp_status clip(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;
tsp_status adamw(const void *args, const tsp_launch *launch, tsp_error *error) noexcept;

} // namespace tsp::TSP_ISA
