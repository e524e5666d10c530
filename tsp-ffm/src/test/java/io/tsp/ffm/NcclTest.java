package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.ffm.generated.nccl.ncclConfig_v23000;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that NCCL would be asked for another collective than ours, or that a lost peer goes unnoticed. */
class NcclTest {
    private static final int VERSION = 23007;

    @TempDir
    private Path folder;

    private FakeNccl fake;
    private Nccl nccl;

    @BeforeEach
    void open() throws Exception {
        fake = FakeNccl.compile(folder, VERSION);
        nccl = Nccl.open(fake.library());
    }

    @Test
    void collectivesArriveAsTheyWereAsked() {
        nccl.broadcast(1, 2, 3, NcclType.BF16, 4, 5, 6);
        assertEquals("broadcast 1 2 3 9 4 5 6", fake.asked());
        nccl.allGather(1, 2, 3, NcclType.U8, 5, 6);
        assertEquals("gather 1 2 3 1 5 6", fake.asked());
        nccl.reduceScatter(1, 2, 3, NcclType.F32, NcclReduction.SUM, 5, 6);
        assertEquals("scatter 1 2 3 7 0 5 6", fake.asked());
        nccl.allReduce(1, 2, 3, NcclType.F64, NcclReduction.MAX, 5, 6);
        assertEquals("reduce 1 2 3 8 2 5 6", fake.asked());
        nccl.send(1, 2, NcclType.I32, 4, 5, 6);
        assertEquals("send 1 2 2 4 5 6", fake.asked());
        nccl.recv(1, 2, NcclType.I64, 4, 5, 6);
        assertEquals("recv 1 2 4 4 5 6", fake.asked());
        nccl.groupStart();
        assertEquals("start", fake.asked());
        nccl.groupEnd();
        assertEquals("end", fake.asked());
    }

    @Test
    void communicatorsLiveAndEnd() {
        byte[] id = nccl.uniqueId();
        assertEquals(127, id[127]);
        assertEquals(55, nccl.join(id, 8, 3, new NcclLimits(1, 4)).get());
        assertEquals("join 8 0 127 3 blocking 0 ctas 1 4", fake.asked());
        nccl.join(id, 8, 3, NcclLimits.NONE);
        int unset = Integer.MIN_VALUE;
        assertEquals("join 8 0 127 3 blocking 0 ctas " + unset + " " + unset, fake.asked());
        assertThrows(IllegalArgumentException.class, () -> nccl.join(new byte[127], 8, 3, NcclLimits.NONE));
        assertThrows(IllegalArgumentException.class, () -> new NcclLimits(5, 4));
        nccl.finish(55);
        assertEquals("finalize 55", fake.asked());
        nccl.destroy(55);
        assertEquals("destroy 55", fake.asked());
        nccl.abort(55);
        assertEquals("abort 55", fake.asked());
    }

    @Test
    void aCallThatGoesOnIsNoFailure() {
        nccl.allGather(1, 2, 3, NcclType.F32, 7, 6);
        assertFalse(nccl.isReady(7));
        assertTrue(nccl.isReady(55));
    }

    @Test
    void aLostPeerIsToldWithWhatNcclKnows() {
        for (GpuException lost : List.of(
                assertThrows(GpuException.class, () -> nccl.isReady(666)),
                assertThrows(GpuException.class, () -> nccl.send(1, 2, NcclType.F32, 3, 666, 6)))) {
            assertTrue(
                    lost.getMessage().endsWith(" failed: remote process exited: rank 3 is gone (ncclRemoteError, 6)"),
                    lost.getMessage());
        }
        GpuException refused = assertThrows(GpuException.class, () -> nccl.isReady(0));
        assertEquals("ncclInvalidArgument", refused.codeName());
    }

    @Test
    void whatCameLaterIsUsedWhereItIs() {
        for (NcclFeature feature : NcclFeature.values()) {
            assertTrue(nccl.has(feature), feature::name);
        }
        NcclHandle child = nccl.split(5, -3, 2);
        assertEquals("split 5 -1 2 1", fake.asked());
        assertEquals(0, child.get());
        fake.fill();
        assertEquals(99, child.get(), "the handle comes once the parent is ready");
        nccl.shrink(5, 2, 6);
        assertEquals("shrink 5 2 6 2 1 1", fake.asked());
        assertEquals(4096, nccl.allocate(70));
        assertEquals("allocate 70", fake.asked());
        nccl.free(4096);
        assertEquals("free 4096", fake.asked());
        nccl.registerWindow(5, 4096, 70);
        assertEquals("window 5 4096 70 1", fake.asked());
        nccl.deregisterWindow(5, 99);
        assertEquals("unwindow 5 99", fake.asked());
    }

    @Test
    void anOlderNcclLacksOnlyThat() throws Exception {
        Path library = FakeNccl.compile(folder, 21705).library();
        Nccl old = Nccl.open(library);
        assertEquals("2.17.5", old.version());
        for (NcclFeature feature : NcclFeature.values()) {
            assertFalse(old.has(feature), feature::name);
        }
        old.allGather(1, 2, 3, NcclType.F32, 5, 6);
        assertEquals(
                library + " has no ncclCommShrink, which NCCL 2.27 has; install NCCL 2.27 or later",
                assertThrows(NativeLibraryException.class, () -> old.shrink(5, 1))
                        .getMessage());
        assertThrows(NativeLibraryException.class, () -> old.split(5, 1, 1));
        assertThrows(NativeLibraryException.class, () -> old.allocate(1));
        assertThrows(NativeLibraryException.class, () -> old.free(1));
        assertThrows(NativeLibraryException.class, () -> old.registerWindow(5, 1, 1));
        Path older = FakeNccl.compile(folder, 21405).library();
        String words = String.valueOf(assertThrows(NativeLibraryException.class, () -> Nccl.open(older))
                .getMessage());
        assertTrue(words.contains("is version 21405 of NCCL, but this build needs 2.17 or later"), words);
    }

    /** The real library, which says this much without a driver. */
    @Test
    void theInstalledNcclAnswers() {
        Nccl installed = Nccl.open(InstalledLibrary.require(GpuLibrary.NCCL));
        assertTrue(installed.version().matches("2\\.\\d+\\.\\d+"), installed.version());
        GpuException refused = assertThrows(GpuException.class, () -> installed.isReady(0));
        assertEquals("ncclInvalidArgument", refused.codeName());
        assertTrue(refused.getMessage().contains("failed: invalid argument"), refused::getMessage);
    }

    /** The header's macro, compiled, against what Java makes; they may differ in what this class sets. */
    @Test
    void theConfigurationIsTheHeaders() throws Exception {
        Path library = CLibrary.compile(folder, "libmacro.so", """
                #include <nccl.h>
                ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
                """, VendorHeaders.require("nccl"));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment macro = SymbolLookup.libraryLookup(library, arena)
                    .findOrThrow("config")
                    .reinterpret(ncclConfig_v23000.sizeof());
            assertEquals(Integer.MIN_VALUE, ncclConfig_v23000.blocking(macro));
            ncclConfig_v23000.blocking(macro, 0);
            assertEquals(-1, macro.mismatch(NcclLimits.NONE.config(arena)));
        }
    }
}
