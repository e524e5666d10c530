#include "check.h"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace tsp {
namespace {

[[noreturn]] void fail_with(tsp_status status, const char *format, va_list values) {
    Error error{};
    error.status = status;
    std::vsnprintf(error.message, sizeof error.message, format, values);
    throw error;
}

const char *dtype_name(tsp_dtype dtype) {
    switch (dtype) {
    case TSP_F32:
        return "f32";
    case TSP_BF16:
        return "bf16";
    case TSP_I32:
        return "i32";
    case TSP_F64:
        return "f64";
    default:
        return "unknown";
    }
}

} // namespace

void fail(tsp_status status, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fail_with(status, format, values);
}

void require(bool condition, const char *format, ...) {
    if (condition) {
        return;
    }
    va_list values;
    va_start(values, format);
    fail_with(TSP_INVALID_ARGUMENT, format, values);
}

tsp_status report(tsp_error *error, tsp_status status, const char *message) noexcept {
    if (error != nullptr && error->struct_size >= sizeof(tsp_error)) {
        error->status = status;
        error->vendor_code = 0;
        std::snprintf(error->message, sizeof error->message, "%s", message);
    }
    return status;
}

int64_t element_bytes(tsp_dtype dtype) {
    switch (dtype) {
    case TSP_BF16:
        return 2;
    case TSP_F64:
        return 8;
    default:
        return 4;
    }
}

int64_t element_count(const tsp_tensor &tensor) {
    int64_t count = 1;
    for (int32_t i = 0; i < tensor.rank; ++i) {
        count *= tensor.shape[i];
    }
    return count;
}

void require_tensor(const tsp_tensor &tensor, const char *name, int32_t rank, std::initializer_list<tsp_dtype> dtypes) {
    require(tensor.rank == rank, "%s: rank is %d, %d is needed", name, tensor.rank, rank);
    bool known = false;
    for (const tsp_dtype dtype : dtypes) {
        known = known || tensor.dtype == dtype;
    }
    require(known, "%s: dtype %s (%d) is not supported here", name, dtype_name(tensor.dtype), tensor.dtype);
    for (int32_t i = 0; i < rank; ++i) {
        require(tensor.shape[i] >= 0, "%s: shape[%d] is %" PRId64, name, i, tensor.shape[i]);
        require(tensor.strides[i] >= 0, "%s: strides[%d] is %" PRId64, name, i, tensor.strides[i]);
    }
    require(
        tensor.shape[rank - 1] <= 1 || tensor.strides[rank - 1] == 1,
        "%s: the last stride is %" PRId64 ", 1 is needed",
        name,
        tensor.strides[rank - 1]);
}

void require_shape(const tsp_tensor &tensor, const char *name, std::initializer_list<int64_t> shape) {
    int32_t i = 0;
    for (const int64_t wanted : shape) {
        require(
            tensor.shape[i] == wanted,
            "%s: shape[%d] is %" PRId64 ", %" PRId64 " is needed",
            name,
            i,
            tensor.shape[i],
            wanted);
        ++i;
    }
}

void require_data(const tsp_tensor &tensor, const char *name) {
    if (std::find(tensor.shape, tensor.shape + tensor.rank, 0) != tensor.shape + tensor.rank) {
        return;
    }
    require(tensor.data != nullptr, "%s: data is NULL", name);
    const auto address = reinterpret_cast<uintptr_t>(tensor.data);
    const auto alignment = static_cast<uintptr_t>(element_bytes(tensor.dtype));
    require(
        address % alignment == 0,
        "%s: data 0x%" PRIxPTR " is not aligned to its elements of %" PRIuPTR " bytes",
        name,
        address,
        alignment);
}

void require_workspace(const tsp_launch &launch, int64_t bytes) {
    if (bytes == 0) {
        return;
    }
    require(
        launch.workspace_bytes >= bytes,
        "launch: workspace_bytes is %" PRId64 ", %" PRId64 " are needed",
        launch.workspace_bytes,
        bytes);
    require(launch.workspace != nullptr, "launch: workspace is NULL");
    const auto address = reinterpret_cast<uintptr_t>(launch.workspace);
    require(address % 64 == 0, "launch: workspace 0x%" PRIxPTR " is not aligned to 64 bytes", address);
}

} // namespace tsp
