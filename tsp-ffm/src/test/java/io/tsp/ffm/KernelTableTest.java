package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.ffm.generated.kernels.tsp_launch;
import io.tsp.ffm.generated.kernels.tsp_sum_args;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a kernel library of another version would be called, or that a kernel's refusal would be lost. */
class KernelTableTest {
    private static final String FAKE = """
            #include <stddef.h>
            #include <string.h>
            #include "tsp_kernels.h"

            static tsp_status run(const void *args, const tsp_launch *launch, tsp_error *error) {
                const tsp_sum_args *sum = args;
                (void)launch;
                if (sum->count == 0) return TSP_OK;
                error->vendor_code = sum->count == 2 ? 77 : 0;
                strcpy(error->message, sum->count == 3 ? "" : "count must be 0");
                return (tsp_status)(sum->count == 4 ? 99 : TSP_INVALID_ARGUMENT);
            }

            static int64_t workspace(const void *args, const tsp_launch *launch) {
                return ((const tsp_sum_args *)args)->count * launch->threads;
            }

            static const tsp_kernels table = {
                .struct_size = STRUCT_SIZE, .abi_version = ABI_VERSION, .build_info = "compiler=test", .isa = "portable",
                .sum = {run, workspace},
            };

            const tsp_kernels *tsp_kernels_get(const char *isa, tsp_error *error) {
                if (isa == NULL || strcmp(isa, "avx2") == 0) return &table;
                error->status = TSP_UNSUPPORTED;
                strcpy(error->message, "no such isa here");
                return NULL;
            }
            """;

    @TempDir
    private Path folder;

    private Path library(String abiVersion, String structSize) throws Exception {
        String source = FAKE.replace("ABI_VERSION,", abiVersion + ",").replace("STRUCT_SIZE", structSize);
        return CLibrary.compile(folder, "libfake.so", source);
    }

    private Path library() throws Exception {
        return library("TSP_ABI_VERSION", "sizeof(tsp_kernels)");
    }

    @Test
    void describesTheLibrary() throws Exception {
        Path library = library();
        KernelTable table = KernelTable.open(library, null);
        assertEquals(library, table.library());
        assertEquals("portable", table.isa());
        assertEquals("compiler=test", table.buildInfo());
        assertEquals(1001, table.abiVersion());
    }

    @Test
    void acceptsALaterMinorVersion() throws Exception {
        assertEquals(
                1007,
                KernelTable.open(library("1007", "sizeof(tsp_kernels) + 64"), null)
                        .abiVersion());
    }

    @Test
    void refusesAnotherMajorVersion() throws Exception {
        Path library = library("2000", "sizeof(tsp_kernels)");
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> KernelTable.open(library, null));
        assertTrue(
                e.getMessage()
                        .startsWith("The ABI of " + library + " is 2.0, but " + OwnCode.location()
                                + " needs 1.1 or a later minor version; build"),
                e.getMessage());
    }

    @Test
    void refusesAnEarlierVersion() throws Exception {
        Path library = library("999", "sizeof(tsp_kernels)");
        assertThrows(NativeLibraryException.class, () -> KernelTable.open(library, null));
    }

    @Test
    void refusesAShorterTable() throws Exception {
        Path library = library("TSP_ABI_VERSION", "sizeof(tsp_kernels) - 16");
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> KernelTable.open(library, null));
        assertTrue(e.getMessage().contains(" bytes, but "), e.getMessage());
    }

    @Test
    void refusesKernelsForAnotherInstructionSet() throws Exception {
        Path library = library();
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> KernelTable.open(library, "avx2"));
        assertEquals(library + " was asked for instruction set avx2 and returned kernels for portable", e.getMessage());
    }

    @Test
    void passesOnWhyThereIsNoTable() throws Exception {
        Path library = library();
        NativeException e = assertThrows(NativeException.class, () -> KernelTable.open(library, "avx512"));
        assertEquals(Status.UNSUPPORTED, e.status());
        assertEquals("tsp_kernels_get failed with UNSUPPORTED: no such isa here", e.getMessage());
    }

    @Test
    void refusesALibraryWithoutKernels() throws Exception {
        Path library = CLibrary.compile(folder, "libother.so", "int other(void) { return 1; }");
        NativeLibraryException e = assertThrows(NativeLibraryException.class, () -> KernelTable.open(library, null));
        assertTrue(e.getMessage().startsWith(library + " does not export tsp_kernels_get"), e.getMessage());
    }

    @Test
    void namesAMissingKernel() throws Exception {
        KernelTable table = KernelTable.open(library(), null);
        NativeException e = assertThrows(NativeException.class, table::rope);
        assertEquals(Status.UNSUPPORTED, e.status());
        assertEquals("rope", e.function());
    }

    @Test
    void runsAKernelAndTurnsItsStatusIntoAnException() throws Exception {
        Kernel sum = KernelTable.open(library(), null).sum();
        try (Arena arena = Arena.ofConfined()) {
            NativeError error = new NativeError(arena);
            MemorySegment args = tsp_sum_args.allocate(arena);
            MemorySegment launch = tsp_launch.allocate(arena);
            tsp_launch.threads(launch, 3);

            sum.run(args, launch, error);
            tsp_sum_args.count(args, 5);
            assertEquals(15, sum.workspaceBytes(args, launch));
            assertRefused(sum, args, launch, error, 1, Status.INVALID_ARGUMENT, "count must be 0");
            assertRefused(sum, args, launch, error, 2, Status.INVALID_ARGUMENT, "count must be 0 (vendor code 77)");
            assertRefused(sum, args, launch, error, 3, Status.INVALID_ARGUMENT, "no message");
            assertRefused(
                    sum, args, launch, error, 4, Status.INTERNAL, "count must be 0 (status 99, unknown to this build)");
        }
    }

    private static void assertRefused(
            Kernel kernel,
            MemorySegment args,
            MemorySegment launch,
            NativeError error,
            long count,
            Status status,
            String text) {
        tsp_sum_args.count(args, count);
        NativeException e = assertThrows(NativeException.class, () -> kernel.run(args, launch, error));
        assertEquals(status, e.status());
        assertEquals("sum failed with " + status + ": " + text, e.getMessage());
    }
}
