/* What all kernels share: status codes, dtypes, tensors, where a call runs. See tsp_kernels.h. */
#ifndef TSP_TYPES_H
#define TSP_TYPES_H

#include <stdint.h>

typedef int32_t tsp_status;
#define TSP_OK 0
#define TSP_INVALID_ARGUMENT 1
#define TSP_OUT_OF_MEMORY 2
#define TSP_UNSUPPORTED 3
#define TSP_NOT_READY 4
#define TSP_DEVICE_ERROR 5
#define TSP_COMM_ERROR 6
#define TSP_TIMEOUT 7
#define TSP_ABI_MISMATCH 8
#define TSP_INTERNAL 9

/* Owned by the caller, filled before a function returns a status other than TSP_OK; may be NULL. */
typedef struct tsp_error {
    uint32_t struct_size;
    tsp_status status;
    int32_t vendor_code;
    int32_t reserved;
    char message[240];
} tsp_error;

typedef int32_t tsp_dtype;
#define TSP_F32 0
#define TSP_BF16 1
#define TSP_I32 2
#define TSP_F64 3

#define TSP_MAX_RANK 4

/* A view of memory that somebody else owns. Strides count elements. */
typedef struct tsp_tensor {
    void *data;
    int64_t shape[TSP_MAX_RANK];
    int64_t strides[TSP_MAX_RANK];
    int32_t rank;
    tsp_dtype dtype;
} tsp_tensor;

/* Where a call runs. threads: CPU threads (at least 1). stream: a GPU stream, NULL on CPUs. */
typedef struct tsp_launch {
    uint32_t struct_size;
    int32_t threads;
    void *stream;
    void *workspace; /* 64-byte aligned, at least workspace_bytes(args, launch) */
    int64_t workspace_bytes;
} tsp_launch;

/* A run of consecutive tokens of every sequence of a batch: token i of sequence b stands in row
 * first_row + b * batch_rows + i, and its index in the whole sequence is start + i. */
typedef struct tsp_chunk {
    int64_t first_row;
    int64_t batch_rows;
    int64_t count;
    int64_t start;
} tsp_chunk;

#endif /* TSP_TYPES_H */
