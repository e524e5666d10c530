package io.tsp.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.cost.HardwareProfile;
import io.tsp.model.Presets;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that a plan recommends what does not fit, or what is not the fastest. */
class PlannerTest {
    private static final HardwareProfile MI300X = HardwareProfile.of("mi300x");
    private static final Planner PLANNER = new Planner(MI300X);

    private static PlannedStep training(String preset, int layers, long batch, long seq, Recompute recompute) {
        ForwardRequest forward =
                new ForwardRequest(Presets.of(preset).withLayers(layers), DType.BF16, batch, seq, false, false);
        return PlannedStep.of(new TrainingRequest(forward, 1, recompute, DType.F32, true, true));
    }

    private static PlannedStep forward(int layers, long batch, long seq) {
        return PlannedStep.of(
                new ForwardRequest(Presets.of("tsp-7b").withLayers(layers), DType.BF16, batch, seq, false, false));
    }

    /** Every further layer costs as much as the last, so few of them say what many cost. */
    @ParameterizedTest
    @ValueSource(strings = {"tsp", "tp", "tp+sp-regions", "sp", "tp+sp:2x2", "fsdp+sp", "ulysses"})
    void fewLayersSayWhatManyCost(String scheme) {
        for (Recompute recompute : Recompute.values()) {
            PlannedStep step = training("tsp-7b", 9, 2, 16_384, recompute);
            Prediction whole = PLANNER.predictWhole(Schemes.of(scheme, 4, 2), step);
            Prediction few = PLANNER.predict(Schemes.of(scheme, 4, 2), step);
            assertEquals(whole.bytesByClass(), few.bytesByClass(), recompute::toString);
            assertEquals(whole.bytesSent(), few.bytesSent());
            assertEquals(whole.flops(), few.flops(), whole.flops() * 1e-12);
            assertEquals(whole.seconds(), few.seconds(), whole.seconds() * 0.005, recompute::toString);
            assertEquals(whole.computeSeconds(), few.computeSeconds(), whole.seconds() * 1e-6);
        }
    }

    @Test
    void candidatesUseAllRanksAndTheFastestThatFitIsFirst() {
        List<Candidate> candidates = PLANNER.candidates(new Planner.Question(
                training("tsp-7b", 3, 4, 8192, Recompute.SELECTIVE), 16, 8, List.of(Recompute.values())));
        assertTrue(candidates.stream()
                .allMatch(candidate -> candidate.scheme().mesh().worldSize() == 16
                        && candidate.degree() * candidate.dp() == 16
                        && 4 % candidate.dp() == 0));
        Set<Integer> degrees = candidates.stream().map(Candidate::degree).collect(Collectors.toSet());
        assertEquals(Set.of(4, 8), degrees);
        Candidate best = candidates.getFirst();
        assertTrue(best.fits());
        assertTrue(candidates.stream()
                .filter(Candidate::fits)
                .allMatch(other -> other.tokensPerSecond() <= best.tokensPerSecond()));
    }

    @Test
    void whatDoesNotFitIsLast() {
        List<Candidate> candidates = PLANNER.candidates(new Planner.Question(
                training("llama-70b", 40, 1, 16_384, Recompute.SELECTIVE), 8, 8, List.of(Recompute.NONE)));
        List<Boolean> fits = candidates.stream().map(Candidate::fits).toList();
        assertTrue(fits.contains(false) && fits.contains(true), fits::toString);
        assertFalse(fits.subList(fits.indexOf(false), fits.size()).contains(true), fits::toString);
        long memory = MI300X.device().memoryBytes();
        candidates.forEach(
                candidate -> assertEquals(candidate.prediction().bytesPerRank() <= memory, candidate.fits()));
    }

    /** 1,024 tokens or one layer more would be too much. */
    @Test
    void limitsAreReachedAndNotExceeded() {
        PlannedStep step = training("tsp-7b", 32, 1, 32_768, Recompute.SELECTIVE);
        Candidate candidate = new Candidate(
                Schemes.of("tsp", 8, 1),
                step,
                PLANNER.predict(Schemes.of("tsp", 8, 1), step),
                MI300X.device().memoryBytes());
        long seq = PLANNER.longestSequence(candidate);
        assertTrue(bytes(candidate, step.withSeq(seq)) <= candidate.memoryBytes());
        assertTrue(bytes(candidate, step.withSeq(seq + 1024)) > candidate.memoryBytes());
        int layers = Math.toIntExact(PLANNER.mostLayers(candidate));
        assertTrue(bytes(candidate, step.withLayers(layers)) <= candidate.memoryBytes());
        assertTrue(bytes(candidate, step.withLayers(layers + 1)) > candidate.memoryBytes());
    }

    private static long bytes(Candidate candidate, PlannedStep step) {
        return PLANNER.predict(candidate.scheme(), step).bytesPerRank();
    }

    /** 2 FLOP a parameter and token, and 4 d for each pair of a query and a key that it sees. */
    @Test
    void modelFlopsAreThoseOfTheFormula() {
        PlannedStep step = forward(32, 4, 4096);
        double matrices = 16.0 * 4096 * 4096 * 32 + 32_000.0 * 4096;
        double pairs = 4096.0 * 4097 / 2;
        double sequence = 2 * matrices * 4096 + 4.0 * 128 * 32 * 32 * pairs;
        assertEquals(4 * sequence, PLANNER.modelFlops(step), sequence * 1e-9);
        PlannedStep training = training("tsp-7b", 32, 4, 4096, Recompute.FULL);
        assertEquals(12 * sequence, PLANNER.modelFlops(training), sequence * 1e-9);
    }
}
