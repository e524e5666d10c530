package io.tsp.ffm;

import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_invalid_arguments;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_out_of_memory;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_success;
import static io.tsp.ffm.generated.dnnl.dnnl_h.dnnl_unimplemented;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that matrix products are wrong, write outside their result, or differ from run to run. */
class MatmulTest {
    private static Openmp openmp;
    private static Dnnl dnnl;

    @BeforeAll
    static void load() {
        NativeLibraries libraries = NativeLibraries.standard();
        openmp = Openmp.load(libraries);
        dnnl = Dnnl.load(libraries, openmp);
    }

    @AfterAll
    static void close() {
        dnnl.close();
    }

    static Stream<MatmulSpec> specs() {
        Stream.Builder<MatmulSpec> specs = Stream.builder();
        long[][] sizes = {{1, 1, 1}, {1, 17, 5}, {7, 1, 64}, {31, 33, 257}, {64, 48, 128}, {203, 96, 40}};
        for (long[] size : sizes) {
            for (int variant = 0; variant < 1 << 5; variant++) {
                specs.add(spec(size[0], size[1], size[2], variant));
            }
        }
        return specs.add(spec(5, 7, 0, 0))
                .add(spec(5, 7, 0, 0b10000))
                .add(spec(5, 7, 0, 0b10010))
                .add(spec(0, 7, 3, 0))
                .add(spec(5, 0, 3, 0b10000))
                .build();
    }

    /** Bits: bf16 inputs, bias, transposed weights and src, padded strides, accumulate. */
    private static MatmulSpec spec(long m, long n, long k, int variant) {
        Dtype in = (variant & 1) != 0 ? Dtype.BF16 : Dtype.F32;
        Bias bias = (variant & 2) == 0 ? Bias.NONE : in == Dtype.F32 ? Bias.F32 : Bias.BF16;
        boolean transposed = (variant & 4) != 0;
        long pad = (variant & 8) != 0 ? 3 : 0;
        boolean accumulate = (variant & 16) != 0;
        Dtype out = accumulate || m % 2 == 0 ? Dtype.F32 : in;
        Matrix src = transposed && pad > 0 ? Matrix.transposed(in, m + pad) : Matrix.of(in, Math.max(1, k) + pad);
        Matrix weights = transposed ? Matrix.transposed(in, Math.max(1, k) + pad) : Matrix.of(in, Math.max(1, n) + pad);
        return new MatmulSpec(m, n, k, src, weights, bias, Matrix.of(out, Math.max(1, n) + pad), accumulate);
    }

    @ParameterizedTest
    @MethodSource("specs")
    void multipliesAsFloat64Does(MatmulSpec spec) {
        try (Arena arena = Arena.ofConfined();
                Matmul matmul = prepare(spec, 2)) {
            MatmulCase operands = new MatmulCase(spec, matmul.scratchpadBytes(), arena, 1);
            operands.execute(matmul);
            operands.assertCorrect();
        }
    }

    @Test
    void repeatsItselfBitForBit() {
        MatmulSpec spec = spec(203, 96, 1024, 0b10000);
        try (Arena arena = Arena.ofConfined();
                Matmul matmul = prepare(spec, 2)) {
            MatmulCase first = new MatmulCase(spec, matmul.scratchpadBytes(), arena, 3);
            first.execute(matmul);
            for (int run = 0; run < 10; run++) {
                MatmulCase again = new MatmulCase(spec, matmul.scratchpadBytes(), arena, 3);
                again.execute(matmul);
                assertEquals(-1, first.result().mismatch(again.result()));
            }
        }
    }

    @Test
    void threadsShareAnInstance() throws InterruptedException {
        MatmulSpec spec = spec(64, 48, 128, 0);
        try (Matmul matmul = prepare(spec, 1);
                ExecutorService threads = Executors.newFixedThreadPool(4)) {
            List<Future<?>> runs = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                long seed = thread;
                runs.add(threads.submit(() -> {
                    try (Arena arena = Arena.ofConfined()) {
                        for (int run = 0; run < 50; run++) {
                            MatmulCase operands = new MatmulCase(spec, matmul.scratchpadBytes(), arena, seed);
                            operands.execute(matmul);
                            operands.assertCorrect();
                        }
                    }
                }));
            }
            for (Future<?> run : runs) {
                assertDoesNotThrow(() -> run.get(60, TimeUnit.SECONDS));
            }
        }
    }

    @Test
    void leavesTheTeamOfThePreparingThreadAlone() {
        openmp.setThreads(1);
        prepare(spec(4, 4, 4, 0), 2).close();
        assertEquals(1, openmp.maxThreads());
    }

    @Test
    void refusesATeamOfNobody() {
        assertThrows(IllegalArgumentException.class, () -> openmp.setThreads(0));
    }

    @Test
    void refusesToRunOnceClosed() {
        Matmul matmul = prepare(spec(4, 4, 4, 0), 1);
        matmul.close();
        matmul.close();
        assertThrows(IllegalStateException.class, () -> matmul.execute(0, 0, 0, 0, 0));
    }

    @Test
    void saysWhatIsWrongWithASpec() {
        Matrix matrix = Matrix.of(Dtype.F32, 3);
        Matrix bf16 = Matrix.of(Dtype.BF16, 4);
        IllegalArgumentException narrow = assertThrows(
                IllegalArgumentException.class,
                () -> new MatmulSpec(4, 3, 4, matrix, matrix, Bias.NONE, matrix, false));
        assertEquals("The stored rows of src hold 4 elements, but its leading stride is 3", narrow.getMessage());
        assertThrows(
                IllegalArgumentException.class,
                () -> new MatmulSpec(-1, 3, 3, matrix, matrix, Bias.NONE, matrix, false));
        assertThrows(IllegalArgumentException.class, () -> new MatmulSpec(4, 4, 4, bf16, bf16, Bias.NONE, bf16, true));
        assertThrows(
                IllegalArgumentException.class, () -> new MatmulSpec(3, 3, 3, matrix, bf16, Bias.NONE, matrix, false));
    }

    @Test
    void turnsStatusCodesIntoExceptions() {
        DnnlScope.check(dnnl_success(), "f");
        Map.of(
                        dnnl_unimplemented(),
                        Status.UNSUPPORTED,
                        dnnl_out_of_memory(),
                        Status.OUT_OF_MEMORY,
                        dnnl_invalid_arguments(),
                        Status.INVALID_ARGUMENT,
                        99,
                        Status.INTERNAL)
                .forEach((code, status) -> {
                    NativeException e = assertThrows(NativeException.class, () -> DnnlScope.check(code, "f"));
                    assertEquals(status, e.status());
                    assertEquals("f", e.function());
                });
    }

    @Test
    void tellsVersionAndImplementation() {
        assertTrue(dnnl.version().startsWith("3."), dnnl.version());
        try (Matmul matmul = prepare(spec(64, 64, 64, 0), 1)) {
            assertTrue(!matmul.implementation().isEmpty());
            assertEquals(64, matmul.spec().m());
        }
    }

    private static Matmul prepare(MatmulSpec spec, int threads) {
        return dnnl.matmul(spec, threads);
    }
}
