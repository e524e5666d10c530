/* Errors of kernels and the checks of arguments that all of them share. Compiled once, for the oldest processor. */
#pragma once

#include <initializer_list>

#include "tsp_kernels.h"

namespace tsp {

/* Thrown inside a kernel's run, caught by guard; never leaves the library. */
struct Error {
    tsp_status status;
    char message[sizeof tsp_error::message];
};

[[noreturn]] void fail(tsp_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fails with TSP_INVALID_ARGUMENT unless condition holds. The message names the argument and its value. */
void require(bool condition, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills error, which may be NULL, and returns status. */
tsp_status report(tsp_error *error, tsp_status status, const char *message) noexcept;

int64_t element_bytes(tsp_dtype dtype);
int64_t element_count(const tsp_tensor &tensor);

/* Rank, dtype (one of dtypes), no negative dimension, last stride 1, no negative stride. */
void require_tensor(const tsp_tensor &tensor, const char *name, int32_t rank, std::initializer_list<tsp_dtype> dtypes);

void require_shape(const tsp_tensor &tensor, const char *name, std::initializer_list<int64_t> shape);

/* Data that is not NULL, unless the tensor is empty, and aligned to one element. Only run may ask for it. */
void require_data(const tsp_tensor &tensor, const char *name);

/* A workspace of at least bytes, aligned to 64. */
void require_workspace(const tsp_launch &launch, int64_t bytes);

} // namespace tsp
