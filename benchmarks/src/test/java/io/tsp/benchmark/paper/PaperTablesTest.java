package io.tsp.benchmark.paper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.benchmark.paper.LayerBytes.Pass;
import io.tsp.benchmark.paper.PublishedMemory.Point;
import io.tsp.benchmark.paper.Received.Wire;
import io.tsp.benchmark.paper.Simulation.Times;
import io.tsp.plan.Schemes;
import io.tsp.program.Program;
import io.tsp.program.Session.Mode;
import io.tsp.program.SimulatedStep;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that a page in docs says something that our programs do not. */
class PaperTablesTest {
    private static final int DEGREE = Reference.DEGREE;

    @ParameterizedTest
    @ValueSource(strings = {"memory", "bytes"})
    void docsSayWhatCommandSays(String name) throws IOException {
        assertEquals(docs(name), PaperTables.page(name), "run scripts/paper-tables " + name + " --out docs");
    }

    /** All of it would take more than a minute. */
    @ParameterizedTest
    @CsvSource({"tsp, true", "tp, true", "ulysses, false"})
    void docsOfThroughputSayWhatSimulationSays(String name, boolean bf16Sums) throws IOException {
        Scheme scheme = Schemes.of(name, DEGREE, Simulation.WORLD / DEGREE);
        String row = String.join(" | ", new Rates(ThroughputPage.MI300X, bf16Sums).row(scheme));
        assertTrue(docs("throughput").contains(row), "run scripts/paper-tables throughput --out docs: " + row);
    }

    @Test
    void docsOfThroughputSayWhatItMeans() throws IOException {
        String page = docs("throughput");
        assertTrue(page.contains(ThroughputText.INTRODUCTION.strip()) && page.contains(ThroughputText.RESULT.strip()));
        assertTrue(page.contains(ThroughputPage.MI300X.hash()) && page.contains(ThroughputPage.SDMA.hash()));
    }

    private static String docs(String name) throws IOException {
        Path root = Path.of(System.getProperty("tsp.repository", ".."));
        return Files.readString(root.resolve("docs").resolve(PaperTables.fileName(name)));
    }

    @Test
    void everySchemesBytesAreItsForm() {
        for (int degree : List.of(2, 4, 8)) {
            for (Scheme scheme : Schemes.all(degree, 1)) {
                for (int kvHeads : List.of(32, 8)) {
                    for (int rank = 0; rank < degree; rank++) {
                        LayerBytes.count(scheme, kvHeads, 16_384, rank)
                                .require(new ClosedForm(scheme, kvHeads, 16_384));
                    }
                }
            }
        }
    }

    /** The command must fail where programs and forms differ. */
    @Test
    void otherFormIsRefused() {
        Scheme tsp = Schemes.of("tsp", DEGREE, 1);
        LayerBytes bytes = LayerBytes.of(tsp, 32, 16_384);
        ClosedForm ofMoreTokens = new ClosedForm(tsp, 32, 16_385);
        ClosedForm ofOther = new ClosedForm(Schemes.of("ulysses", DEGREE, 1), 32, 16_384);
        assertThrows(IllegalStateException.class, () -> bytes.require(ofMoreTokens));
        assertThrows(IllegalStateException.class, () -> bytes.require(ofOther));
    }

    /** In tokens: 8h, 24h, 32h, and what the f32 sums of our programs make of them. */
    @ParameterizedTest
    @CsvSource({
        "FORWARD,  BF16,          32, 32768",
        "TRAINING, BF16,          32, 98304",
        "TRAINING, F32_GRADIENTS, 32, 131072",
        "TRAINING, F32_SUMS,      32, 32768",
        "FORWARD,  BF16,           8, 16969",
        "TRAINING, BF16,           8, 27410",
    })
    void crossoverIs(Pass pass, Wire wire, int kvHeads, double tokens) {
        Scheme tsp = Schemes.of("tsp", DEGREE, 1);
        Scheme tp = Schemes.of("tp", DEGREE, 1);
        double counted =
                new Crossover(tsp, wire, tp, wire, kvHeads, pass).tokens().orElseThrow();
        // Gradients of norms, which the forms leave out, are worth a few tokens.
        assertEquals(tokens, counted, 5);
        long before = (long) tokens / 1024 * 1024 - 1024;
        assertTrue(difference(tsp, tp, wire, kvHeads, pass, before) > 0);
        assertTrue(difference(tsp, tp, wire, kvHeads, pass, before + 3072) < 0);
    }

