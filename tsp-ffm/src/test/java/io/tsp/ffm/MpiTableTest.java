package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.ffm.generated.mpi.tsp_mpi_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that the MPI shim would be called wrongly, or that its refusals would be lost. */
class MpiTableTest {
    /** A world of one rank whose transfers end on the second test; peer 9 does not exist. */
    private static final String FAKE = """
            #include <string.h>
            #include "../mpi/tsp_mpi.h"

            static int tests;

            static tsp_status init(tsp_mpi_info *info, tsp_error *error) {
                (void)error;
                info->size = 1;
                return TSP_OK;
            }

            static tsp_status post(int64_t bytes, int32_t peer, int32_t channel, tsp_mpi_request *request,
                                   tsp_error *error) {
                tests = 0;
                *request = bytes + channel;
                if (peer != 9) return TSP_OK;
                strcpy(error->message, "no rank 9");
                return TSP_INVALID_ARGUMENT;
            }

            static tsp_status send(const void *data, int64_t bytes, int32_t peer, int32_t channel,
                                   tsp_mpi_request *request, tsp_error *error) {
                (void)data;
                return post(bytes, peer, channel, request, error);
            }

            static tsp_status recv(void *data, int64_t bytes, int32_t peer, int32_t channel,
                                   tsp_mpi_request *request, tsp_error *error) {
                (void)data;
                return post(bytes, peer, channel, request, error);
            }

            static tsp_status test(tsp_mpi_request request, tsp_error *error) {
                if (request == 0) {
                    strcpy(error->message, "peer lost");
                    return TSP_COMM_ERROR;
                }
                return tests++ == 0 ? TSP_NOT_READY : TSP_OK;
            }

            static tsp_status drop(tsp_mpi_request request, tsp_error *error) {
                (void)error;
                return request > 0 ? TSP_OK : TSP_INVALID_ARGUMENT;
            }

            static tsp_status end(tsp_error *error) {
                (void)error;
                return TSP_OK;
            }

            static tsp_status stop(int32_t exit_code, tsp_error *error) {
                (void)error;
                return exit_code;
            }

            static const tsp_mpi table = {
                .struct_size = sizeof(tsp_mpi), .abi_version = ABI_VERSION, .build_info = "mpi=none", .init = init,
                .send = send, .recv = recv, .test = test, .cancel = drop, .release = drop, .abort = stop,
                .finalize = end,
            };

            const tsp_mpi *tsp_mpi_get(void) { return &table; }
            """;

    @TempDir
    private Path folder;

    private MpiTable table(String abiVersion) throws Exception {
        String source = FAKE.replace("ABI_VERSION,", abiVersion + ",");
        return MpiTable.open(CLibrary.compile(folder, "libfake_mpi.so", source));
    }

    @Test
    void refusesAnotherVersion() {
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> table("2001"));
        assertTrue(e.getMessage().contains("libfake_mpi.so is 2.1, but "), e.getMessage());
    }

    @Test
    void passesMessagesAndFailures() throws Exception {
        MpiTable mpi = table("TSP_MPI_ABI_VERSION");
        assertEquals("mpi=none", mpi.buildInfo());
        try (Arena arena = Arena.ofConfined()) {
            NativeError error = new NativeError(arena);
            MemorySegment info = tsp_mpi_info.allocate(arena);
            MemorySegment request = arena.allocate(ValueLayout.JAVA_LONG);
            mpi.init(info, error);
            assertEquals(1, tsp_mpi_info.size(info));

            mpi.send(MemorySegment.NULL, 40, 0, 2, request, error);
            assertEquals(42, request.get(ValueLayout.JAVA_LONG, 0));
            assertFalse(mpi.test(42, error));
            assertTrue(mpi.test(42, error));
            mpi.recv(MemorySegment.NULL, 7, 0, 0, request, error);
            mpi.cancel(7, error);
            mpi.release(7, error);
            mpi.finish(error);

            NativeException refused =
                    assertThrows(NativeException.class, () -> mpi.send(MemorySegment.NULL, 1, 9, 0, request, error));
            assertEquals("MPI send to rank 9 failed with INVALID_ARGUMENT: no rank 9", refused.getMessage());
            NativeException lost = assertThrows(NativeException.class, () -> mpi.test(0, error));
            assertEquals(Status.COMM_ERROR, lost.status());
            assertThrows(NativeException.class, () -> mpi.abort(Status.INTERNAL.code(), error));
        }
    }
}
