package io.tsp.cli;

import io.tsp.cost.HardwareProfile;
import io.tsp.data.TokenBatch;
import io.tsp.evaluate.Comparison;
import io.tsp.evaluate.ForwardWorkload;
import io.tsp.evaluate.SchemeResult;
import io.tsp.evaluate.SimulatedComparison;
import io.tsp.evaluate.Workload;
import io.tsp.plan.PlannedStep;
import io.tsp.plan.Schemes;
import io.tsp.report.ComparisonReport;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.train.TrainingWorkload;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The main job: every scheme on the same model and tokens, side by side. */
@Command(
        name = "compare",
        description = {
            "Runs every scheme on the same model and tokens and shows speed, memory, bytes sent, waiting and error.",
            "",
            "Each scheme is loaded twice. First with logits: max error is the largest difference to the logits of"
                    + " single (one rank), as a share of the largest logit. Then without logits: after one run to"
                    + " warm up, runs are timed and the median is shown. If there is memory for all schemes together,"
                    + " all are loaded before any is timed and take turns, so that a machine that slows down slows"
                    + " all of them; else they are timed one after the other. A scheme that memory does not suffice"
                    + " for is skipped, and the table says why.",
            "",
            "A step is a whole forward pass, from token ids to the loss; with --mode train it is a step of training with"
                    + " AdamW, logits are not compared, and max error is the largest difference of loss or gradient"
                    + " norm to those of single, as a share of them. exposed: compute waited for bytes although"
                    + " all peers had come; skew: compute waited for a peer. Memory, bytes and waits are those of the"
                    + " rank that has most; planned memory is what was reserved, measured what was written."
        },
        mixinStandardHelpOptions = true,
        abbreviateSynopsis = true,
        sortOptions = false,
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  tsp compare",
            "        a tiny model with random weights, 4 ranks, under a minute",
            "  tsp compare --model ~/models/Llama-3.2-1B --dtype bf16 --text book.txt --seq 4096",
            "  tsp compare --preset llama-layer --schemes tsp,fsdp+sp --degree 8 --trace trace.json",
            "  tsp compare --preset small --mode train --dtype bf16 --seq 4096"
        })
final class CompareCommand implements Callable<Integer> {
    private static final String DEFAULT_PRESET = "tiny";
    private static final String FORWARD = "forward";
    private static final String TRAIN = "train";

    private final Terminal terminal;

    @Mixin
    private final ModelOptions models = new ModelOptions();

    @Mixin
    private final TokenOptions tokens = new TokenOptions();

    @Option(
            names = "--schemes",
            paramLabel = "A,B,...",
            split = ",",
            hideParamSyntax = true,
            description =
                    "Only these, besides single: tsp, tp, tp+sp-regions, sp, tp+sp:TxS, fsdp+sp, ulysses. Default: all"
                            + " of them.")
    private List<String> names = List.of();

    @Option(
            names = "--mode",
            paramLabel = "forward|train",
            description = "What a step is: a forward pass, or a step of training. Default: forward.")
    private String mode = FORWARD;

    @Mixin
    private final RecomputeOption recompute = new RecomputeOption();

    @Mixin
    private final ShardOptimizerOption shardOptimizer = new ShardOptimizerOption();

    @Option(names = "--repeat", paramLabel = "N", description = "Timed runs of each scheme. Default: 5.")
    private int repeat = 5;

    @Mixin
    private final RankOptions ranks = new RankOptions();

    @Mixin
    private final OutputOptions outputs = new OutputOptions();

    @Option(names = "--html", paramLabel = "FILE", description = "Write the page that tsp report makes, too.")
    private @Nullable Path html;

    CompareCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        if (ranks.isSimulated()) {
            compareSimulated();
            return ExitCode.OK.code();
        }
        ranks.requireSupported();
        UsageException.positive("--repeat", repeat);
        if (Clusters.launchedRanks(terminal.environment()).isPresent()) {
            throw new UsageException(
                    "compare makes all ranks in this process; start it without a launcher, or use eval under one");
        }
        Recompute recomputed = recompute();
        List<Scheme> schemes = schemes();
        try (OpenModel model = models.open(DEFAULT_PRESET);
                ComparisonFiles files = ComparisonFiles.open(outputs, html);
                Clusters clusters = Clusters.open(terminal.environment(), ranks)) {
            Input input = tokens.read(model, TokenOptions.Otherwise.LICENCE);
            announce(model, input.batch(), input.seq(), " of " + input.name(), clusters.description(ranks.threads()));
            List<SchemeResult> results = run(model, input, schemes, clusters, recomputed);
            ComparisonReport report = report(model, input, clusters.device(), results);
            show(report);
            files.write(report);
            if (results.stream().noneMatch(SchemeResult::wasRun)) {
                throw new UsageException("nothing was run: every scheme needs more memory than is free");
            }
        }
        return ExitCode.OK.code();
    }

    /** The same programs in virtual time. */
    private void compareSimulated() {
        HardwareProfile profile = ranks.profile();
        Recompute recomputed = recompute();
        List<Scheme> schemes = schemes();
        try (OpenModel model = models.open(DEFAULT_PRESET);
                ComparisonFiles files = ComparisonFiles.open(outputs, html)) {
            ForwardRequest forward = tokens.shape(model.config(), models.dtype());
            PlannedStep step = trains()
                    ? PlannedStep.of(TrainingWorkload.request(forward, recomputed, shardOptimizer.get()))
                    : PlannedStep.of(forward);
            announce(model, forward.batch(), forward.seq(), "", SimulatedDevice.description(profile));
            List<SchemeResult> results = new SimulatedComparison(profile).run(schemes, step);
            ComparisonReport report = new ComparisonReport(
                    new ComparisonReport.Conditions(
                            mode,
                            model.name(),
                            models.dtypeName(),
                            Math.toIntExact(forward.batch()),
                            Math.toIntExact(forward.seq()),
                            SimulatedDevice.name(profile),
                            0,
                            profile.hash()),
                    results);
            show(report);
            files.write(report);
        }
    }

    private boolean trains() {
        return mode.equals(TRAIN);
    }

    /** Also checks the mode. */
    private Recompute recompute() {
        if (!trains() && !mode.equals(FORWARD)) {
            throw new UsageException("--mode is forward or train, not " + mode);
        }
        if (recompute.isGiven() && !trains()) {
            throw new UsageException("--recompute says how to train; add --mode train or leave it out");
        }
        if (shardOptimizer.get() && !trains()) {
            throw new UsageException("--shard-optimizer says how to train; add --mode train or leave it out");
        }
        return recompute.get();
    }

    /** Single with one rank, then what the user asks for, nothing twice. */
    private List<Scheme> schemes() {
        Map<String, Scheme> schemes = new LinkedHashMap<>();
        List<Scheme> all = new ArrayList<>();
        all.add(Schemes.of(DegreeOptions.SINGLE, 1, 1));
        if (names.isEmpty()) {
            all.addAll(Schemes.all(ranks.degree(terminal.environment()), ranks.dp()));
        } else {
            names.forEach(name -> all.add(ranks.scheme(name.strip(), terminal.environment())));
        }
        for (Scheme scheme : all) {
            int size = scheme.mesh().worldSize();
            if (!scheme.name().equals(DegreeOptions.SINGLE)) {
                ranks.requireRanks(size);
            }
            schemes.putIfAbsent(scheme.name() + " " + size, scheme);
        }
        return List.copyOf(schemes.values());
    }

    private void announce(OpenModel model, long batch, long seq, String tokensOf, String device) {
        terminal.out()
                .println(model.name() + " " + (trains() ? "in training, " : "in ") + models.dtypeName() + ", " + batch
                        + " x " + seq + " tokens" + tokensOf + ", " + device);
    }

    private List<SchemeResult> run(
            OpenModel model, Input input, List<Scheme> schemes, Clusters clusters, Recompute recomputed) {
        TokenBatch batch = input.get(0);
        Workload workload = trains()
                ? new TrainingWorkload(
                        model.config(), models.dtype(), batch, model.weights(), recomputed, shardOptimizer.get())
                : new ForwardWorkload(model.config(), models.dtype(), batch, model.weights());
        Comparison.Task task = new Comparison.Task(
                model.config(),
                models.dtype(),
                batch,
                model.weights(),
                workload,
                !trains(),
                schemes,
                repeat,
                clusters.memory());
        try (ComparisonProgress progress = new ComparisonProgress(terminal)) {
            return new Comparison(task, count -> clusters.cluster(count, ranks.threads(), ranks.deadline()), progress)
                    .run();
        }
    }

    private ComparisonReport report(OpenModel model, Input input, String device, List<SchemeResult> results) {
        return new ComparisonReport(
                new ComparisonReport.Conditions(
                        mode,
                        model.name(),
                        models.dtypeName(),
                        input.batch(),
                        input.seq(),
                        device,
                        ranks.threads(),
                        null),
                results);
    }

    private void show(ComparisonReport report) {
        show(report.table());
        report.remarks().forEach(terminal.out()::println);
        if (trains()) {
            show(report.memoryTable());
        }
    }

    /** A table under its heading of two lines. */
    private void show(List<String> lines) {
        terminal.out().println();
        for (int i = 0; i < lines.size(); i++) {
            terminal.out().println(i < 2 ? terminal.heading(lines.get(i)) : lines.get(i));
        }
    }
}