    private static long difference(Scheme one, Scheme other, Wire wire, int kvHeads, Pass pass, long seq) {
        return LayerBytes.of(one, kvHeads, seq).of(pass).bytes(wire)
                - LayerBytes.of(other, kvHeads, seq).of(pass).bytes(wire);
    }

    @ParameterizedTest
    @ValueSource(strings = {"tp+sp:4x2", "tp+sp:2x4", "ulysses"})
    void someMoveLessThanTspAtAnyLength(String other) {
        Crossover crossover = new Crossover(
                Schemes.of("tsp", DEGREE, 1), Wire.BF16, Schemes.of(other, DEGREE, 1), Wire.BF16, 32, Pass.FORWARD);
        assertTrue(crossover.tokens().isEmpty());
    }

    @Test
    void bookkeepingGivesPublishedMemory() {
        for (Point point : PublishedMemory.POINTS) {
            double bytes = PaperBooks.of(Schemes.of(point.scheme(), DEGREE, 1), point.seq(), true)
                    .total();
            assertEquals(point.gib(), bytes / PublishedMemory.BYTES_PER_GIB, 0.05, point.toString());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"tsp", "tp", "tp+sp:2x4", "tp+sp-regions", "fsdp+sp", "ulysses"})
    void memoryOfAllLayersIsExtrapolated(String name) {
        Scheme scheme = Schemes.of(name, DEGREE, 1);
        for (Recompute recompute : Recompute.values()) {
            assertEquals(
                    PlannedMemory.plan(scheme, Reference.MODEL.layers(), 32_768, recompute, 3)
                            .total(),
                    PlannedMemory.of(scheme, 32_768, recompute).total());
        }
    }

    @ParameterizedTest
    @CsvSource({"tsp, false", "tsp, true", "tp+sp:4x2, true", "ulysses, true"})
    void timeOfAllLayersIsExtrapolated(String name, boolean bf16Sums) {
        Scheme scheme = Schemes.of(name, DEGREE, Simulation.WORLD / DEGREE);
        Simulation simulation = new Simulation(ThroughputPage.MI300X, Mode.OVERLAPPED, bf16Sums);
        SimulatedStep whole = simulation.training(scheme, Reference.MODEL.layers());
        Times times = simulation.training(scheme);
        assertEquals(whole.seconds(), times.modelSeconds(), 1e-3 * whole.seconds());
    }

    /** Half of the bytes of what is summed in a layer, and not a byte less of anything else. */
    @ParameterizedTest
    @ValueSource(strings = {"tsp", "tp", "tp+sp-regions", "ulysses"})
    void bf16SumsAreHalfAsLong(String name) {
        Received before = layer(name, false);
        Received after = layer(name, true);
        assertEquals(before.bf16(), after.bf16());
        assertEquals(before.f32(), 2 * after.f32());
        assertTrue(before.f32() > 0);
    }

    private static Received layer(String name, boolean bf16Sums) {
        return received(name, 3, bf16Sums).minus(received(name, 2, bf16Sums));
    }

    private static Received received(String name, int layers, boolean bf16Sums) {
        Program program = Schemes.of(name, DEGREE, 1)
                .training(Reference.gradients(Reference.with(layers, 32), 1, 16_384, Recompute.SELECTIVE), 0)
                .model()
                .program();
        return Received.of(bf16Sums ? Bf16Sums.of(program) : program);
    }
}
