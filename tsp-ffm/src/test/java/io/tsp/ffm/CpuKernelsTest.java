package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.ffm.generated.kernels.tsp_kernels_h;
import io.tsp.ffm.generated.kernels.tsp_launch;
import io.tsp.ffm.generated.kernels.tsp_sum_args;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A failure means that this build's own kernel library cannot be used as it is packaged. */
class CpuKernelsTest {
    private static Path library;

    @BeforeAll
    static void load() {
        NativeLibraries libraries = NativeLibraries.standard();
        Openmp openmp = Openmp.load(libraries);
        Dnnl.load(libraries, openmp).close();
        library = libraries.load(NativeLibrary.KERNELS_CPU);
    }

    @Test
    void hasEveryKernel() {
        KernelTable table = KernelTable.open(library, null);
        List<Kernel> kernels = List.of(
                table.attentionForward(),
                table.gatedMlpForward(),
                table.packPanels(),
                table.rmsNormForward(),
                table.rope(),
                table.embeddingForward(),
                table.crossEntropyUpdate(),
                table.crossEntropyMerge(),
                table.crossEntropyFinish(),
                table.copy(),
                table.sum());
        assertEquals(
                kernels.size(), kernels.stream().map(Kernel::name).distinct().count());
    }

    @Test
    void givesTheInstructionSetAskedFor() {
        assertEquals("portable", KernelTable.open(library, "portable").isa());
        assertEquals(
                Status.INVALID_ARGUMENT,
                assertThrows(NativeException.class, () -> KernelTable.open(library, "mmx"))
                        .status());
    }

    @Test
    void addsNumbers() {
        Kernel sum = KernelTable.open(library, null).sum();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment first = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3);
            MemorySegment second = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 10, 20, 30);
            MemorySegment sources = arena.allocate(ValueLayout.ADDRESS, 2);
            sources.setAtIndex(ValueLayout.ADDRESS, 0, first);
            sources.setAtIndex(ValueLayout.ADDRESS, 1, second);
            MemorySegment args = tsp_sum_args.allocate(arena);
            tsp_sum_args.struct_size(args, (int) tsp_sum_args.sizeof());
            tsp_sum_args.dtype(args, tsp_kernels_h.TSP_F32());
            tsp_sum_args.sources(args, sources);
            tsp_sum_args.source_count(args, 2);
            tsp_sum_args.target(args, first);
            tsp_sum_args.count(args, 3);
            MemorySegment launch = tsp_launch.allocate(arena);
            tsp_launch.struct_size(launch, (int) tsp_launch.sizeof());
            tsp_launch.threads(launch, 2);

            assertEquals(0, sum.workspaceBytes(args, launch));
            sum.run(args, launch, new NativeError(arena));
            assertEquals(33, first.getAtIndex(ValueLayout.JAVA_FLOAT, 2));
        }
    }

    @Test
    void sharesOneOpenmpWithOnednn() throws Exception {
        List<String> runtimes = Files.readAllLines(Path.of("/proc/self/maps")).stream()
                .filter(line -> line.matches(".*lib(gomp|omp|iomp5)\\.so.*"))
                .map(line -> line.substring(line.indexOf('/')))
                .distinct()
                .collect(Collectors.toList());
        assertEquals(1, runtimes.size(), () -> "a second thread pool: " + runtimes);
        assertTrue(runtimes.getFirst().endsWith("libgomp.so.1"));
    }
}
