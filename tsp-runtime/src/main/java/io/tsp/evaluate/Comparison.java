package io.tsp.evaluate;

import io.tsp.data.TokenBatch;
import io.tsp.evaluate.SchemeResult.Deviation;
import io.tsp.evaluate.SchemeResult.Measured;
import io.tsp.model.ModelConfig;
import io.tsp.model.WeightSource;
import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Every scheme on the same model and tokens. Each is loaded twice: once with logits, to see how far they are from those
 * of the first scheme, and once without, to be timed; logits would show in memory and time. If there is memory for all
 * of them, all are loaded before any is timed and then take turns, so that a machine that slows down slows all of them.
 */
public final class Comparison {
    private static final long MAX_LOGITS_BYTES = 256L << 20;

    private final Task task;
    private final Host host;
    private final Progress progress;
    private List<Double> numbersOfFirst = List.of();

    /**
     * What to compare.
     *
     * @param workload what is timed
     * @param logits whether logits are compared before; if not, the numbers of the first run are
     * @param schemes the first is the reference of the others
     * @param repeat timed runs of each scheme, after one that is not timed
     * @param available memory for all ranks together
     */
    public record Task(
            ModelConfig config,
            DType dtype,
            TokenBatch batch,
            WeightSource weights,
            Workload workload,
            boolean logits,
            List<Scheme> schemes,
            int repeat,
            AvailableMemory available) {
        public Task {
            schemes = List.copyOf(schemes);
        }
    }

    /** Makes ranks, all of them in this process. */
    @FunctionalInterface
    public interface Host {
        Cluster open(int ranks);
    }

    /** Told how the work gets on. */
    public interface Progress {
        /** There are this many units of work. */
        void begin(int units);

        /** A unit begins. */
        void next(String what);
    }

    private static final class Candidate {
        private final Scheme scheme;
        private final Workload.Plan plan;
        private boolean skipped;
        private String reason = "";
        private @Nullable Deviation deviation;
        private @Nullable Measured measured;

        Candidate(Scheme scheme, Workload.Plan plan) {
            this.scheme = scheme;
            this.plan = plan;
        }

        String name() {
            return scheme.name();
        }

        int ranks() {
            return scheme.mesh().worldSize();
        }

        SchemeResult result() {
            return new SchemeResult(name(), ranks(), measured, deviation, reason);
        }
    }

    public Comparison(Task task, Host host, Progress progress) {
        this.task = task;
        this.host = host;
        this.progress = progress;
    }

    /** One result for each scheme, in their order. */
    public List<SchemeResult> run() {
        List<Candidate> candidates = task.schemes.stream()
                .map(scheme -> new Candidate(scheme, task.workload.plan(scheme)))
                .toList();
        for (Candidate candidate : candidates) {
            Optional<String> shortage = shortage(candidate.plan.memory());
            candidate.skipped = shortage.isPresent();
            candidate.reason = shortage.orElse("");
        }
        List<Candidate> runnable =
                candidates.stream().filter(candidate -> !candidate.skipped).toList();
        progress.begin(runnable.size() * ((task.logits ? 2 : 0) + 1 + 1 + task.repeat));
        if (task.logits) {
            compareLogits(candidates.getFirst(), runnable);
        }
        for (List<Candidate> group : groups(runnable)) {
            time(group);
        }
        return candidates.stream().map(Candidate::result).toList();
    }

    /** Why a plan cannot be loaded; empty if it can. */
    private Optional<String> shortage(MemoryNeed memory) {
        return memory.shortage(memory.allRanks(), task.available);
    }

    private void compareLogits(Candidate first, List<Candidate> runnable) {
        LogitsSample reference = null;
        for (Candidate candidate : runnable) {
            if (reference == null && candidate != first) {
                candidate.reason = "no max error, because there are no logits of " + first.name();
                continue;
            }
            ForwardPlan plan =
                    ForwardPlan.of(candidate.scheme, ForwardPlan.request(task.config, task.dtype, task.batch, true));
            Optional<String> shortage = shortage(plan.memory());
            if (shortage.isEmpty()) {
                reference = compareLogits(candidate, plan, reference);
            } else {
                candidate.reason = "no max error, because with logits " + shortage.get();
            }
        }
    }

    /** Returns the reference: the one that was given, or this scheme's own logits if there was none. */
    private LogitsSample compareLogits(Candidate candidate, ForwardPlan plan, @Nullable LogitsSample given) {
        progress.next("load " + candidate.name());
        try (Cluster cluster = host.open(plan.ranks());
                ForwardRunner runner = open(cluster, plan)) {
            progress.next("logits of " + candidate.name());
            runner.run(task.batch);
            LogitsSample reference = given == null ? sample(runner) : given;
            candidate.deviation = new Deviation(reference.maxError(runner), reference.tokens());
            return reference;
        }
    }

    private LogitsSample sample(ForwardRunner runner) {
        return LogitsSample.of(runner, task.batch.batch(), task.batch.seq(), task.config.vocab(), MAX_LOGITS_BYTES);
    }

    private ForwardRunner open(Cluster cluster, ForwardPlan plan) {
        return ForwardRunner.open(cluster, plan, task.weights, Session.Mode.OVERLAPPED, bytes -> {});
    }

    /** All together if there is memory for them, else one by one. */
    private List<List<Candidate>> groups(List<Candidate> runnable) {
        List<MemoryNeed> together =
                runnable.stream().map(candidate -> candidate.plan.memory()).toList();
        return MemoryNeed.fitTogether(together, task.available)
                ? List.of(runnable)
                : runnable.stream().map(List::of).toList();
    }

    private void time(List<Candidate> group) {
        List<TimedScheme> loaded = new ArrayList<>();
        try {
            for (Candidate candidate : group) {
                progress.next("load " + candidate.name());
                loaded.add(load(candidate));
            }
            for (int run = 0; run <= task.repeat; run++) {
                for (int i = 0; i < group.size(); i++) {
                    progress.next("run " + group.get(i).name());
                    if (run == 0) {
                        judge(group.get(i), loaded.get(i).warmUp());
                    } else {
                        loaded.get(i).run();
                    }
                }
            }
            for (int i = 0; i < group.size(); i++) {
                group.get(i).measured = loaded.get(i).measured((long) task.batch.batch() * task.batch.seq());
            }
        } finally {
            loaded.forEach(TimedScheme::close);
        }
    }

    private TimedScheme load(Candidate candidate) {
        Cluster cluster = host.open(candidate.ranks());
        try {
            return new TimedScheme(
                    cluster,
                    candidate.plan.load(cluster),
                    candidate.plan.memory().programs());
        } catch (RuntimeException e) {
            cluster.close();
            throw e;
        }
    }

    /** Without logits, the distance of a scheme's numbers to those of the first one, each as a share of the latter. */
    private void judge(Candidate candidate, List<Double> numbers) {
        if (task.logits) {
            return;
        }
        if (candidate.scheme.equals(task.schemes.getFirst())) {
            numbersOfFirst = numbers;
        } else if (numbersOfFirst.isEmpty()) {
            candidate.reason =
                    "no max error, because " + task.schemes.getFirst().name() + " was not run";
            return;
        }
        double worst = 0;
        for (int i = 0; i < numbers.size(); i++) {
            double expected = numbersOfFirst.get(i);
            double difference = Math.abs(numbers.get(i) - expected);
            worst = Math.max(worst, difference == 0 ? 0 : difference / Math.abs(expected));
        }
        candidate.deviation = new Deviation(worst, task.batch.batch() * task.batch.seq());
    }
}
