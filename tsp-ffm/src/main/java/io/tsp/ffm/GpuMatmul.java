package io.tsp.ffm;

import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A prepared matrix product of cuBLASLt. Products accumulate in fp32, those of f32 inputs without TF32; the algorithm is
 * chosen once, among those that repeat themselves bit for bit.
 *
 * <p>Callers of one instance take turns.
 */
public final class GpuMatmul implements AutoCloseable {
    /** Allocations are aligned so; what follows the algorithm's workspace stays aligned. */
    private static final long ALIGNMENT = 256;

    private final MatmulSpec spec;
    private final GpuRuntime runtime;
    private final int device;
    private final @Nullable CublasLtProduct product;
    private final long algorithmBytes;
    private boolean closed;

    GpuMatmul(CublasLtCalls calls, MemorySegment handle, GpuRuntime runtime, int device, MatmulSpec spec) {
        this.spec = spec;
        this.runtime = runtime;
        this.device = device;
        requireBias(spec);
        boolean empty = spec.m() == 0 || spec.n() == 0;
        // A matrix without columns has no layout in cuBLASLt.
        MatmulSpec executed = spec.k() == 0 ? spec.overZeros() : spec;
        runtime.setDevice(device);
        product = empty ? null : new CublasLtProduct(calls, handle, executed);
        algorithmBytes = product == null ? 0 : (product.workspaceBytes() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private static void requireBias(MatmulSpec spec) {
        Dtype dst = spec.dst().dtype();
        if (spec.bias() != Bias.NONE && spec.bias() != (dst == Dtype.F32 ? Bias.F32 : Bias.BF16)) {
            throw new NativeException(
                    Status.UNSUPPORTED,
                    "cublasLtMatmul",
                    "cuBLASLt adds a bias of dst's dtype only, got " + spec.bias() + " and " + dst);
        }
    }

    /** What was asked for. */
    public MatmulSpec spec() {
        return spec;
    }

    /** Bytes of device memory that {@link #execute} may use at {@code workspace}. */
    public long workspaceBytes() {
        return product != null && spec.k() == 0 ? algorithmBytes + spec.zeroBytes() : algorithmBytes;
    }

    /** cuBLASLt's numbers for the algorithm it chose, for operands on 16 bytes. */
    public String implementation() {
        return product == null ? "none, the result is empty" : product.implementation();
    }

    /**
     * Enqueues the product in {@code stream}, a stream of this device, and makes it the calling thread's device.
     *
     * @param src address of the matrix in the device's memory, as all that follow; none may overlap dst. A product whose
     *     operands all lie on 16 bytes is faster
     * @param bias ignored without a bias
     * @param workspace aligned to 256 bytes, {@link #workspaceBytes} long, of no other work until this is done
     * @throws GpuException if cuBLASLt refuses
     */
    public synchronized void execute(long src, long weights, long bias, long dst, long workspace, long stream) {
        if (closed) {
            throw new IllegalStateException("This matrix product is closed: " + spec);
        }
        if (product == null) {
            return;
        }
        runtime.setDevice(device);
        if (spec.k() == 0) {
            long zeros = workspace + algorithmBytes;
            runtime.fill(device, zeros, (byte) 0, spec.zeroBytes(), stream);
            product.execute(zeros, zeros, bias, dst, workspace, algorithmBytes, stream);
        } else {
            product.execute(src, weights, bias, dst, workspace, algorithmBytes, stream);
        }
    }

    /** May run while work that was enqueued goes on; again does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            if (product != null) {
                product.close();
            }
        }
    }
}
