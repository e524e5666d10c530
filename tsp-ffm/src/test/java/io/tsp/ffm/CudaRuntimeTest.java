package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A failure means that a call would go to the wrong device or with the wrong arguments, or that a failure of CUDA would
 * be lost, reported as another, or surface in a later kernel.
 */
class CudaRuntimeTest {
    private static final int V12 = 12080;
    private static final int V13 = 13000;

    @TempDir
    private Path folder;

    private FakeCudart fake;

    private CudaRuntime runtime(int driver, int version, int count) throws Exception {
        fake = FakeCudart.compile(folder, driver, version, count);
        return CudaRuntime.open(fake.library());
    }

    private CudaRuntime runtime() throws Exception {
        return runtime(V13, V13, 2);
    }

    private String whyNoDevice(int driver, int version, int count) throws Exception {
        CudaRuntime cuda = runtime(driver, version, count);
        return String.valueOf(
                assertThrows(NativeLibraryException.class, cuda::deviceCount).getMessage());
    }

    @Test
    void devicesAreDescribed() throws Exception {
        CudaRuntime cuda = runtime();
        assertEquals(2, cuda.deviceCount());
        assertEquals(V13, cuda.runtimeVersion());
        assertEquals(V13, cuda.driverVersion());
        // The fake answers 1000 * attribute + device; the numbers of attributes are those of driver_types.h.
        assertEquals(
                new GpuProperties(
                        "Second", 75001, 76001, 16001, 1000, 40001, "0000:02:00.0", "101112131415161718191a1b1c1d1e1f"),
                cuda.properties(1));
        assertTrue(cuda.canAccessPeer(0, 1));
        assertFalse(cuda.canAccessPeer(1, 0));
        assertEquals(600, cuda.freeBytes(1));
    }

    @Test
    void everyCallGoesToItsDevice() throws Throwable {
        CudaRuntime cuda = runtime();
        try (Arena arena = Arena.ofConfined()) {
            long memory = arena.allocate(8).address();
            List<Runnable> calls = List.of(
                    () -> cuda.allocate(1, 8),
                    () -> cuda.free(1, 8),
                    () -> cuda.createStream(1, 0),
                    () -> cuda.destroyStream(1, 5),
                    () -> cuda.createEvent(1),
                    () -> cuda.destroyEvent(1, 5),
                    () -> cuda.record(1, 5, 6),
                    () -> cuda.await(1, 5, 6),
                    () -> cuda.isDone(1, 5),
                    () -> cuda.elapsedMillis(1, 5, 6),
                    () -> cuda.copy(1, memory, memory + 4, 4, 5),
                    () -> cuda.fill(1, memory, (byte) 1, 4, 5),
                    () -> cuda.synchronize(1, 5),
                    () -> cuda.freeBytes(1),
                    () -> cuda.enablePeerAccess(1, 0));
            for (int i = 0; i < calls.size(); i++) {
                cuda.setDevice(0);
                calls.get(i).run();
                assertEquals(1, fake.read("device"), "call " + i);
            }
        }
    }

    @Test
    void argumentsArrive() throws Throwable {
        CudaRuntime cuda = runtime();
        assertEquals(4096 + 1000, cuda.allocate(0, 1000));
        assertEquals(71, cuda.createStream(0, GpuRuntime.NORMAL_PRIORITY), "non-blocking");
        assertEquals(0, fake.read("priority"));
        cuda.createStream(0, GpuRuntime.HIGH_PRIORITY);
        assertEquals(-5, fake.read("priority"));
        assertEquals(80, cuda.createEvent(0), "with timing");
        cuda.record(0, 3, 4);
        assertEquals(304, fake.read("asked"), "event, then stream");
        cuda.await(0, 3, 4);
        assertEquals(304, fake.read("asked"), "stream, then event");
        assertEquals(0.5, cuda.elapsedMillis(0, 4, 6));
        long host = cuda.allocateHost(16);
        assertEquals(1, fake.read("asked"), "portable");
        cuda.fill(0, host, (byte) -2, 16, 0);
        assertEquals(254, fake.read("asked"));
        Memory.at(host, 16).set(ValueLayout.JAVA_BYTE, 3, (byte) 7);
        cuda.copy(0, host + 8, host, 8, 0);
        assertEquals(4, fake.read("asked"), "cudaMemcpyDefault");
        assertEquals(7, Memory.at(host, 16).get(ValueLayout.JAVA_BYTE, 11));
        assertEquals(-2, Memory.at(host, 16).get(ValueLayout.JAVA_BYTE, 15));
        cuda.copy(0, 0, 0, 0, 0);
        cuda.fill(0, 0, (byte) 0, 0, 0);
        cuda.freeHost(host);
        assertThrows(IllegalArgumentException.class, () -> cuda.allocate(0, 0));
        assertThrows(IllegalArgumentException.class, () -> cuda.allocateHost(-1));
    }

