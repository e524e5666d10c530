package io.tsp.ffm;

import static io.tsp.ffm.generated.cublaslt.cublaslt_h.*;
import static io.tsp.ffm.generated.cublaslt.tsp_cublaslt.*;

import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The cuBLASLt objects behind one {@link GpuMatmul}, used by one thread at a time.
 *
 * <p>cuBLASLt's native order is by columns, and a bias is one element per row of the result. Our rows are its columns:
 * dst = src weights is computed as dst^T [N, M] = weights^T src^T, so its A is our weights, its B our src, and the bias
 * has one element for each of our columns, as it must.
 */
final class CublasLtProduct implements AutoCloseable {
    private final CublasLtCalls calls;
    private final MemorySegment table;
    private final MemorySegment handle;
    private final Arena arena = Arena.ofShared();
    private final Deque<Runnable> destroyers = new ArrayDeque<>();
    private final boolean biased;
    private final MemorySegment descriptor;
    private final MemorySegment a;
    private final MemorySegment b;
    private final MemorySegment d;
    private final MemorySegment one;
    private final MemorySegment beta;
    private final MemorySegment biasPointer;
    private final CublasLtAlgorithm aligned;
    /** For operands that lie on their element size alone; null if there is none. */
    private final @Nullable CublasLtAlgorithm unaligned;

