package io.tsp.cli;

import io.tsp.evaluate.ForwardPlan;
import io.tsp.evaluate.ForwardRunner;
import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.report.EvaluationReport;
import io.tsp.report.ReportFile;
import io.tsp.report.TraceReport;
import io.tsp.scheme.Scheme;
import io.tsp.tensor.SystemClock;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Loss, perplexity and logits of a model on given tokens. */
@Command(
        name = "eval",
        description = {
            "Computes the mean loss (nats) and the perplexity of a model on tokens, under any scheme.",
            "",
            "A text is cut into sequences of S tokens, B of them at a time; every token but the first of a sequence is"
                    + " predicted. With a launcher such as mpirun each process is a rank, and only rank 0 prints and"
                    + " writes files, of the trace its own part."
        },
        mixinStandardHelpOptions = true,
        abbreviateSynopsis = true,
        sortOptions = false,
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  tsp eval --model ~/models/Qwen3-0.6B --text book.txt",
            "  tsp eval --model ~/models/Qwen3-0.6B --scheme tsp --tokens in.safetensors --logits out.safetensors",
            "  mpirun -n 3 tsp eval --preset tiny --text book.txt --scheme tsp"
        })
final class EvalCommand implements Callable<Integer> {
    private static final double NANOS_PER_SECOND = 1e9;

    private final Terminal terminal;

    @Mixin
    private final ModelOptions models = new ModelOptions();

    @Mixin
    private final TokenOptions tokens = new TokenOptions();

    @Mixin
    private final SchemeOptions schemes = new SchemeOptions();

    @Option(
            names = "--logits",
            paramLabel = "FILE",
            description =
                    "Write the logits of all sequences, f32 [sequences, S, V] in token order, as safetensors. The last"
                            + " sequence of a text is filled up with token 0.")
    private @Nullable Path logits;

    @Option(
            names = "--gradients",
            paramLabel = "FILE",
            description =
                    "Write the gradients of the mean loss of the first step's sequences, f32 by Hugging Face name, as"
                            + " safetensors. Ranks must live in this process.")
    private @Nullable Path gradients;

    @Mixin
    private final OutputOptions outputs = new OutputOptions();

    EvalCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        Scheme scheme = schemes.scheme(terminal.environment());
        boolean speaks = Clusters.speaks(terminal.environment());
        if (gradients != null && Clusters.launchedRanks(terminal.environment()).isPresent()) {
            throw new UsageException("--gradients needs all ranks in one process; start it without a launcher");
        }
        try (OpenModel model = models.open(null)) {
            Input input = tokens.read(model, TokenOptions.Otherwise.REFUSE);
            if (speaks) {
                warnOfLongSequences(model, input);
            }
            try (ReportFile json = speaks ? outputs.openJson() : null;
                    ReportFile trace = speaks ? outputs.openTrace() : null;
                    LogitsFile file = speaks && logits != null ? LogitsFile.create(logits, model, input) : null;
                    Clusters clusters = Clusters.open(terminal.environment(), schemes.ranks())) {
                ForwardPlan plan = ForwardPlan.of(
                        scheme, ForwardPlan.request(model.config(), models.dtype(), input.get(0), logits != null));
                Outcome outcome;
                try (GradientsOutput output = gradients == null
                        ? null
                        : GradientsOutput.create(gradients, plan, model, input, clusters.memory())) {
                    outcome = run(clusters, plan, model, input, file);
                    if (output != null) {
                        output.write(terminal, clusters, schemes.ranks(), model, input);
                    }
                }
                if (speaks) {
                    finish(report(outcome, plan, model, input), outcome.last, json, trace, file);
                }
            }
        }
        return ExitCode.OK.code();
    }

    private void warnOfLongSequences(OpenModel model, Input input) {
        if (input.seq() > model.config().maxPositions()) {
            terminal.err()
                    .println("tsp: sequences of " + input.seq() + " tokens are longer than the "
                            + model.config().maxPositions() + " that this model was made for; expect a high loss");
        }
    }

    /** @param last the trace of the last step on each rank of this process */
    private record Outcome(double loss, long labels, double seconds, List<Trace> last) {}

    private Outcome run(Clusters clusters, ForwardPlan plan, OpenModel model, Input input, @Nullable LogitsFile file) {
        try (Cluster cluster = clusters.cluster(
                plan.ranks(), schemes.ranks().threads(), schemes.ranks().deadline())) {
            plan.memory().requireFits(cluster.localRanks(), clusters.memory());
            try (ForwardRunner runner = load(cluster, plan, model)) {
                return run(runner, input, file);
            }
        } catch (RuntimeException e) {
            clusters.abandon(e);
            throw e;
        }
    }

    private ForwardRunner load(Cluster cluster, ForwardPlan plan, OpenModel model) {
        try (Progress progress = Progress.ofBytes(terminal, "load weights", plan.weightBytes(cluster.localRanks()))) {
            return ForwardRunner.open(cluster, plan, model.weights(), Session.Mode.OVERLAPPED, progress::add);
        }
    }

    private Outcome run(ForwardRunner runner, Input input, @Nullable LogitsFile file) {
        double sum = 0;
        long labels = 0;
        long nanos = 0;
        List<Trace> last = List.of();
        try (Progress progress = Progress.open(terminal, "eval", input.steps())) {
            for (int step = 0; step < input.steps(); step++) {
                long begin = SystemClock.nanos();
                ForwardRunner.Result result = runner.run(input.get(step));
                nanos += SystemClock.nanos() - begin;
                sum += result.tokens() == 0 ? 0 : result.loss() * result.tokens();
                labels += result.tokens();
                last = result.traces();
                if (file != null) {
                    file.append(runner, input.batch());
                }
                progress.add(1);
            }
        }
        return new Outcome(sum / labels, labels, nanos / NANOS_PER_SECOND, last);
    }

    private EvaluationReport report(Outcome outcome, ForwardPlan plan, OpenModel model, Input input) {
        return new EvaluationReport(
                model.name(),
                plan.scheme().name(),
                plan.ranks(),
                models.dtypeName(),
                input.batch(),
                input.seq(),
                input.steps(),
                outcome.loss,
                outcome.labels,
                outcome.seconds);
    }

    private void finish(
            EvaluationReport report,
            List<Trace> last,
            @Nullable ReportFile json,
            @Nullable ReportFile trace,
            @Nullable LogitsFile file) {
        if (file != null) {
            file.commit();
        }
        report.lines().forEach(terminal.out()::println);
        if (json != null) {
            json.write(report::write);
        }
        if (trace != null) {
            trace.writeCompact(
                    generator -> TraceReport.write(List.of(new TraceReport.Run(report.scheme(), last)), generator));
        }
    }
}
