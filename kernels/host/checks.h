/*
 * What each op demands of its arguments. Compiled once, for the oldest processor. check looks at everything, data included,
 * so only run may ask for it; check_shapes looks at the rest, for workspace_bytes.
 */
#pragma once

#include "tsp_kernels.h"

namespace tsp {

/* What follows from the arguments of pack_panels. */
struct PackPlan {
    int64_t rows;           /* of each source */
    int64_t columns;        /* K */
    int64_t depth;          /* K, padded */
    int64_t rows_per_panel; /* of each source */
    int64_t panels;         /* that the rows fill */
};

PackPlan check(const tsp_pack_args &args);
void check(const tsp_rms_norm_args &args);
void check(const tsp_rope_args &args);
void check(const tsp_embedding_args &args);
void check(const tsp_cross_entropy_update_args &args);
void check(const tsp_cross_entropy_merge_args &args);
void check(const tsp_cross_entropy_finish_args &args);
void check(const tsp_copy_args &args);
void check(const tsp_sum_args &args);

void check_shapes(const tsp_rms_norm_backward_args &args);
void check(const tsp_rms_norm_backward_args &args);
void check_shapes(const tsp_embedding_backward_args &args);
void check(const tsp_embedding_backward_args &args);
void check(const tsp_cross_entropy_backward_args &args);
void check_shapes(const tsp_column_sum_args &args);
void check(const tsp_column_sum_args &args);
void check_shapes(const tsp_square_sum_args &args);
void check(const tsp_square_sum_args &args);
void check(const tsp_clip_args &args);
void check(const tsp_adamw_args &args);

/* check_shapes does not look at data: workspace_bytes asks for it. */
void check_shapes(const tsp_gated_mlp_args &args);
void check(const tsp_gated_mlp_args &args);
void check_shapes(const tsp_gated_mlp_backward_args &args);
void check(const tsp_gated_mlp_backward_args &args);

} // namespace tsp