    CublasLtProduct(CublasLtCalls calls, MemorySegment handle, MatmulSpec spec) {
        this.calls = calls;
        this.table = calls.table();
        this.handle = handle;
        biased = spec.bias() != Bias.NONE;
        try {
            one = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1.0f);
            beta = arena.allocateFrom(ValueLayout.JAVA_FLOAT, spec.accumulate() ? 1.0f : 0.0f);
            biasPointer = arena.allocate(ValueLayout.JAVA_LONG);
            descriptor = describe(spec);
            a = layout(spec.weights(), spec.k(), spec.n());
            b = layout(spec.src(), spec.m(), spec.k());
            d = layout(spec.dst(), spec.m(), spec.n());
            CublasLtAlgorithm.Question question = new CublasLtAlgorithm.Question(handle, descriptor, a, b, d);
            int elementBytes =
                    Math.min(spec.src().dtype().bytes(), spec.dst().dtype().bytes());
            CublasLtAlgorithm best = find(question, CublasLtAlgorithm.FULL_ALIGNMENT);
            unaligned = find(question, elementBytes);
            if (best == null) {
                throw new NativeException(
                        Status.UNSUPPORTED,
                        "cublasLtMatmulAlgoGetHeuristic",
                        "cuBLASLt " + calls.version() + " has no algorithm on this device for " + spec);
            }
            aligned = best;
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private @Nullable CublasLtAlgorithm find(CublasLtAlgorithm.Question question, int alignment) {
        // The heuristic reads the bias's alignment off its address.
        pointToBias(alignment);
        return CublasLtAlgorithm.find(calls, question, alignment, arena);
    }

    long workspaceBytes() {
        return Math.max(aligned.workspaceBytes(), unaligned == null ? 0 : unaligned.workspaceBytes());
    }

    String implementation() {
        return aligned.describe(calls);
    }

    void execute(long src, long weights, long bias, long dst, long workspace, long workspaceBytes, long stream) {
        CublasLtAlgorithm algorithm = algorithm(src | weights | dst | (biased ? bias : 0));
        if (biased) {
            pointToBias(bias);
        }
        MemorySegment result = MemorySegment.ofAddress(dst);
        calls.check(
                cublasLtMatmul.invoke(
                        cublasLtMatmul(table),
                        handle,
                        descriptor,
                        one,
                        MemorySegment.ofAddress(weights),
                        a,
                        MemorySegment.ofAddress(src),
                        b,
                        beta,
                        result,
                        d,
                        result,
                        d,
                        algorithm.algorithm(),
                        MemorySegment.ofAddress(workspace),
                        workspaceBytes,
                        MemorySegment.ofAddress(stream)),
                "cublasLtMatmul");
    }

    private CublasLtAlgorithm algorithm(long addresses) {
        if (addresses % CublasLtAlgorithm.FULL_ALIGNMENT == 0) {
            return aligned;
        }
        if (unaligned == null) {
            throw new NativeException(
                    Status.UNSUPPORTED,
                    "cublasLtMatmul",
                    "this device multiplies only operands that lie on " + CublasLtAlgorithm.FULL_ALIGNMENT + " bytes");
        }
        return unaligned;
    }

    private MemorySegment describe(MatmulSpec spec) {
        MemorySegment created = create(
                "cublasLtMatmulDescCreate",
                out -> cublasLtMatmulDescCreate.invoke(
                        cublasLtMatmulDescCreate(table), out, CUBLAS_COMPUTE_32F(), CUDA_R_32F()),
                object -> cublasLtMatmulDescDestroy.invoke(cublasLtMatmulDescDestroy(table), object));
        set(created, CUBLASLT_MATMUL_DESC_TRANSA(), operation(spec.weights()));
        set(created, CUBLASLT_MATMUL_DESC_TRANSB(), operation(spec.src()));
        if (biased) {
            set(created, CUBLASLT_MATMUL_DESC_EPILOGUE(), CUBLASLT_EPILOGUE_BIAS());
            set(created, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE(), type(spec.dst().dtype()));
        }
        return created;
    }

    /** Of a matrix [rows, columns] of ours, which cuBLASLt sees as its stored columns' matrix. */
    private MemorySegment layout(Matrix matrix, long rows, long columns) {
        long storedRows = matrix.transposed() ? columns : rows;
        long storedColumns = matrix.transposed() ? rows : columns;
        return create(
                "cublasLtMatrixLayoutCreate",
                out -> cublasLtMatrixLayoutCreate.invoke(
                        cublasLtMatrixLayoutCreate(table),
                        out,
                        type(matrix.dtype()),
                        storedColumns,
                        storedRows,
                        matrix.leadingStride()),
                object -> cublasLtMatrixLayoutDestroy.invoke(cublasLtMatrixLayoutDestroy(table), object));
    }

    private static int operation(Matrix matrix) {
        return matrix.transposed() ? CUBLAS_OP_T() : CUBLAS_OP_N();
    }

    private static int type(Dtype dtype) {
        return switch (dtype) {
            case F32 -> CUDA_R_32F();
            case BF16 -> CUDA_R_16BF();
        };
    }

    /** Both return a {@code cublasStatus_t}. */
    private MemorySegment create(
            String function, ToIntFunction<MemorySegment> creator, ToIntFunction<MemorySegment> destroyer) {
        MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
        calls.check(creator.applyAsInt(out), function);
        MemorySegment created = out.get(ValueLayout.ADDRESS, 0);
        destroyers.push(() -> {
            int _ = destroyer.applyAsInt(created);
        });
        return created;
    }

    private void set(MemorySegment of, int attribute, int value) {
        setBytes(of, attribute, arena.allocateFrom(ValueLayout.JAVA_INT, value));
    }

    private void pointToBias(long address) {
        if (biased) {
            biasPointer.set(ValueLayout.JAVA_LONG, 0, address);
            setBytes(descriptor, CUBLASLT_MATMUL_DESC_BIAS_POINTER(), biasPointer);
        }
    }

    private void setBytes(MemorySegment of, int attribute, MemorySegment value) {
        calls.check(
                cublasLtMatmulDescSetAttribute.invoke(
                        cublasLtMatmulDescSetAttribute(table), of, attribute, value, value.byteSize()),
                "cublasLtMatmulDescSetAttribute " + attribute);
    }

    @Override
    public void close() {
        while (!destroyers.isEmpty()) {
            destroyers.pop().run();
        }
        arena.close();
    }
}
