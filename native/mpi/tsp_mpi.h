/*
 * Messages between processes: the ABI between the Java runtime and libtsp_mpi, a shim that is compiled once for each
 * MPI, because MPI itself has no binary interface (handles of Open MPI are pointers, those of MPICH integers).
 *
 * The library exports a single symbol, tsp_mpi_get, which returns a versioned table. Status codes, tsp_error and the
 * rules for struct_size are those of tsp_kernels.h.
 *
 * Rules
 *  - Nothing blocks but init and finalize. Transfers progress inside test, of any request, on any thread.
 *  - Between one pair of ranks, messages of one channel match receives in the order in which each side posted them.
 *    A channel is a number that both sides agree on, from 0 to max_channel; there is nothing to open. The sends, and
 *    likewise the receives, of one channel with one peer are posted by one thread at a time. Threads need no lock
 *    between each other if info.thread_level is TSP_MPI_THREAD_MULTIPLE; at any lower level one thread makes all calls.
 *  - Memory named in a send or recv belongs to MPI until test returns something other than TSP_NOT_READY. After
 *    TSP_COMM_ERROR, or release of a request, it stays with MPI until the process ends.
 *  - A process joins once: after finalize there is no second init.
 *
 * Before libtsp_mpi is loaded, UCX_ERROR_SIGNALS must be in the environment and empty: else an MPI on top of UCX takes
 * over SIGSEGV, which the JVM needs. With more ranks than cores, OMPI_MCA_mpi_yield_when_idle=1 helps Open MPI.
 */
#ifndef TSP_MPI_H
#define TSP_MPI_H

#include "../include/tsp_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* major * 1000 + minor, read as TSP_ABI_VERSION is. */
#define TSP_MPI_ABI_VERSION 1000

#define TSP_MPI_THREAD_SINGLE 0
#define TSP_MPI_THREAD_FUNNELED 1
#define TSP_MPI_THREAD_SERIALIZED 2
#define TSP_MPI_THREAD_MULTIPLE 3

typedef struct tsp_mpi_info {
    uint32_t struct_size;
    int32_t rank;
    int32_t size;
    int32_t thread_level;
    int32_t max_channel;
    int32_t reserved;
    char library[256]; /* first line of MPI's own description of itself */
} tsp_mpi_info;

/* What send and recv return: names one transfer until test has reported its end, or until release. Never 0. */
typedef int64_t tsp_mpi_request;

typedef struct tsp_mpi {
    uint32_t struct_size;
    uint32_t abi_version;
    const char *build_info; /* as in tsp_kernels, with mpi=the MPI that this library was compiled with */

    /* Joins the processes that the launcher started, asking for TSP_MPI_THREAD_MULTIPLE; all of them must call it.
     * Blocks until they have. Without a launcher MPI makes a world of one rank, or ends the process. Fills info. */
    tsp_status (*init)(tsp_mpi_info *info, tsp_error *error);

    /* Posts a message of bytes bytes (0 and more than 2 GiB included) to peer, which may be this rank. */
    tsp_status (*send)(
        const void *data, int64_t bytes, int32_t peer, int32_t channel, tsp_mpi_request *request, tsp_error *error);

    /* Posts a receive of exactly bytes bytes. A message of another length is a TSP_COMM_ERROR of its test. */
    tsp_status (*recv)(
        void *data, int64_t bytes, int32_t peer, int32_t channel, tsp_mpi_request *request, tsp_error *error);

    /* TSP_OK: the transfer is complete. TSP_NOT_READY (error is left alone): call again. Any other status: it failed.
     * Except after TSP_NOT_READY and TSP_INVALID_ARGUMENT the request is gone. One thread at a time per request. */
    tsp_status (*test)(tsp_mpi_request request, tsp_error *error);

    /* Asks for the end of a receive that may have no message. Go on testing: it ends soon, with TSP_COMM_ERROR or, if
     * the message had come, TSP_OK, and then its memory is free for use. The channel with this peer is not: a late
     * message would match the next receive. A send cannot be cancelled: TSP_UNSUPPORTED. */
    tsp_status (*cancel)(tsp_mpi_request request, tsp_error *error);

    /* Lets go of a request that will not be tested again, complete or not. */
    tsp_status (*release)(tsp_mpi_request request, tsp_error *error);

    /* Ends the processes of all ranks, this one included; the launcher exits with exit_code. Returns only if MPI
     * cannot. */
    tsp_status (*abort)(int32_t exit_code, tsp_error *error);

    /* Leaves. Called by all ranks, on the thread that called init, when no request is left. Blocks until all have. */
    tsp_status (*finalize)(tsp_error *error);
} tsp_mpi;

/* The table is valid for the life of the process. */
#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
const tsp_mpi *
tsp_mpi_get(void);

#ifdef __cplusplus
}
#endif

#endif /* TSP_MPI_H */
