/*
 * Run by a launcher with at least two ranks: tsp_mpi_test LIBRARY MODE. A failure means that ranks as processes would
 * compute with the wrong bytes, hang, or hide an error that ranks as threads report.
 *
 * The library is opened as a JVM opens it: at run time, with local symbols.
 */
#include "../tsp_mpi.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEADLINE_SECONDS 60
#define THREADS 3
#define ROUNDS 150
#define LARGEST_MESSAGE 40000
#define EXIT_CODE_OF_ABORT 71

static const tsp_mpi *mpi;
static tsp_mpi_info info = {.struct_size = sizeof(tsp_mpi_info)};

#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "rank %d, line %d: %s: ", info.rank, __LINE__, #condition);                                \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            if (mpi != NULL) {                                                                                         \
                mpi->abort(1, NULL);                                                                                   \
            }                                                                                                          \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static tsp_status await(tsp_mpi_request request, tsp_error *error) {
    const double start = seconds();
    for (;;) {
        const tsp_status status = mpi->test(request, error);
        if (status != TSP_NOT_READY) {
            return status;
        }
        REQUIRE(seconds() - start < DEADLINE_SECONDS, "request not complete after %d s", DEADLINE_SECONDS);
        sched_yield();
    }
}

static void await_ok(tsp_mpi_request request) {
    tsp_error error = {.struct_size = sizeof error};
    REQUIRE(await(request, &error) == TSP_OK, "%s", error.message);
}

static tsp_mpi_request send(const void *data, int64_t bytes, int32_t peer, int32_t channel) {
    tsp_error error = {.struct_size = sizeof error};
    tsp_mpi_request request = 0;
    REQUIRE(mpi->send(data, bytes, peer, channel, &request, &error) == TSP_OK, "%s", error.message);
    REQUIRE(request != 0, "no request");
    return request;
}

static tsp_mpi_request recv(void *data, int64_t bytes, int32_t peer, int32_t channel) {
    tsp_error error = {.struct_size = sizeof error};
    tsp_mpi_request request = 0;
    REQUIRE(mpi->recv(data, bytes, peer, channel, &request, &error) == TSP_OK, "%s", error.message);
    REQUIRE(request != 0, "no request");
    return request;
}

static int32_t right(void) {
    return (info.rank + 1) % info.size;
}
static int32_t left(void) {
    return (info.rank + info.size - 1) % info.size;
}

static uint32_t mix(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

/* Both sides of a message know its length and bytes from who sends it, where and when. */
static uint32_t key(int32_t sender, int32_t channel, int32_t round) {
    return mix((uint32_t)sender * 1000003u + (uint32_t)channel * 10007u + (uint32_t)round);
}

static int64_t message_bytes(uint32_t key) {
    return key % 7 == 0 ? 0 : mix(key) % (LARGEST_MESSAGE + 1);
}

static void fill(uint8_t *data, int64_t bytes, uint32_t key) {
    for (int64_t i = 0; i < bytes; ++i) {
        data[i] = (uint8_t)(mix(key + (uint32_t)(i >> 2)) >> (8 * (i & 3)));
    }
}

static void require_filled(const uint8_t *data, int64_t bytes, uint32_t key) {
    for (int64_t i = 0; i < bytes; ++i) {
        const uint8_t expected = (uint8_t)(mix(key + (uint32_t)(i >> 2)) >> (8 * (i & 3)));
        REQUIRE(
            data[i] == expected, "byte %lld of %lld is %d, not %d", (long long)i, (long long)bytes, data[i], expected);
    }
}

/* A ring on one channel; threads run one each, at their own pace. */
static void *ring(void *argument) {
    const int32_t channel = (int32_t)(intptr_t)argument;
    uint8_t *sent = malloc(LARGEST_MESSAGE);
    uint8_t *received = malloc(LARGEST_MESSAGE + 1);
    REQUIRE(sent != NULL && received != NULL, "no memory");
    for (int32_t round = 0; round < ROUNDS; ++round) {
        const uint32_t sent_key = key(info.rank, channel, round);
        const uint32_t received_key = key(left(), channel, round);
        const int64_t received_bytes = message_bytes(received_key);
        fill(sent, message_bytes(sent_key), sent_key);
        memset(received, 0xA5, LARGEST_MESSAGE + 1);
        const tsp_mpi_request receiving = recv(received, received_bytes, left(), channel);
        const tsp_mpi_request sending = send(sent, message_bytes(sent_key), right(), channel);
        await_ok(receiving);
        await_ok(sending);
        require_filled(received, received_bytes, received_key);
        REQUIRE(received[received_bytes] == 0xA5, "a byte behind the message was written");
    }
    free(sent);
    free(received);
    return NULL;
}

static void test_rings_of_threads(void) {
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; ++i) {
        REQUIRE(pthread_create(&threads[i], NULL, ring, (void *)(i == 0 ? info.max_channel : i)) == 0, "no thread");
    }
    for (int i = 0; i < THREADS; ++i) {
        REQUIRE(pthread_join(threads[i], NULL) == 0, "no thread");
    }
}

