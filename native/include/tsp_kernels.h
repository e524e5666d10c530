/*
 * The table of kernels: the one ABI between the Java runtime and libtsp_kernels_{cpu,cuda,hip}.
 *
 * Each library exports a single symbol, tsp_kernels_get, which returns a versioned table of kernels. Every kernel has
 * the same two functions: run, and workspace_bytes for the scratch memory that run needs. What differs between kernels
 * is the struct of arguments, named beside each entry of the table and declared in tsp_forward.h and tsp_training.h.
 *
 * Rules that hold for every kernel
 *  - Valid C11 and C++20; only <stdint.h>; no type whose layout depends on the platform.
 *  - Kernels own nothing, allocate nothing, print nothing, never exit, and remember nothing per thread. Buffers named
 *    in an enqueued call must outlive the event recorded after it.
 *  - On GPUs run returns at once and is ordered by launch->stream; on CPUs it blocks its caller, which is the stream.
 *  - A stream is used by one thread at a time.
 *  - Outputs may not overlap inputs unless the kernel's comment says so.
 *  - Results are deterministic: bit for bit equal from run to run and for every number of threads.
 *  - A tensor with a zero in its shape is legal everywhere and makes the call do nothing (or write only what is left).
 *  - Every tensor's last dimension has stride 1. Rows need no alignment beyond that of one element.
 *  - workspace_bytes answers 0 for arguments that run would refuse; the refusal with its message is run's.
 *  - args->struct_size is sizeof of the caller's struct; the fields it does not cover are zero, and zero means default.
 *
 * Letters in shapes: T token rows, h hidden size, H query heads, K key/value heads, d head dimension, f intermediate
 * size of this shard, V rows of this vocabulary shard.
 */
#ifndef TSP_KERNELS_H
#define TSP_KERNELS_H

#include "tsp_forward.h"
#include "tsp_training.h"
#include "tsp_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* major * 1000 + minor. A reader refuses another major, and a smaller minor than it was built with. */
#define TSP_ABI_VERSION 1001

/* One kernel. args points to the struct named beside the entry of the table. */
typedef struct tsp_kernel {
    tsp_status (*run)(const void *args, const tsp_launch *launch, tsp_error *error);
    int64_t (*workspace_bytes)(const void *args, const tsp_launch *launch);
} tsp_kernel;

typedef struct tsp_kernels {
    uint32_t struct_size;
    uint32_t abi_version;
    const char *build_info;       /* git id, compiler, and for a CPU the instruction set in use, as "key=value; ..." */
    const char *isa;              /* portable, avx2, avx512, avx512bf16; sm_80, sm_90a; gfx942 */
    tsp_kernel attention_forward; /* tsp_attention_args */
    tsp_kernel gated_mlp_forward; /* tsp_gated_mlp_args */
    tsp_kernel pack_panels;       /* tsp_pack_args */
    tsp_kernel rms_norm_forward;  /* tsp_rms_norm_args */
    tsp_kernel rope;              /* tsp_rope_args */
    tsp_kernel embedding_forward; /* tsp_embedding_args */
    tsp_kernel cross_entropy_update; /* tsp_cross_entropy_update_args */
    tsp_kernel cross_entropy_merge;  /* tsp_cross_entropy_merge_args */
    tsp_kernel cross_entropy_finish; /* tsp_cross_entropy_finish_args */
    tsp_kernel copy;                 /* tsp_copy_args */
    tsp_kernel sum;                  /* tsp_sum_args */
    /* since 1001 */
    tsp_kernel attention_backward;     /* tsp_attention_backward_args */
    tsp_kernel gated_mlp_backward;     /* tsp_gated_mlp_backward_args */
    tsp_kernel rms_norm_backward;      /* tsp_rms_norm_backward_args */
    tsp_kernel embedding_backward;     /* tsp_embedding_backward_args */
    tsp_kernel cross_entropy_backward; /* tsp_cross_entropy_backward_args */
    tsp_kernel column_sum;             /* tsp_column_sum_args */
    tsp_kernel square_sum;             /* tsp_square_sum_args */
    tsp_kernel clip;                   /* tsp_clip_args */
    tsp_kernel adamw;                  /* tsp_adamw_args */
} tsp_kernels;

/* Returns this library's table, or NULL with error filled: TSP_UNSUPPORTED when the processor lacks what isa (NULL: the
 * best available; or the environment's TSP_CPU_ISA) needs. The table is valid for the life of the process. */
#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
const tsp_kernels *
tsp_kernels_get(const char *isa, tsp_error *error);

#ifdef __cplusplus
}
#endif

#endif /* TSP_KERNELS_H */
