package io.tsp.ffm;

import java.lang.foreign.MemorySegment;

/**
 * A prepared matrix product of oneDNN. Everything but the addresses is fixed, so an execution allocates nothing: scratch
 * memory is the caller's. Results are equal bit for bit from run to run.
 *
 * <p>Callers of one instance take turns. Threads that want to multiply at the same time prepare one each; oneDNN shares
 * the generated code between them.
 */
public final class Matmul implements AutoCloseable {
    private final MatmulSpec spec;
    private final int threads;
    private final Openmp openmp;
    private final DnnlScope scope = new DnnlScope();
    private final MatmulPrimitive primitive;
    private final MemorySegment zeros;
    private boolean closed;

    Matmul(MemorySegment engine, Openmp openmp, MatmulSpec spec, int threads) {
        this.spec = spec;
        this.threads = threads;
        this.openmp = openmp;
        // oneDNN would skip a product with K = 0 and leave dst unwritten.
        MatmulSpec executed = spec.k() == 0 ? spec.overZeros() : spec;
        // It decides how to split the work while it prepares, from the team of the preparing thread.
        int before = openmp.maxThreads();
        openmp.setThreads(threads);
        try {
            primitive = new MatmulPrimitive(engine, executed, scope);
            zeros = spec.k() == 0 ? scope.arena().allocate(executed.zeroBytes()) : MemorySegment.NULL;
        } catch (RuntimeException e) {
            scope.close();
            throw e;
        } finally {
            openmp.setThreads(before);
        }
    }

    /** What was asked for. */
    public MatmulSpec spec() {
        return spec;
    }

    /** Bytes that {@link #execute} may use at {@code scratchpad}. */
    public long scratchpadBytes() {
        return primitive.scratchpadBytes();
    }

    /** oneDNN's name for the code it chose, such as {@code brg_matmul:avx512_core_bf16}. */
    public String implementation() {
        return primitive.implementation();
    }

    /**
     * Multiplies, and returns when dst is written. Sets the calling thread's OpenMP team to this product's threads.
     *
     * @param src address of the matrix, as all that follow; none may overlap dst
     * @param bias ignored without a bias
     * @param scratchpad 64-byte aligned, {@link #scratchpadBytes} long
     * @throws NativeException if oneDNN fails
     */
    public synchronized void execute(long src, long weights, long bias, long dst, long scratchpad) {
        if (closed) {
            throw new IllegalStateException("This matrix product is closed: " + spec);
        }
        if (spec.m() == 0 || spec.n() == 0) {
            return;
        }
        openmp.setThreads(threads);
        if (spec.k() == 0) {
            primitive.execute(zeros.address(), zeros.address(), bias, dst, scratchpad);
        } else {
            primitive.execute(src, weights, bias, dst, scratchpad);
        }
    }

    /** Must not run before the last {@link #execute} has returned; again does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            scope.close();
        }
    }
}