/* Messages under way at once, cut into pieces when the library is built with small ones, keep their order. */
static void test_order(void) {
    enum { MESSAGES = 12 };
    static uint8_t sent[MESSAGES][LARGEST_MESSAGE];
    static uint8_t received[MESSAGES][LARGEST_MESSAGE];
    tsp_mpi_request requests[2 * MESSAGES];
    for (int i = 0; i < MESSAGES; ++i) {
        requests[i] = recv(received[i], message_bytes(key(left(), 7, i)), left(), 7);
    }
    for (int i = 0; i < MESSAGES; ++i) {
        const uint32_t sent_key = key(info.rank, 7, i);
        fill(sent[i], message_bytes(sent_key), sent_key);
        requests[MESSAGES + i] = send(sent[i], message_bytes(sent_key), right(), 7);
    }
    for (int i = 2 * MESSAGES - 1; i >= 0; --i) {
        await_ok(requests[i]);
    }
    for (int i = 0; i < MESSAGES; ++i) {
        require_filled(received[i], message_bytes(key(left(), 7, i)), key(left(), 7, i));
    }
}

static void test_message_to_itself(void) {
    const uint32_t sent = 0x12345678;
    uint32_t received = 0;
    const tsp_mpi_request sending = send(&sent, sizeof sent, info.rank, 8);
    await_ok(recv(&received, sizeof received, info.rank, 8));
    await_ok(sending);
    REQUIRE(received == sent, "%x", received);
}

static void test_wrong_length(int32_t channel, int64_t sent_bytes, int64_t expected_bytes) {
    static uint8_t sent[100];
    static uint8_t received[100];
    tsp_error error = {.struct_size = sizeof error};
    const tsp_mpi_request receiving = recv(received, expected_bytes, left(), channel);
    const tsp_mpi_request sending = send(sent, sent_bytes, right(), channel);
    REQUIRE(
        await(receiving, &error) == TSP_COMM_ERROR,
        "%lld bytes passed for %lld",
        (long long)sent_bytes,
        (long long)expected_bytes);
    REQUIRE(error.status == TSP_COMM_ERROR && strstr(error.message, "channel") != NULL, "%s", error.message);
    await_ok(sending);
}

static void test_cancel_and_release(void) {
    static uint8_t received[LARGEST_MESSAGE];
    tsp_error error = {.struct_size = sizeof error};
    const tsp_mpi_request cancelled = recv(received, sizeof received, left(), 11);
    REQUIRE(mpi->test(cancelled, &error) == TSP_NOT_READY, "a message that nobody sent");
    REQUIRE(mpi->cancel(cancelled, &error) == TSP_OK, "%s", error.message);
    REQUIRE(await(cancelled, &error) == TSP_COMM_ERROR, "a message that nobody sent");
    REQUIRE(strstr(error.message, "cancelled") != NULL, "%s", error.message);

    static const uint8_t sent[64];
    const tsp_mpi_request receiving = recv(received, sizeof sent, left(), 12);
    const tsp_mpi_request released = send(sent, sizeof sent, right(), 12);
    REQUIRE(mpi->cancel(released, &error) == TSP_UNSUPPORTED, "a send was cancelled");
    REQUIRE(mpi->release(released, &error) == TSP_OK, "%s", error.message);
    await_ok(receiving);
}

static void require_refused(tsp_status status, const tsp_error *error, const char *word) {
    REQUIRE(status == TSP_INVALID_ARGUMENT && error->status == status, "%d", status);
    REQUIRE(strstr(error->message, word) != NULL, "%s", error->message);
}

