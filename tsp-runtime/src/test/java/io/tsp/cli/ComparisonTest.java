package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.data.TokenBatch;
import io.tsp.evaluate.AvailableMemory;
import io.tsp.evaluate.Comparison;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.evaluate.ForwardRunner;
import io.tsp.evaluate.ForwardWorkload;
import io.tsp.evaluate.LogitsSample;
import io.tsp.evaluate.MemoryNeed;
import io.tsp.evaluate.SchemeResult;
import io.tsp.evaluate.Workload;
import io.tsp.model.ModelConfig;
import io.tsp.model.Presets;
import io.tsp.model.RandomWeights;
import io.tsp.plan.Schemes;
import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A failure means that a comparison hides what it did not measure, or plans other bytes than it loads. */
class ComparisonTest {
    private static final ModelConfig CONFIG = Presets.of("tiny");
    private static final TokenBatch BATCH =
            TokenBatch.of(1, 40, IntStream.range(0, 40).map(i -> i * 37 % 256).toArray());
    private static final Scheme SINGLE = Schemes.of("single", 1, 1);
    private static final Scheme TSP = Schemes.of("tsp", 4, 1);
    private static final Scheme SP = Schemes.of("sp", 4, 1);

    private static CpuLibraries libraries;

    private final List<String> steps = new ArrayList<>();
    private int units;

    @BeforeAll
    static void load() {
        libraries = CpuLibraries.load();
    }

    @AfterAll
    static void close() {
        libraries.close();
    }

    private static Cluster ranks(int count) {
        return LocalCluster.onCpu(libraries, count, 2, Duration.ofSeconds(60));
    }

    private List<SchemeResult> compare(List<Scheme> schemes, long availableBytes) {
        Comparison.Progress progress = new Comparison.Progress() {
            @Override
            public void begin(int count) {
                units = count;
            }

            @Override
            public void next(String what) {
                steps.add(what);
            }
        };
        RandomWeights weights = new RandomWeights(CONFIG, 0);
        Workload workload = new ForwardWorkload(CONFIG, DType.F32, BATCH, weights);
        Comparison.Task task = new Comparison.Task(
                CONFIG, DType.F32, BATCH, weights, workload, true, schemes, 2, AvailableMemory.ofHost(availableBytes));
        return new Comparison(task, ComparisonTest::ranks, progress).run();
    }

    private static long planned(Scheme scheme, boolean logits) {
        MemoryNeed memory = plan(scheme, logits).memory();
        return memory.plannedBytes(memory.allRanks()).values().stream()
                .mapToLong(Long::longValue)
                .sum();
    }

    private static ForwardPlan plan(Scheme scheme, boolean logits) {
        return ForwardPlan.of(scheme, ForwardPlan.request(CONFIG, DType.F32, BATCH, logits));
    }

    @Test
    void withMemoryForAllTheyTakeTurns() {
        List<SchemeResult> results = compare(List.of(SINGLE, TSP), Long.MAX_VALUE);
        assertTrue(results.stream().allMatch(SchemeResult::wasRun));
        assertEquals(
                List.of(
                        "load single",
                        "logits of single",
                        "load tsp",
                        "logits of tsp",
                        "load single",
                        "load tsp",
                        "run single",
                        "run tsp",
                        "run single",
                        "run tsp",
                        "run single",
                        "run tsp"),
                steps);
        assertEquals(steps.size(), units);
    }

    @Test
    void withLessMemoryTheyAreTimedOneByOne() {
        long enoughForEach = Math.max(planned(SINGLE, true), planned(TSP, true));
        List<SchemeResult> results = compare(List.of(SINGLE, TSP), enoughForEach);
        assertTrue(results.stream().allMatch(SchemeResult::wasRun));
        assertEquals(
                List.of(
                        "load single",
                        "run single",
                        "run single",
                        "run single",
                        "load tsp",
                        "run tsp",
                        "run tsp",
                        "run tsp"),
                steps.subList(4, steps.size()));
    }

    @Test
    void aSchemeThatDoesNotFitIsSkippedWithAReason() {
        List<SchemeResult> results = compare(List.of(SINGLE, SP), planned(SP, false) - 1);
        assertTrue(results.getFirst().wasRun());
        SchemeResult skipped = results.getLast();
        assertFalse(skipped.wasRun());
        assertNull(skipped.deviation());
        assertTrue(
                skipped.reason()
                        .matches("sp needs \\S+ GiB for its 4 ranks here \\(parameters .*\\) but only .* are free;"
                                + " use --dtype bf16, .*"),
                skipped.reason());
        assertTrue(steps.stream().noneMatch(step -> step.endsWith(" sp")), steps::toString);
    }

    @Test
    void whatHasNoReferenceSaysSo() {
        List<SchemeResult> results = compare(List.of(SP, SINGLE), planned(SINGLE, true));
        assertFalse(results.getFirst().wasRun());
        assertTrue(results.getLast().wasRun());
        assertNull(results.getLast().deviation());
        assertEquals(
                "no max error, because there are no logits of sp",
                results.getLast().reason());
    }

    @Test
    void logitsThatDoNotFitAreSaid() {
        List<SchemeResult> results = compare(List.of(SINGLE), planned(SINGLE, false));
        assertTrue(results.getFirst().wasRun());
        assertNull(results.getFirst().deviation());
        assertTrue(results.getFirst().reason().startsWith("no max error, because with logits single needs"));
    }

    /** Bytes of a bar that never fills, or overflows, would be noticed by nobody else. */
    @Test
    void plannedWeightBytesAreThoseThatAreLoaded() {
        for (Scheme scheme : Schemes.all(3, 1)) {
            ForwardPlan plan = plan(scheme, false);
            AtomicLong loaded = new AtomicLong();
            try (Cluster cluster = ranks(3);
                    ForwardRunner runner = ForwardRunner.open(
                            cluster, plan, new RandomWeights(CONFIG, 0), Session.Mode.OVERLAPPED, loaded::addAndGet)) {
                assertEquals(plan.weightBytes(plan.memory().allRanks()), loaded.get(), scheme.name());
                long arenas = plan.memory().allRanks().stream()
                        .mapToLong(rank -> runner.session().plan(rank).peakBytes())
                        .sum();
                assertTrue(planned(scheme, false) <= arenas, scheme.name());
            }
        }
    }

    @Test
    void aSampleOfLogitsIsSpreadOverAllTokens() {
        ForwardPlan plan = plan(SINGLE, true);
        long rowBytes = (long) CONFIG.vocab() * Float.BYTES;
        try (Cluster cluster = ranks(1);
                ForwardRunner runner = ForwardRunner.open(
                        cluster, plan, new RandomWeights(CONFIG, 0), Session.Mode.OVERLAPPED, bytes -> {})) {
            runner.run(BATCH);
            for (int tokens : new int[] {1, 7, 40}) {
                LogitsSample sample = LogitsSample.of(runner, 1, 40, CONFIG.vocab(), tokens * rowBytes);
                assertEquals(tokens, sample.tokens());
                assertEquals(0, sample.maxError(runner));
            }
            assertEquals(
                    40,
                    LogitsSample.of(runner, 1, 40, CONFIG.vocab(), Long.MAX_VALUE)
                            .tokens());
            LogitsSample sample = LogitsSample.of(runner, 1, 40, CONFIG.vocab(), 7 * rowBytes);
            runner.run(TokenBatch.of(1, 40, new int[40]));
            assertTrue(sample.maxError(runner) > 0.01);
        }
    }
}
