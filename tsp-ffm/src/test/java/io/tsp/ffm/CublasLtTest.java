package io.tsp.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tsp.ffm.MatmulSpec.Bias;
import io.tsp.ffm.MatmulSpec.Dtype;
import io.tsp.ffm.MatmulSpec.Matrix;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A failure means that cuBLASLt would be asked for another product than ours, or with an algorithm that does not fit the
 * operands. The products are those of a library that follows cublasLt.h on host memory; none runs on a GPU here.
 */
class CublasLtTest {
    private static final int VERSION = 130101;

    @TempDir
    private static Path folder;

    private static FakeCublasLt fake;
    private static CudaRuntime runtime;
    private static CublasLt cublas;

    @BeforeAll
    static void load() throws Exception {
        fake = FakeCublasLt.compile(folder, VERSION, true);
        runtime = CudaRuntime.open(FakeCudart.compile(folder, 13000, 13000, 2).library());
        cublas = CublasLt.open(fake.library(), runtime, 1);
    }

    @AfterAll
    static void close() {
        cublas.close();
        cublas.close();
        assertEquals(0, fake.read("live"), "objects of cuBLASLt that nothing destroyed");
    }

    static Stream<MatmulSpec> specs() {
        Stream.Builder<MatmulSpec> specs = Stream.builder();
        long[][] sizes = {{1, 1, 1}, {3, 5, 2}, {7, 1, 9}, {16, 24, 8}};
        for (long[] size : sizes) {
            for (int variant = 0; variant < 1 << 7; variant++) {
                specs.add(spec(size[0], size[1], size[2], variant));
            }
        }
        return specs.add(spec(5, 7, 0, 0))
                .add(spec(5, 7, 0, 0b100010))
                .add(spec(5, 7, 0, 0b10011))
                .add(spec(5, 7, 0, 0b1000011))
                .add(spec(0, 7, 3, 0))
                .add(spec(5, 0, 3, 0b10000))
                .build();
    }

    /** Bits: bf16 inputs, bias, transposed weights, transposed src, padded strides, accumulate, f32 dst. */
    private static MatmulSpec spec(long m, long n, long k, int variant) {
        Dtype in = (variant & 1) != 0 ? Dtype.BF16 : Dtype.F32;
        boolean accumulate = (variant & 32) != 0;
        Dtype out = accumulate || (variant & 64) != 0 ? Dtype.F32 : in;
        Bias bias = (variant & 2) == 0 ? Bias.NONE : out == Dtype.F32 ? Bias.F32 : Bias.BF16;
        long pad = (variant & 16) != 0 ? 3 : 0;
        return new MatmulSpec(
                m,
                n,
                k,
                matrix(in, m, k, (variant & 8) != 0, pad),
                matrix(in, k, n, (variant & 4) != 0, pad),
                bias,
                matrix(out, m, n, false, pad),
                accumulate);
    }

    private static Matrix matrix(Dtype dtype, long rows, long columns, boolean transposed, long pad) {
        return new Matrix(dtype, Math.max(1, transposed ? rows : columns) + pad, transposed);
    }

    @ParameterizedTest
    @MethodSource("specs")
    void multipliesAsFloat64Does(MatmulSpec spec) {
        for (int alignment : new int[] {spec.src().dtype().bytes(), CublasLtAlgorithm.FULL_ALIGNMENT}) {
            try (Arena arena = Arena.ofConfined();
                    GpuMatmul matmul = cublas.matmul(spec)) {
                MatmulCase operands = new MatmulCase(spec, matmul.workspaceBytes(), arena, 1, alignment);
                operands.execute(matmul);
                operands.assertCorrect();
            }
        }
    }

    @Test
    void theAlgorithmFitsTheOperands() {
        MatmulSpec spec = spec(4, 6, 8, 0b000011);
        try (Arena arena = Arena.ofConfined();
                GpuMatmul matmul = cublas.matmul(spec)) {
            new MatmulCase(spec, matmul.workspaceBytes(), arena, 1, 16).execute(matmul);
            assertEquals(16, fake.read("alignment"));
            assertEquals(2, fake.read("mask"), "sums over K may only be split if a step of its own adds them in fp32");
            new MatmulCase(spec, matmul.workspaceBytes(), arena, 1, 2).execute(matmul);
            assertEquals(2, fake.read("alignment"));
            assertEquals("cuBLASLt algorithm 16, tile 16, split-K 1, reduction 16", matmul.implementation());
        }
    }