    @Test
    void failuresNameCallDeviceWordsAndCode() throws Throwable {
        CudaRuntime cuda = runtime();
        GpuOutOfMemoryException memory =
                assertThrows(GpuOutOfMemoryException.class, () -> cuda.allocate(1, 12884901888L));
        assertEquals(
                "CUDA: cudaMalloc of 12884901888 bytes on device 1 failed: out of memory (cudaErrorMemoryAllocation, 2)",
                memory.getMessage());
        assertEquals(2, memory.code());
        assertEquals("cudaErrorMemoryAllocation", memory.codeName());
        assertThrows(GpuOutOfMemoryException.class, () -> cuda.allocateHost(1001));
        GpuException late = assertThrows(GpuException.class, () -> cuda.synchronize(0, 13));
        assertEquals(
                "CUDA: cudaStreamSynchronize on device 0 failed: other words (cudaErrorOther, 700)", late.getMessage());
        assertThrows(GpuException.class, () -> cuda.isDone(0, 2));
        assertThrows(GpuException.class, () -> cuda.setDevice(2));
        assertThrows(GpuException.class, () -> cuda.enablePeerAccess(0, 2));
        assertEquals(0, fake.read("last"), "a code is left for a kernel to find");
    }

    @Test
    void whatIsNoFailureLeavesNoCodeBehind() throws Throwable {
        CudaRuntime cuda = runtime();
        assertFalse(cuda.isDone(0, 1));
        assertEquals(0, fake.read("last"));
        assertTrue(cuda.isDone(0, 5));
        cuda.enablePeerAccess(0, 1);
        cuda.enablePeerAccess(0, 1);
        assertEquals(0, fake.read("last"));
    }

    @Test
    void withoutADeviceOneSentenceSaysWhy() throws Exception {
        assertEquals(
                "No NVIDIA GPU can be used: other words (cudaErrorOther, 35); no NVIDIA driver (libcuda.so.1) was found;"
                        + " install it, or use --device cpu",
                whyNoDevice(0, V13, -35));
        String old = whyNoDevice(V12, V13, -35);
        assertTrue(old.contains("the driver serves CUDA 12.8 and " + fake.library() + " is 13.0; update"), old);
        String none = whyNoDevice(V13, V13, 0);
        assertTrue(none.contains("100); look at nvidia-smi and CUDA_VISIBLE_DEVICES"), none);
        CudaRuntime broken = runtime(V13, V13, -999);
        assertThrows(GpuException.class, broken::deviceCount);
    }

    @Test
    void anOldOrForeignLibraryIsRefused() throws Exception {
        String old = String.valueOf(assertThrows(NativeLibraryException.class, () -> runtime(V13, 11080, 2))
                .getMessage());
        assertTrue(old.contains("is version 11080 of the CUDA runtime, but this build needs 12.0 or later"), old);
        Path lacking = FakeCudart.without(folder, "cudaEventQuery");
        assertEquals(
                lacking + " has no cudaEventQuery, which CUDA 12.0 has; install CUDA 12.0 or later",
                assertThrows(NativeLibraryException.class, () -> CudaRuntime.open(lacking))
                        .getMessage());
        Path text = Files.writeString(folder.resolve("text.so"), "no library");
        String words = String.valueOf(assertThrows(NativeLibraryException.class, () -> CudaRuntime.open(text))
                .getMessage());
        assertTrue(words.startsWith("Cannot load CUDA from " + text + ": "), words);
        assertFalse(words.replaceFirst("from " + text, "").contains(text.toString()), words);
    }

    /** The real library, as it is on a machine without a driver. */
    @Test
    void theInstalledRuntimeSaysThatThereIsNoDriver() {
        Path library = InstalledLibrary.require(GpuLibrary.CUDART);
        CudaRuntime cuda = CudaRuntime.open(library);
        assumeTrue(cuda.driverVersion() == 0, "this machine has an NVIDIA driver");
        assumeFalse(library.toString().contains("emulator"), "the emulator needs no driver");
        assertTrue(cuda.runtimeVersion() >= V12, () -> "version " + cuda.runtimeVersion());
        assertEquals(
                "No NVIDIA GPU can be used: CUDA driver version is insufficient for CUDA runtime version"
                        + " (cudaErrorInsufficientDriver, 35); no NVIDIA driver (libcuda.so.1) was found; install it, or"
                        + " use --device cpu",
                assertThrows(NativeLibraryException.class, cuda::deviceCount).getMessage());
        GpuException refused = assertThrows(GpuException.class, () -> cuda.allocate(0, 8));
        assertTrue(refused.getMessage().contains("(cudaErrorInsufficientDriver, 35)"), refused.getMessage());
    }
}