static void test_refusals(void) {
    uint8_t byte = 0;
    tsp_mpi_request request = 0;
    tsp_error error = {.struct_size = sizeof error};
    require_refused(mpi->send(&byte, 1, info.size, 0, &request, &error), &error, "not in 0..");
    require_refused(mpi->recv(&byte, 1, -1, 0, &request, &error), &error, "rank -1");
    require_refused(mpi->recv(&byte, 1, 0, -1, &request, &error), &error, "channel -1");
    require_refused(mpi->send(&byte, -1, 0, 0, &request, &error), &error, "-1 bytes");
    require_refused(mpi->send(NULL, 1, 0, 0, &request, &error), &error, "1 bytes");
    require_refused(mpi->send(&byte, 1, 0, 0, NULL, &error), &error, "request");
    require_refused(mpi->test(0, &error), &error, "not a request");
    require_refused(mpi->cancel(0, &error), &error, "not a request");
    require_refused(mpi->release(0, &error), &error, "not a request");
    require_refused(mpi->init(&info, &error), &error, "already");
    REQUIRE(mpi->test(0, NULL) == TSP_INVALID_ARGUMENT, "without tsp_error");
    REQUIRE(request == 0, "a refused call made a request");
}

/* One message of more than 2 GiB; needs 5 GiB for each two ranks. */
static void test_large_message(void) {
    const int64_t bytes = (INT64_C(9) << 28) + 1;
    uint8_t *data = malloc((size_t)bytes);
    REQUIRE(data != NULL, "no memory");
    const uint32_t sent_key = key(0, 13, 0);
    if (info.rank == 0) {
        fill(data, bytes, sent_key);
        await_ok(send(data, bytes, 1, 13));
    } else if (info.rank == 1) {
        await_ok(recv(data, bytes, 0, 13));
        require_filled(data, bytes, sent_key);
    }
    free(data);
}

static void load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library != NULL, "%s", dlerror());
    const tsp_mpi *(*get)(void);
    *(void **)&get = dlsym(library, "tsp_mpi_get");
    REQUIRE(get != NULL, "%s", dlerror());
    const tsp_mpi *table = get();
    REQUIRE(table->struct_size == sizeof(tsp_mpi) && table->abi_version == TSP_MPI_ABI_VERSION, "another ABI");
    mpi = table;
}

static void join(void) {
    uint8_t byte = 0;
    tsp_mpi_request request = 0;
    tsp_error error = {.struct_size = sizeof error};
    tsp_mpi_info short_info = {.struct_size = 8};
    require_refused(mpi->send(&byte, 1, 0, 0, &request, &error), &error, "call init first");
    require_refused(mpi->abort(1, &error), &error, "call init first");
    require_refused(mpi->finalize(&error), &error, "call init first");
    REQUIRE(mpi->init(&short_info, &error) == TSP_ABI_MISMATCH, "a short info was accepted");
    REQUIRE(mpi->init(&info, &error) == TSP_OK, "%s", error.message);
    REQUIRE(info.size >= 2 && info.rank >= 0 && info.rank < info.size, "run with two ranks or more");
    REQUIRE(info.thread_level == TSP_MPI_THREAD_MULTIPLE, "thread level %d", info.thread_level);
    REQUIRE(info.max_channel >= 32767 && info.library[0] != '\0', "max_channel %d", info.max_channel);
}

int main(int argument_count, char **arguments) {
    REQUIRE(argument_count == 3, "usage: tsp_mpi_test LIBRARY messages|large|abort");
    const char *mode = arguments[2];
    load(arguments[1]);
    join();
    if (strcmp(mode, "messages") == 0) {
        test_rings_of_threads();
        test_order();
        test_message_to_itself();
        test_wrong_length(9, 50, 100);
        test_wrong_length(10, 100, 50);
        test_cancel_and_release();
        test_refusals();
    } else if (strcmp(mode, "large") == 0) {
        test_large_message();
    } else {
        uint8_t byte;
        if (info.rank == 1) {
            mpi->abort(EXIT_CODE_OF_ABORT, NULL);
        }
        /* Nobody sends: only the abort can end this. */
        await_ok(recv(&byte, 1, info.rank, 14));
    }
    tsp_error error = {.struct_size = sizeof error};
    REQUIRE(mpi->finalize(&error) == TSP_OK, "%s", error.message);
    REQUIRE(mpi->init(&info, &error) == TSP_INVALID_ARGUMENT, "joined twice");
    if (info.rank == 0) {
        printf("%s: passed on %d ranks; %s; %s\n", mode, info.size, info.library, mpi->build_info);
    }
    return 0;
}
