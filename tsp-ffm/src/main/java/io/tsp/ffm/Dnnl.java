package io.tsp.ffm;

import static io.tsp.ffm.generated.dnnl.dnnl_h.DNNL_VERSION_MAJOR;
import static io.tsp.ffm.generated.dnnl.dnnl_h.DNNL_VERSION_MINOR;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_cpu;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_engine_create;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_engine_destroy;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_version;

import io.tsp.ffm.generated.dnnl.dnnl_version_t;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * oneDNN 3 on the CPU. Prepares {@link Matmul}s, which must be closed before it; safe for use by several threads.
 *
 * @see <a href="https://uxlfoundation.github.io/oneDNN/">oneDNN</a>
 */
public final class Dnnl implements AutoCloseable {
    private final Openmp openmp;
    private final String version;
    private final DnnlScope scope = new DnnlScope();
    private final MemorySegment engine;

    private Dnnl(Openmp openmp, String version) {
        this.openmp = openmp;
        this.version = version;
        this.engine = scope.create(
                "dnnl_engine_create",
                out -> dnnl_engine_create(out, dnnl_cpu(), 0),
                engine -> dnnl_engine_destroy(engine));
    }

    /**
     * Loads oneDNN and creates its CPU engine.
     *
     * @param openmp loaded by the same {@code libraries}
     * @throws NativeLibraryException if oneDNN is missing or another version than the bindings were generated from
     */
    public static Dnnl load(NativeLibraries libraries, Openmp openmp) {
        Path library = libraries.load(NativeLibrary.DNNL);
        MemorySegment version = dnnl_version().reinterpret(dnnl_version_t.sizeof());
        int major = dnnl_version_t.major(version);
        int minor = dnnl_version_t.minor(version);
        if (major != DNNL_VERSION_MAJOR() || minor < DNNL_VERSION_MINOR()) {
            throw new NativeLibraryException(library + " is oneDNN " + major + "." + minor + ", but this build needs "
                    + DNNL_VERSION_MAJOR() + "." + DNNL_VERSION_MINOR()
                    + " or a later minor version; remove it to use the one in the jar");
        }
        return new Dnnl(openmp, major + "." + minor + "." + dnnl_version_t.patch(version));
    }

    /** The running library's version, such as {@code 3.11.0}. */
    public String version() {
        return version;
    }

    /**
     * Prepares a product. Costs up to a second the first time a process asks for a shape (code generation), microseconds
     * after that.
     *
     * @param threads threads of each {@link Matmul#execute}, the caller included
     * @throws NativeException with {@link Status#UNSUPPORTED} if this processor cannot multiply these types
     */
    public Matmul matmul(MatmulSpec spec, int threads) {
        return new Matmul(engine, openmp, spec, threads);
    }

    @Override
    public void close() {
        scope.close();
    }
}
