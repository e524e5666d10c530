/* The checks of attention's arguments. Compiled once, for the oldest processor. */
#pragma once

#include "tsp_kernels.h"

namespace tsp {

constexpr int MAX_HEAD_DIM = 256;

/* Fails with TSP_INVALID_ARGUMENT unless shapes, chunks and numbers are what tsp_kernels.h wants; data is not looked
 * at. */
void check_attention(const tsp_attention_args &args);

/* That there is data where a run reads or writes it. */
void check_attention_data(const tsp_attention_args &args);

/* The same two for backward. */
void check_attention_backward(const tsp_attention_backward_args &args);
void check_attention_backward_data(const tsp_attention_backward_args &args);

} // namespace tsp
