/*
 * A transfer is cut into pieces because MPI 3 counts bytes in an int. All pieces are posted at once: were the later
 * ones posted when the earlier ones have ended, the next message of the channel would slip in between.
 */
#include "tsp_mpi.h"

#include <limits.h>
#include <mpi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TSP_MPI_PIECE_BYTES
#define TSP_MPI_PIECE_BYTES (INT64_C(1) << 30)
#endif
_Static_assert(TSP_MPI_PIECE_BYTES > 0 && TSP_MPI_PIECE_BYTES <= INT_MAX, "a piece is counted in an int");

#define TSP_TEXT_OF(x) #x
#define TSP_TEXT(x) TSP_TEXT_OF(x)

#if defined(OPEN_MPI)
#define TSP_MPI_NAME                                                                                                   \
    "Open MPI " TSP_TEXT(OMPI_MAJOR_VERSION) "." TSP_TEXT(OMPI_MINOR_VERSION) "." TSP_TEXT(OMPI_RELEASE_VERSION)
#elif defined(MPICH_VERSION)
#define TSP_MPI_NAME "MPICH " MPICH_VERSION
#else
#define TSP_MPI_NAME "MPI " TSP_TEXT(MPI_VERSION) "." TSP_TEXT(MPI_SUBVERSION)
#endif

#if defined(__clang__)
#define TSP_COMPILER "clang " __clang_version__
#else
#define TSP_COMPILER "gcc " __VERSION__
#endif

enum direction { SEND, RECV };

struct transfer {
    enum direction direction;
    int32_t peer;
    int32_t channel;
    int64_t bytes;
    int64_t piece_count;
    int64_t complete_pieces;
    int cancelled;
    tsp_status outcome;
    MPI_Request pieces[];
};

/* A duplicate of MPI_COMM_WORLD, so that no other user of MPI in this process can match our messages. MPI has one world
 * per process, hence this state. */
static struct {
    MPI_Comm comm;
    int32_t rank;
    int32_t size;
    int32_t max_channel;
} world = {.comm = MPI_COMM_NULL};

__attribute__((format(printf, 4, 5))) static tsp_status fail(
    tsp_error *error, tsp_status status, int32_t vendor_code, const char *format, ...) {
    if (error != NULL) {
        error->status = status;
        error->vendor_code = vendor_code;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return status;
}

static tsp_status fail_mpi(tsp_error *error, int code, const char *what, const struct transfer *transfer) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int text_bytes = 0;
    if (MPI_Error_string(code, text, &text_bytes) != MPI_SUCCESS) {
        snprintf(text, sizeof text, "error %d", code);
    }
    if (transfer == NULL) {
        return fail(error, TSP_COMM_ERROR, code, "%s failed: %s", what, text);
    }
    return fail(
        error,
        TSP_COMM_ERROR,
        code,
        "rank %d: %s of %lld bytes %s rank %d on channel %d failed: %s",
        world.rank,
        what,
        (long long)transfer->bytes,
        transfer->direction == SEND ? "to" : "from",
        transfer->peer,
        transfer->channel,
        text);
}

static int64_t piece_bytes(const struct transfer *transfer, int64_t piece) {
    const int64_t rest = transfer->bytes - piece * TSP_MPI_PIECE_BYTES;
    return rest < TSP_MPI_PIECE_BYTES ? rest : TSP_MPI_PIECE_BYTES;
}

/* MPI finishes what it can; nobody will ask for the outcome. */
static void forget(struct transfer *transfer) {
    for (int64_t i = transfer->complete_pieces; i < transfer->piece_count; ++i) {
        if (transfer->pieces[i] != MPI_REQUEST_NULL) {
            MPI_Request_free(&transfer->pieces[i]);
        }
    }
    free(transfer);
}

static tsp_status require_world(tsp_error *error) {
    if (world.comm == MPI_COMM_NULL) {
        return fail(error, TSP_INVALID_ARGUMENT, 0, "this process has not joined MPI: call init first, and once");
    }
    return TSP_OK;
}

static tsp_status require_request(tsp_mpi_request request, tsp_error *error) {
    if (request == 0) {
        return fail(error, TSP_INVALID_ARGUMENT, 0, "0 is not a request: pass what send or recv returned");
    }
    return TSP_OK;
}

static tsp_status require_transfer(
    const void *data, int64_t bytes, int32_t peer, int32_t channel, const tsp_mpi_request *request, tsp_error *error) {
    const tsp_status status = require_world(error);
    if (status != TSP_OK) {
        return status;
    }
    if (bytes < 0 || (data == NULL && bytes > 0) || request == NULL) {
        return fail(
            error,
            TSP_INVALID_ARGUMENT,
            0,
            "%lld bytes at %p cannot be transferred: give memory and a request",
            (long long)bytes,
            data);
    }
    if (peer < 0 || peer >= world.size) {
        return fail(error, TSP_INVALID_ARGUMENT, 0, "rank %d is not in 0..%d", peer, world.size - 1);
    }
    if (channel < 0 || channel > world.max_channel) {
        return fail(error, TSP_INVALID_ARGUMENT, 0, "channel %d is not in 0..%d", channel, world.max_channel);
    }
    return TSP_OK;
}

