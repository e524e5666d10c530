package io.tsp.device.cpu;

import static org.junit.jupiter.api.Assumptions.abort;

import io.tsp.device.Device;
import io.tsp.device.conformance.KernelConformance;
import io.tsp.device.conformance.Target;
import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.Openmp;
import io.tsp.ffm.Status;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that a CPU kernel is wrong at one of its instruction set levels. */
class CpuKernelConformanceTest extends KernelConformance {
    private static final List<String> LEVELS = List.of("avx512bf16", "avx512", "avx2", "portable");
    private static final int[] THREADS = {1, 2, 3};

    private final Dnnl dnnl;
    private final Path library;
    private final Map<String, String> absent = new LinkedHashMap<>();

    CpuKernelConformanceTest() {
        NativeLibraries libraries = NativeLibraries.standard();
        Openmp openmp = Openmp.load(libraries);
        dnnl = Dnnl.load(libraries, openmp);
        library = libraries.load(NativeLibrary.KERNELS_CPU);
    }

    @Override
    protected List<Target> open() {
        List<Target> targets = new ArrayList<>();
        for (String level : LEVELS) {
            try {
                targets.add(target(KernelTable.open(library, level)));
            } catch (NativeException e) {
                if (e.status() != Status.UNSUPPORTED) {
                    throw e;
                }
                absent.put(level, e.getMessage());
            }
        }
        return targets;
    }

    private Target target(KernelTable table) {
        List<Device> devices = new ArrayList<>();
        for (int threads : THREADS) {
            devices.add(new CpuDevice(table, dnnl, threads, new Cores(threads)));
        }
        return new Target(table.isa(), devices, new CpuOrderedSum(table));
    }

    @AfterAll
    void closeLibraries() {
        dnnl.close();
    }

    /** Reports the levels that cannot be judged here as skipped. */
    @ParameterizedTest
    @ValueSource(strings = {"avx512bf16", "avx512", "avx2", "portable"})
    void levelIsJudged(String level) {
        String reason = absent.get(level);
        if (reason != null) {
            abort(reason);
        }
    }
}
