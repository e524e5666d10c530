package io.tsp.plan;

import io.tsp.cost.HardwareProfile;
import io.tsp.program.MemoryPlan;
import io.tsp.program.Schedule;
import io.tsp.program.Session.Mode;
import io.tsp.program.Simulator;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.LongUnaryOperator;

/**
 * Runs a step under every scheme, degree and number of replicas in simulated time, and says what fits and what is fastest.
 * Reading order: before this {@link PlannedStep}; next {@link Simulator}.
 */
public final class Planner {
    /** From here on every layer costs as much as the one before: prefetches have begun, the last layer is not the first. */
    private static final int FEW_LAYERS = 2;

    private static final int SEQ_STEP = 1024;
    private static final long LONGEST_SEQ = 1L << 26;

    private final HardwareProfile profile;
    private final Simulator simulator;

    public Planner(HardwareProfile profile) {
        this.profile = profile;
        simulator = new Simulator(profile);
    }

    /**
     * What may be run.
     *
     * @param step of all ranks together
     * @param ranks degree times replicas, of every candidate
     * @param largestDegree ranks that share one copy of the model, at most
     * @param recomputes tried in turn if the step is one of training
     */
    public record Question(PlannedStep step, int ranks, int largestDegree, List<Recompute> recomputes) {
        public Question {
            recomputes = List.copyOf(recomputes);
        }
    }

    /** What a step costs under a scheme. Models of many layers are run with few, and the rest is added. */
    public Prediction predict(Scheme scheme, PlannedStep step) {
        int layers = step.forward().config().layers();
        if (layers <= FEW_LAYERS + 1) {
            return predictWhole(scheme, step);
        }
        Prediction few = predictWhole(scheme, step.withLayers(FEW_LAYERS));
        Prediction more = predictWhole(scheme, step.withLayers(FEW_LAYERS + 1));
        return few.extrapolate(more, layers - FEW_LAYERS);
    }

    Prediction predictWhole(Scheme scheme, PlannedStep step) {
        return Prediction.of(simulator.run(step.programs(scheme), Mode.OVERLAPPED));
    }

    /** All candidates: those that fit first, and of these the fastest. */
    public List<Candidate> candidates(Question question) {
        List<Candidate> candidates = new ArrayList<>();
        for (PlannedStep step : steps(question)) {
            for (Scheme scheme : schemes(question)) {
                candidates.add(new Candidate(
                        scheme, step, predict(scheme, step), profile.device().memoryBytes()));
            }
        }
        candidates.sort(Comparator.comparing((Candidate candidate) -> !candidate.fits())
                .thenComparingDouble(candidate -> candidate.prediction().seconds()));
        return candidates;
    }

    private static List<PlannedStep> steps(Question question) {
        TrainingRequest training = question.step.training();
        if (training == null) {
            return List.of(question.step);
        }
        return question.recomputes.stream()
                .map(recompute -> PlannedStep.of(new TrainingRequest(
                        training.forward(),
                        training.microbatches(),
                        recompute,
                        training.moments(),
                        training.update(),
                        training.shardOptimizer())))
                .toList();
    }

    /** Degrees that divide the ranks and leave every replica as many sequences as any other. */
    private static List<Scheme> schemes(Question question) {
        long batch = question.step.forward().batch();
        List<Scheme> schemes = new ArrayList<>();
        for (int degree = 1; degree <= Math.min(question.ranks, question.largestDegree); degree++) {
            if (question.ranks % degree == 0 && batch % (question.ranks / degree) == 0) {
                schemes.addAll(Schemes.all(degree, question.ranks / degree));
            }
        }
        return schemes;
    }

    /**
     * FLOP of the model itself, over all ranks: of a forward pass, three times as many for training, however much is
     * computed again.
     */
    public double modelFlops(PlannedStep step) {
        Prediction sequence = predict(Schemes.of("single", 1, 1), step.ofOneSequence());
        double sequences = (double) step.tokens() / step.forward().seq();
        return (step.training() == null ? 1 : 3) * sequences * sequence.flops();
    }

    /** The longest sequence, in steps of 1,024 tokens, with which a candidate still fits; 0 if not even that does. */
    public long longestSequence(Candidate candidate) {
        return largest(
                        LONGEST_SEQ / SEQ_STEP,
                        steps -> bytes(candidate.scheme(), candidate.step().withSeq(steps * SEQ_STEP)))
                * SEQ_STEP;
    }

    /** The most layers of the same width with which a candidate still fits; 0 if not even one does. */
    public long mostLayers(Candidate candidate) {
        PlannedStep step = candidate.step();
        long few = bytesWhole(candidate.scheme(), step.withLayers(FEW_LAYERS));
        long layer = bytesWhole(candidate.scheme(), step.withLayers(FEW_LAYERS + 1)) - few;
        return Math.max(0, FEW_LAYERS + Math.floorDiv(profile.device().memoryBytes() - few, layer));
    }

    /** The largest number up to a limit for which bytes, which grow with it, fit into a device. */
    private long largest(long limit, LongUnaryOperator bytes) {
        long fits = 0;
        long tooMany = 1;
        while (tooMany <= limit
                && bytes.applyAsLong(tooMany) <= profile.device().memoryBytes()) {
            fits = tooMany;
            tooMany *= 2;
        }
        while (tooMany - fits > 1) {
            long middle = (fits + tooMany) / 2;
            if (bytes.applyAsLong(middle) <= profile.device().memoryBytes()) {
                fits = middle;
            } else {
                tooMany = middle;
            }
        }
        return fits;
    }

    private long bytes(Scheme scheme, PlannedStep step) {
        int layers = step.forward().config().layers();
        if (layers <= FEW_LAYERS + 1) {
            return bytesWhole(scheme, step);
        }
        long few = bytesWhole(scheme, step.withLayers(FEW_LAYERS));
        long more = bytesWhole(scheme, step.withLayers(FEW_LAYERS + 1));
        return few + (layers - FEW_LAYERS) * (more - few);
    }

    /** Of the first rank, which has no less than others, without workspaces. */
    private static long bytesWhole(Scheme scheme, PlannedStep step) {
        return MemoryPlan.of(Schedule.overlapped(step.firstProgram(scheme)), Map.of())
                .peakBytes();
    }
}