    @Test
    void theLeastAlignedOperandDecides() {
        MatmulSpec spec = spec(1, 1, 1, 0b000010);
        try (Arena arena = Arena.ofConfined();
                GpuMatmul matmul = cublas.matmul(spec)) {
            long memory = arena.allocate(4096, 256).address();
            long workspace = memory + 2048;
            for (int odd = 0; odd < 4; odd++) {
                long[] at = {memory, memory + 64, memory + 128, memory + 192};
                matmul.execute(at[0], at[1], at[2], at[3], workspace, 0);
                assertEquals(16, fake.read("alignment"));
                at[odd] += 4;
                matmul.execute(at[0], at[1], at[2], at[3], workspace, 0);
                assertEquals(4, fake.read("alignment"), "operand " + odd);
            }
        }
    }

    @Test
    void aDeviceWithoutAlgorithmsForOddAddressesSaysSo() throws Exception {
        FakeCublasLt narrow = FakeCublasLt.compile(folder, VERSION, false);
        MatmulSpec spec = spec(4, 6, 8, 0);
        try (Arena arena = Arena.ofConfined();
                CublasLt library = CublasLt.open(narrow.library(), runtime, 0);
                GpuMatmul matmul = library.matmul(spec)) {
            new MatmulCase(spec, matmul.workspaceBytes(), arena, 1, 16).execute(matmul);
            MatmulCase odd = new MatmulCase(spec, matmul.workspaceBytes(), arena, 1, 4);
            NativeException refused = assertThrows(NativeException.class, () -> odd.execute(matmul));
            assertEquals(Status.UNSUPPORTED, refused.status());
        }
    }

    @Test
    void whatCublasCannotDoIsUnsupported() {
        Matrix half = Matrix.of(Dtype.BF16, 8);
        Matrix single = Matrix.of(Dtype.F32, 8);
        for (MatmulSpec spec : new MatmulSpec[] {
            new MatmulSpec(8, 8, 8, half, half, Bias.BF16, single, false),
            new MatmulSpec(8, 8, 8, half, half, Bias.F32, half, false),
            new MatmulSpec(8, 8, 8, single, single, Bias.NONE, half, false)
        }) {
            int live = fake.read("live");
            NativeException refused = assertThrows(NativeException.class, () -> cublas.matmul(spec));
            assertEquals(Status.UNSUPPORTED, refused.status());
            assertEquals(live, fake.read("live"));
        }
    }

    @Test
    void failuresCarryTheVendorsWords() {
        MatmulSpec spec = spec(4, 6, 8, 0);
        try (Arena arena = Arena.ofConfined()) {
            GpuMatmul matmul = cublas.matmul(spec);
            long memory = arena.allocate(4096, 256).address();
            GpuException refused =
                    assertThrows(GpuException.class, () -> matmul.execute(memory, memory, 0, memory, memory + 8, 0));
            assertEquals(
                    "cuBLASLt: cublasLtMatmul failed: invalid value (CUBLAS_STATUS_INVALID_VALUE, 7)",
                    refused.getMessage());
            matmul.close();
            matmul.close();
            assertThrows(IllegalStateException.class, () -> matmul.execute(memory, memory, 0, memory, memory, 0));
        }
    }

    @Test
    void versionsAreTold() throws Exception {
        assertEquals("13.1.1", cublas.version());
        Path old = FakeCublasLt.compile(folder, 111103, true).library();
        String words = String.valueOf(assertThrows(NativeLibraryException.class, () -> CublasLt.version(old))
                .getMessage());
        assertTrue(words.contains("is version 111103 of cuBLASLt, but this build needs 12.0 or later"), words);
    }

    /** The real library, as it is on a machine without a driver. */
    @Test
    void theInstalledLibraryNeedsADevice() {
        Path library = InstalledLibrary.require(GpuLibrary.CUBLASLT);
        assertTrue(CublasLt.version(library).matches("1[2-9]\\.\\d+\\.\\d+"), CublasLt.version(library));
        CudaRuntime cuda = CudaRuntime.open(InstalledLibrary.require(GpuLibrary.CUDART));
        assumeTrue(cuda.driverVersion() == 0, "this machine has an NVIDIA driver");
        // The fake runtime lets the call through to the real cuBLASLt.
        GpuException refused = assertThrows(GpuException.class, () -> CublasLt.open(library, runtime, 0));
        assertTrue(
                refused.getMessage().startsWith("cuBLASLt: cublasLtCreate on device 0 failed: "), refused::getMessage);
        assertTrue(refused.codeName().startsWith("CUBLAS_STATUS_"), refused.codeName());
    }
}