static tsp_status post(
    enum direction direction, char *data, int64_t bytes, int32_t peer, int32_t channel, tsp_mpi_request *request,
    tsp_error *error) {
    const tsp_status status = require_transfer(data, bytes, peer, channel, request, error);
    if (status != TSP_OK) {
        return status;
    }
    /* An empty message is a message too: it keeps the order of a channel. */
    const int64_t piece_count = bytes == 0 ? 1 : (bytes - 1) / TSP_MPI_PIECE_BYTES + 1;
    struct transfer *transfer = malloc(sizeof *transfer + (size_t)piece_count * sizeof(MPI_Request));
    if (transfer == NULL) {
        return fail(error, TSP_OUT_OF_MEMORY, 0, "no memory for a request of %lld pieces", (long long)piece_count);
    }
    *transfer = (struct transfer){.direction = direction, .peer = peer, .channel = channel, .bytes = bytes};
    while (transfer->piece_count < piece_count) {
        const int64_t piece = transfer->piece_count;
        const int count = (int)piece_bytes(transfer, piece);
        char *start = bytes == 0 ? NULL : data + piece * TSP_MPI_PIECE_BYTES;
        const int code = direction == SEND
            ? MPI_Isend(start, count, MPI_BYTE, peer, channel, world.comm, &transfer->pieces[piece])
            : MPI_Irecv(start, count, MPI_BYTE, peer, channel, world.comm, &transfer->pieces[piece]);
        if (code != MPI_SUCCESS) {
            fail_mpi(error, code, direction == SEND ? "MPI_Isend" : "MPI_Irecv", transfer);
            forget(transfer);
            return TSP_COMM_ERROR;
        }
        ++transfer->piece_count;
    }
    *request = (tsp_mpi_request)(intptr_t)transfer;
    return TSP_OK;
}

static tsp_status tsp_mpi_send(
    const void *data, int64_t bytes, int32_t peer, int32_t channel, tsp_mpi_request *request, tsp_error *error) {
    return post(SEND, (char *)data, bytes, peer, channel, request, error);
}

static tsp_status tsp_mpi_recv(
    void *data, int64_t bytes, int32_t peer, int32_t channel, tsp_mpi_request *request, tsp_error *error) {
    return post(RECV, data, bytes, peer, channel, request, error);
}

/* What a receive got. MPI is content with a message that is too short; we are not. */
static tsp_status check_received(const struct transfer *transfer, int64_t piece, MPI_Status *mpi, tsp_error *error) {
    int cancelled = 0;
    int count = 0;
    MPI_Test_cancelled(mpi, &cancelled);
    if (cancelled) {
        return fail(
            error,
            TSP_COMM_ERROR,
            0,
            "rank %d: the receive from rank %d on channel %d was cancelled",
            world.rank,
            transfer->peer,
            transfer->channel);
    }
    MPI_Get_count(mpi, MPI_BYTE, &count);
    if (count != piece_bytes(transfer, piece)) {
        return fail(
            error,
            TSP_COMM_ERROR,
            0,
            "rank %d: rank %d sent %lld bytes on channel %d where %lld were expected; the ranks run different programs",
            world.rank,
            transfer->peer,
            (long long)(piece * TSP_MPI_PIECE_BYTES + count),
            transfer->channel,
            (long long)transfer->bytes);
    }
    return TSP_OK;
}

static tsp_status test_piece(struct transfer *transfer, int64_t piece, tsp_error *error) {
    int complete = 0;
    MPI_Status mpi;
    const int code = MPI_Test(&transfer->pieces[piece], &complete, &mpi);
    if (code != MPI_SUCCESS) {
        return fail_mpi(error, code, transfer->direction == SEND ? "a send" : "a receive", transfer);
    }
    if (!complete) {
        return TSP_NOT_READY;
    }
    return transfer->direction == SEND ? TSP_OK : check_received(transfer, piece, &mpi, error);
}

static tsp_status tsp_mpi_test(tsp_mpi_request request, tsp_error *error) {
    if (require_request(request, error) != TSP_OK) {
        return TSP_INVALID_ARGUMENT;
    }
    struct transfer *transfer = (struct transfer *)(intptr_t)request;
    while (transfer->complete_pieces < transfer->piece_count) {
        const tsp_status status = test_piece(transfer, transfer->complete_pieces, error);
        if (status == TSP_NOT_READY) {
            return TSP_NOT_READY;
        }
        if (status != TSP_OK) {
            transfer->outcome = status;
            /* The pieces behind a failed one may never end, but cancelled ones do, and only then is the memory free. */
            if (!transfer->cancelled) {
                break;
            }
        }
        ++transfer->complete_pieces;
    }
    const tsp_status outcome = transfer->outcome;
    forget(transfer);
    return outcome;
}

