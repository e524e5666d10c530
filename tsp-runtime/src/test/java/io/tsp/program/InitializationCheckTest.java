package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.op.Access;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.CrossEntropyFinish;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that garbage can be read, or that an output can be garbage. */
class InitializationCheckTest {
    private final World tsp = World.of(new TspScheme(3, 1), Requests.plain());
    private final ProgramBuilder builder = new ProgramBuilder(0);
    private final Tensor source = builder.input("source", MemoryClass.HOST, DType.F32, 8);
    private final Tensor middle = builder.allocate("middle", MemoryClass.TRANSIENT, DType.F32, 8);
    private final Tensor target = builder.output(builder.allocate("target", MemoryClass.HOST, DType.F32, 8));

    static LongStream seeds() {
        return LongStream.range(0, 60);
    }

    @Test
    void findsReadBeforeWrite() {
        builder.compute(new Copy(middle, target));
        builder.compute(new Copy(source, middle));
        World.of(builder).assertDefect("rank 0", "#0 copy", "bytes [0, 32) of slot middle");
    }

    @Test
    void findsReadOfPartlyWrittenBuffer() {
        builder.compute(new Copy(source.rows(0, 3), middle.rows(0, 3)));
        builder.compute(new Copy(source.rows(5, 3), middle.rows(5, 3)));
        builder.compute(new Copy(middle, target));
        World.of(builder).assertDefect("#2 copy", "bytes [12, 20) of slot middle");
    }

    @Test
    void findsOutputThatIsNeverWritten() {
        builder.compute(new Copy(source, middle));
        World.of(builder).assertDefect("rank 0", "bytes [0, 32) of output target are never written");
    }

    @Test
    void findsOutputThatIsPartlyWritten() {
        builder.compute(new Copy(source.rows(0, 6), target.rows(0, 6)));
        World.of(builder).assertDefect("bytes [24, 32) of output target are never written");
    }

    /** Memory that outlives a run holds nothing unless the host or the program wrote it. */
    @Test
    void findsReadOfPersistentMemoryThatIsNoInput() {
        Tensor cache = builder.allocate("cache", MemoryClass.KV_CACHE, DType.F32, 8);
        builder.compute(new Copy(cache, target));
        World.of(builder).assertDefect("#0 copy", "slot cache");
    }

    @Test
    void findsAccumulationIntoNothing() {
        Step output = tsp.steps(2).stream()
                .filter(step -> step.op() instanceof Gemm gemm
                        && gemm.out().slot().name().equals("y"))
                .findFirst()
                .orElseThrow();
        Gemm gemm = (Gemm) output.op();
        tsp.withOp(2, output, new Gemm(gemm.a(), gemm.b(), null, gemm.out(), true))
                .assertDefect("rank 2", output, "slot y");
    }

    @Test
    void findsMissingEmbedding() {
        Step embedding = tsp.step(1, Embedding.class, 0);
        tsp.without(1, embedding).assertDefect("rank 1", "all-to-all", "slot embedding columns");
    }

    @Test
    void findsMissingLoss() {
        Step finish = tsp.step(0, CrossEntropyFinish.class, 0);
        tsp.without(0, finish).assertDefect("rank 0", "all-gather", "slot totals");
    }

    @Test
    void findsGatherOfKeysThatWereNotProjected() {
        Step gather = tsp.step(1, AllGather.class, 0);
        Step projection = tsp.steps(1).stream()
                .filter(step -> step.op() instanceof Gemm gemm
                        && gemm.out().slot().name().equals("gathered keys and values 0"))
                .findFirst()
                .orElseThrow();
        tsp.withSteps(1, steps -> {
                    steps.remove(gather.index());
                    steps.add(projection.index(), gather);
                })
                .assertDefect("rank 1", "all-gather", "slot gathered keys and values 0");
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void agreesWithCountingBytes(long seed) {
        Program program = new RandomPrograms(seed).next(6, 3);
        assertEquals(readsOnlyWrittenBytes(program), isAccepted(program));
    }

    /** Otherwise the comparison above would compare always the same answer. */
    @Test
    void randomProgramsAreOfBothKinds() {
        long right = seeds().filter(seed -> readsOnlyWrittenBytes(new RandomPrograms(seed).next(6, 3)))
                .count();
        assertTrue(right > 5 && right < 55, right + " of 60 are right");
    }

    private static boolean isAccepted(Program program) {
        try {
            InitializationCheck.check(program);
            return true;
        } catch (VerificationException e) {
            return false;
        }
    }

    private static boolean readsOnlyWrittenBytes(Program program) {
        boolean[][] written = new boolean[program.slots().size()][];
        Arrays.setAll(written, i -> new boolean[(int) program.slots().get(i).bytes()]);
        program.inputs().forEach(slot -> Arrays.fill(written[slot.id()], true));
        for (Step step : program.steps()) {
            for (Access access : step.op().accesses()) {
                boolean[] bytes = written[access.tensor().slot().id()];
                for (int i = (int) access.tensor().byteOffset();
                        i < access.tensor().byteEnd();
                        i++) {
                    if (access.mode().reads() && !bytes[i]) {
                        return false;
                    }
                    bytes[i] |= access.mode().writes();
                }
            }
        }
        return true;
    }
}
