package io.tsp.benchmark;

import io.tsp.ffm.GpuLibraries;
import io.tsp.ffm.GpuLibrary;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.ffm.generated.cudart.tsp_cudart;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.bytedeco.cuda.global.cudart;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** One function of CUDA, called through jextract's bindings and through JavaCPP's JNI. It needs no GPU, but its driver. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(3)
public class CudaDowncallBenchmark {
    private final Arena arena = Arena.ofConfined();
    private final MemorySegment version = arena.allocate(ValueLayout.JAVA_INT);
    private final IntBuffer versionOfJni = ByteBuffer.allocateDirect(Integer.BYTES)
            .order(ByteOrder.nativeOrder())
            .asIntBuffer();
    private MemorySegment function = MemorySegment.NULL;

    /** Why this cannot be measured here; empty if it can. */
    static String whyNot() {
        try {
            load();
            cudart.cudaRuntimeGetVersion(new int[1]);
            return "";
        } catch (NativeLibraryException | LinkageError e) {
            Throwable root = e;
            while (root.getCause() != null) {
                root = root.getCause();
            }
            return "calls of CUDA through FFM and JNI are left out: " + root.getMessage();
        }
    }

    /** JavaCPP's library finds the CUDA runtime among those that are loaded. */
    private static Path load() {
        Path library = GpuLibraries.standard().find(GpuLibrary.CUDART);
        System.load(library.toString());
        return library;
    }

    @Setup
    public void check() {
        function = SymbolLookup.libraryLookup(load(), arena).findOrThrow("cudaRuntimeGetVersion");
        if (ffm() != 0 || jni() != 0) {
            throw new IllegalStateException("cudaRuntimeGetVersion fails");
        }
        Check.requireEqual("the version by JNI", 0, versionOfJni.get(), version.get(ValueLayout.JAVA_INT, 0));
    }

    @Benchmark
    public int ffm() {
        return tsp_cudart.cudaRuntimeGetVersion.invoke(function, version);
    }

    @Benchmark
    public int jni() {
        return cudart.cudaRuntimeGetVersion(versionOfJni);
    }

    @TearDown
    public void close() {
        arena.close();
    }
}