static tsp_status tsp_mpi_cancel(tsp_mpi_request request, tsp_error *error) {
    if (require_request(request, error) != TSP_OK) {
        return TSP_INVALID_ARGUMENT;
    }
    struct transfer *transfer = (struct transfer *)(intptr_t)request;
    if (transfer->direction == SEND) {
        return fail(error, TSP_UNSUPPORTED, 0, "a send cannot be cancelled: release its request");
    }
    transfer->cancelled = 1;
    for (int64_t i = transfer->complete_pieces; i < transfer->piece_count; ++i) {
        const int code = MPI_Cancel(&transfer->pieces[i]);
        if (code != MPI_SUCCESS) {
            return fail_mpi(error, code, "MPI_Cancel", transfer);
        }
    }
    return TSP_OK;
}

static tsp_status tsp_mpi_release(tsp_mpi_request request, tsp_error *error) {
    if (require_request(request, error) != TSP_OK) {
        return TSP_INVALID_ARGUMENT;
    }
    forget((struct transfer *)(intptr_t)request);
    return TSP_OK;
}

static int32_t portable_thread_level(int level) {
    return level == MPI_THREAD_MULTIPLE  ? TSP_MPI_THREAD_MULTIPLE
        : level == MPI_THREAD_SERIALIZED ? TSP_MPI_THREAD_SERIALIZED
        : level == MPI_THREAD_FUNNELED   ? TSP_MPI_THREAD_FUNNELED
                                         : TSP_MPI_THREAD_SINGLE;
}

static void describe_library(char *target, size_t target_bytes) {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int text_bytes = 0;
    MPI_Get_library_version(text, &text_bytes);
    snprintf(target, target_bytes, "%.*s", (int)strcspn(text, "\n"), text);
}

static tsp_status tsp_mpi_init(tsp_mpi_info *info, tsp_error *error) {
    int initialized = 0;
    int level = 0;
    if (info == NULL || info->struct_size < sizeof *info) {
        return fail(error, TSP_ABI_MISMATCH, 0, "info is shorter than tsp_mpi_info: rebuild the bindings");
    }
    MPI_Initialized(&initialized);
    if (initialized) {
        return fail(error, TSP_INVALID_ARGUMENT, 0, "MPI is already initialized: a process joins once");
    }
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level);
    if (code != MPI_SUCCESS) {
        return fail_mpi(error, code, "MPI_Init_thread", NULL);
    }
    /* Before the duplicate is made, which inherits it; errors without a communicator are raised on the world, too. */
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    code = MPI_Comm_dup(MPI_COMM_WORLD, &world.comm);
    if (code != MPI_SUCCESS) {
        return fail_mpi(error, code, "MPI_Comm_dup", NULL);
    }
    int *tag_limit = NULL;
    int tag_limit_known = 0;
    MPI_Comm_get_attr(world.comm, MPI_TAG_UB, &tag_limit, &tag_limit_known);
    MPI_Comm_rank(world.comm, &world.rank);
    MPI_Comm_size(world.comm, &world.size);
    /* The standard promises at least this many tags. */
    world.max_channel = tag_limit_known ? *tag_limit : 32767;
    info->rank = world.rank;
    info->size = world.size;
    info->thread_level = portable_thread_level(level);
    info->max_channel = world.max_channel;
    describe_library(info->library, sizeof info->library);
    return TSP_OK;
}

static tsp_status tsp_mpi_abort(int32_t exit_code, tsp_error *error) {
    if (require_world(error) != TSP_OK) {
        return TSP_INVALID_ARGUMENT;
    }
    const int code = MPI_Abort(MPI_COMM_WORLD, exit_code);
    return fail_mpi(error, code, "MPI_Abort", NULL);
}

static tsp_status tsp_mpi_finalize(tsp_error *error) {
    if (require_world(error) != TSP_OK) {
        return TSP_INVALID_ARGUMENT;
    }
    MPI_Comm_free(&world.comm);
    const int code = MPI_Finalize();
    return code == MPI_SUCCESS ? TSP_OK : fail(error, TSP_COMM_ERROR, code, "MPI_Finalize failed with %d", code);
}

const tsp_mpi *tsp_mpi_get(void) {
    static const tsp_mpi table = {
        .struct_size = sizeof(tsp_mpi),
        .abi_version = TSP_MPI_ABI_VERSION,
        .build_info = "git=" TSP_GIT_ID "; compiler=" TSP_COMPILER "; mpi=" TSP_MPI_NAME,
        .init = tsp_mpi_init,
        .send = tsp_mpi_send,
        .recv = tsp_mpi_recv,
        .test = tsp_mpi_test,
        .cancel = tsp_mpi_cancel,
        .release = tsp_mpi_release,
        .abort = tsp_mpi_abort,
        .finalize = tsp_mpi_finalize,
    };
    return &table;
}
