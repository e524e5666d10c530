package io.tsp.ffm;

import static io.tsp.ffm.generated.cublaslt.cublaslt_h.*;
import static io.tsp.ffm.generated.cublaslt.tsp_cublaslt.*;

import io.tsp.ffm.generated.cublaslt.cublasLtMatmulAlgo_t;
import io.tsp.ffm.generated.cublaslt.cublasLtMatmulHeuristicResult_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * What cuBLASLt's heuristic thinks fastest.
 *
 * @param algorithm a {@code cublasLtMatmulAlgo_t}
 * @param workspaceBytes device memory that it needs
 */
record CublasLtAlgorithm(MemorySegment algorithm, long workspaceBytes) {
    /** Bytes on which operands lie for the fastest algorithms. */
    static final int FULL_ALIGNMENT = 16;

    private static final long MAX_WORKSPACE_BYTES = 32L << 20;

    /** A product: cuBLASLt's A, B, and D, which is C, too. */
    record Question(
            MemorySegment handle, MemorySegment descriptor, MemorySegment a, MemorySegment b, MemorySegment d) {}

    /**
     * Asks the heuristic. Where the sum over K is split, only a separate step may add the parts, in fp32: that has one
     * order and rounds once.
     *
     * @param alignment bytes on which every operand will lie
     * @return null if there is no algorithm
     */
    static @Nullable CublasLtAlgorithm find(CublasLtCalls calls, Question question, int alignment, Arena arena) {
        MemorySegment table = calls.table();
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.ADDRESS);
            calls.check(
                    cublasLtMatmulPreferenceCreate.invoke(cublasLtMatmulPreferenceCreate(table), out),
                    "cublasLtMatmulPreferenceCreate");
            MemorySegment preference = out.get(ValueLayout.ADDRESS, 0);
            try {
                prefer(calls, preference, alignment, call);
                return ask(calls, question, preference, arena);
            } finally {
                int _ = cublasLtMatmulPreferenceDestroy.invoke(cublasLtMatmulPreferenceDestroy(table), preference);
            }
        }
    }

    private static void prefer(CublasLtCalls calls, MemorySegment preference, int alignment, Arena call) {
        MemorySegment bytes = call.allocateFrom(ValueLayout.JAVA_LONG, MAX_WORKSPACE_BYTES);
        set(calls, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES(), bytes);
        MemorySegment mask = call.allocateFrom(
                ValueLayout.JAVA_INT, CUBLASLT_REDUCTION_SCHEME_NONE() | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE());
        set(calls, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK(), mask);
        MemorySegment aligned = call.allocateFrom(ValueLayout.JAVA_INT, alignment);
        set(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES(), aligned);
        set(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES(), aligned);
        set(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES(), aligned);
        set(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES(), aligned);
    }

    private static void set(CublasLtCalls calls, MemorySegment preference, int attribute, MemorySegment value) {
        calls.check(
                cublasLtMatmulPreferenceSetAttribute.invoke(
                        cublasLtMatmulPreferenceSetAttribute(calls.table()),
                        preference,
                        attribute,
                        value,
                        value.byteSize()),
                "cublasLtMatmulPreferenceSetAttribute " + attribute);
    }

    private static @Nullable CublasLtAlgorithm ask(
            CublasLtCalls calls, Question question, MemorySegment preference, Arena arena) {
        MemorySegment found = cublasLtMatmulHeuristicResult_t.allocate(arena);
        MemorySegment count = arena.allocate(ValueLayout.JAVA_INT);
        int status = cublasLtMatmulAlgoGetHeuristic.invoke(
                cublasLtMatmulAlgoGetHeuristic(calls.table()),
                question.handle(),
                question.descriptor(),
                question.a(),
                question.b(),
                question.d(),
                question.d(),
                preference,
                1,
                found,
                count);
        if (status == CUBLAS_STATUS_NOT_SUPPORTED()) {
            return null;
        }
        calls.check(status, "cublasLtMatmulAlgoGetHeuristic");
        if (count.get(ValueLayout.JAVA_INT, 0) == 0
                || cublasLtMatmulHeuristicResult_t.state(found) != CUBLAS_STATUS_SUCCESS()) {
            return null;
        }
        return new CublasLtAlgorithm(
                cublasLtMatmulHeuristicResult_t.algo(found), cublasLtMatmulHeuristicResult_t.workspaceSize(found));
    }

    /** Such as {@code cuBLASLt algorithm 66, tile 20, split-K 1, reduction 0}. */
    String describe(CublasLtCalls calls) {
        return "cuBLASLt algorithm " + number(calls, CUBLASLT_ALGO_CONFIG_ID()) + ", tile "
                + number(calls, CUBLASLT_ALGO_CONFIG_TILE_ID()) + ", split-K "
                + number(calls, CUBLASLT_ALGO_CONFIG_SPLITK_NUM()) + ", reduction "
                + number(calls, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME());
    }

    private int number(CublasLtCalls calls, int attribute) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment out = call.allocate(ValueLayout.JAVA_INT);
            MemorySegment written = call.allocate(ValueLayout.JAVA_LONG);
            calls.check(
                    cublasLtMatmulAlgoConfigGetAttribute.invoke(
                            cublasLtMatmulAlgoConfigGetAttribute(calls.table()),
                            algorithm.reinterpret(cublasLtMatmulAlgo_t.sizeof()),
                            attribute,
                            out,
                            Integer.BYTES,
                            written),
                    "cublasLtMatmulAlgoConfigGetAttribute " + attribute);
            return out.get(ValueLayout.JAVA_INT, 0);
        }
    }
}
