package io.tsp.cli;

import io.tsp.cost.HardwareProfile;
import io.tsp.model.ModelConfig;
import io.tsp.plan.Candidate;
import io.tsp.plan.PlannedStep;
import io.tsp.plan.Planner;
import io.tsp.report.PlanReport;
import io.tsp.report.ReportFile;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What to run a model with on hardware that is only described. */
@Command(
        name = "plan",
        description = {
            "Runs a step under every scheme, degree and number of replicas on described hardware, in simulated time, and"
                    + " recommends the fastest that fits.",
            "",
            "The programs are those that would run there. Their ops cost what the hardware profile says, so a figure is as"
                    + " good as the profile: its numbers name their sources. Models of more than three layers are run with"
                    + " two and three, and the rest is added; one replica of a data-parallel mesh speaks for all."
                    + " Training divides the optimizer between replicas (--shard-optimizer of tsp train).",
            "",
            "memory: planned bytes of the rank that needs most; ! if a device has less. MFU: FLOP of the model, without"
                    + " what is computed again, as a share of the data sheet. compute, exposed, skew: what the step is"
                    + " spent on, as in tsp compare."
        },
        mixinStandardHelpOptions = true,
        abbreviateSynopsis = true,
        sortOptions = false,
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  tsp plan --preset tsp-7b --device sim:mi300x --ranks 1024 --seq 131072",
            "  tsp plan --model ~/models/Llama-3.1-8B --device sim:h200 --ranks 16 --seq 32768 --json plan.json",
            "  tsp plan --preset llama-8b --device sim:my-cluster.json --ranks 64 --mode forward"
        })
final class PlanCommand implements Callable<Integer> {
    private static final String DEFAULT_PRESET = "tsp-7b";
    private static final int MAX_RANKS = 1 << 20;
    private static final int DEFAULT_SEQ = 8192;
    private static final int NODES_OF_A_COPY = 2;

    private final Terminal terminal;

    @Mixin
    private final ModelOptions models = new ModelOptions("bf16");

    @Option(
            names = "--device",
            paramLabel = "sim:PROFILE",
            required = true,
            description = "Described hardware: sim:mi300x, sim:mi300x-sdma, sim:h100, sim:h200, sim:zen5-2core, or"
                    + " sim:FILE.json.")
    private String device = "";

    @Option(names = "--ranks", paramLabel = "N", description = "Accelerators. Default: one node of the profile.")
    private @Nullable Integer ranks;

    @Option(
            names = "--batch",
            paramLabel = "B",
            description = "Sequences of a step over all ranks. Default: one for each node.")
    private @Nullable Integer batch;

    @Option(
            names = "--seq",
            paramLabel = "S",
            description = "Tokens of a sequence. Default: 8192, or less if the model" + " was made for less.")
    private @Nullable Integer seq;

    @Option(names = "--mode", paramLabel = "train|forward", description = "What a step is. Default: train.")
    private String mode = "train";

    @Mixin
    private final RecomputeOption recompute = new RecomputeOption();

    @Option(
            names = "--accumulate",
            paramLabel = "N",
            description = "Microbatches of B sequences in a step. Default: 1.")
    private int accumulate = 1;

    @Option(
            names = "--max-degree",
            paramLabel = "D",
            description = "Ranks that share one copy of the model, at most. Default: two nodes.")
    private @Nullable Integer maxDegree;

    @Option(names = "--top", paramLabel = "K", description = "Lines of the table. Default: 12; the JSON has all.")
    private int top = 12;

    @Option(names = "--json", paramLabel = "FILE", description = "Write the result as JSON, too.")
    private @Nullable Path json;

    PlanCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        if (!SimulatedDevice.is(device)) {
            throw new UsageException("--device of plan is described hardware, such as sim:mi300x, not " + device);
        }
        HardwareProfile profile = SimulatedDevice.profile(device);
        requireSizes(profile);
        try (OpenModel model = models.open(DEFAULT_PRESET);
                ReportFile file = json == null ? null : ReportFile.create(json)) {
            Planner planner = new Planner(profile);
            PlannedStep step = step(model.config(), profile);
            announce(model, step, profile);
            List<Candidate> candidates = candidates(planner, step, profile);
            PlanReport report = report(model, step, profile, planner, candidates);
            new PlanConsole(terminal, planner, report).show(top);
            if (file != null) {
                file.write(report::write);
            }
        }
        return ExitCode.OK.code();
    }

    private void requireSizes(HardwareProfile profile) {
        if (!trains() && !mode.equals("forward")) {
            throw new UsageException("--mode is train or forward, not " + mode);
        }
        if (!trains() && (recompute.isGiven() || accumulate != 1)) {
            throw new UsageException((recompute.isGiven() ? "--recompute" : "--accumulate")
                    + " says how to train; leave it out with --mode forward");
        }
        UsageException.positive("--ranks", ranks(profile));
        UsageException.positive("--batch", batch(profile));
        UsageException.positive("--seq", seq == null ? 1 : seq);
        UsageException.positive("--accumulate", accumulate);
        UsageException.positive("--max-degree", maxDegree == null ? 1 : maxDegree);
        UsageException.positive("--top", top);
        if (ranks(profile) > MAX_RANKS) {
            throw new UsageException(
                    "--ranks " + ranks(profile) + " are more than the " + MAX_RANKS + " that a plan can have");
        }
    }

    private boolean trains() {
        return mode.equals("train");
    }

    private int ranks(HardwareProfile profile) {
        return ranks == null ? profile.topology().nodeSize() : ranks;
    }

    private int batch(HardwareProfile profile) {
        return batch == null ? Math.max(1, ranks(profile) / profile.topology().nodeSize()) : batch;
    }

    private PlannedStep step(ModelConfig config, HardwareProfile profile) {
        DType dtype = models.dtype();
        long length = seq == null ? Math.min(DEFAULT_SEQ, config.maxPositions()) : seq;
        ForwardRequest forward = new ForwardRequest(config, dtype, batch(profile), length, false, false);
        return trains()
                ? PlannedStep.of(new TrainingRequest(forward, accumulate, recompute.get(), DType.F32, true, true))
                : PlannedStep.of(forward);
    }

    private void announce(OpenModel model, PlannedStep step, HardwareProfile profile) {
        terminal.out()
                .printf(
                        Locale.ROOT,
                        "%s (%,d parameters) %s %s, %,d x %,d tokens a step, %,d ranks, %s%n",
                        model.name(),
                        model.config().parameterCount(),
                        trains() ? "in training, in" : "in",
                        models.dtypeName(),
                        step.forward().batch() * accumulate,
                        step.forward().seq(),
                        ranks(profile),
                        SimulatedDevice.description(profile));
    }

    private List<Candidate> candidates(Planner planner, PlannedStep step, HardwareProfile profile) {
        int largest = maxDegree == null ? NODES_OF_A_COPY * profile.topology().nodeSize() : maxDegree;
        List<Recompute> recomputes = recompute.isGiven() ? List.of(recompute.get()) : List.of(Recompute.values());
        List<Candidate> candidates =
                planner.candidates(new Planner.Question(step, ranks(profile), largest, recomputes));
        if (candidates.isEmpty()) {
            throw new UsageException("no degree up to " + largest + " gives each of its replicas as many of the "
                    + step.forward().batch() + " sequences; use a --batch that is a multiple of --ranks divided by a"
                    + " degree, or a larger --max-degree");
        }
        return candidates;
    }

    private PlanReport report(
            OpenModel model, PlannedStep step, HardwareProfile profile, Planner planner, List<Candidate> candidates) {
        return new PlanReport(
                new PlanReport.Conditions(
                        mode,
                        model.name(),
                        models.dtypeName(),
                        step.forward().batch(),
                        step.forward().seq(),
                        ranks(profile),
                        profile.name(),
                        profile.hash(),
                        profile.device().memoryBytes()),
                candidates,
                planner.modelFlops(step),
                profile.device().gemm(models.dtype()).nominal());
    }
}
