package io.tsp.cli;

import io.tsp.checkpoint.sharded.Checkpoint;
import io.tsp.checkpoint.sharded.CheckpointStore;
import io.tsp.data.TextTokenizer;
import io.tsp.data.TokenStore;
import io.tsp.data.TrainingData;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.model.ModelConfig;
import io.tsp.plan.PlannedStep;
import io.tsp.report.ReportFile;
import io.tsp.report.TrainingLog;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import io.tsp.train.RunPlan;
import io.tsp.train.RunState;
import io.tsp.train.TrainingPlan;
import io.tsp.train.TrainingSettings;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Trains a model on text. */
@Command(
        name = "train",
        description = {
            "Trains a model on text files with AdamW, under any scheme.",
            "",
            "The text is cut into sequences of S tokens, which are shuffled by seed in every epoch; documents do not attend"
                    + " to each other. A step runs --accumulate microbatches of B sequences. Checkpoints hold weights,"
                    + " optimizer and position in the data, can be resumed under any scheme and number of ranks, and are"
                    + " model directories for all other verbs. SIGTERM or Ctrl-C lets the step finish, saves, and ends"
                    + " with code 75. With a launcher such as mpirun each process is a rank."
        },
        mixinStandardHelpOptions = true,
        abbreviateSynopsis = true,
        sortOptions = false,
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  tsp train --preset tiny --data book.txt --steps 200 --out run",
            "  tsp train --preset tsp-7b --scheme tsp --degree 8 --steps 1 --device sim:mi300x --trace trace.json",
            "  tsp train --preset tiny --data book.txt --steps 400 --out run --resume --scheme tsp --degree 2",
            "  tsp train --model ~/models/Qwen3-0.6B --dtype bf16 --data *.txt --steps 1000 --out run --log run.jsonl"
        })
final class TrainCommand implements Callable<Integer> {
    /** Evaluations and checkpoints of a run if the user does not say how many. */
    static final long PARTS = 10;

    private final Terminal terminal;

    @Mixin
    private final ModelOptions models = new ModelOptions();

    @Mixin
    private final DataOptions texts = new DataOptions();

    @Mixin
    private final OptimizerOptions optimizer = new OptimizerOptions();

    @Mixin
    private final SchemeOptions schemes = new SchemeOptions();

    @Mixin
    private final RecomputeOption recompute = new RecomputeOption();

    @Mixin
    private final ShardOptimizerOption shardOptimizer = new ShardOptimizerOption();

    @Mixin
    private final CheckpointOptions checkpoints = new CheckpointOptions();

    @Option(
            names = "--eval-every",
            paramLabel = "N",
            description = "Steps between evaluations; the last step is always evaluated. Default: a tenth of all.")
    private @Nullable Long evaluateEvery;

    @Mixin
    private final SampleOptions samples = new SampleOptions();

    @Option(
            names = "--log",
            paramLabel = "FILE",
            description = "Append a line of JSON for each step: loss, gradNorm, learningRate, tokensPerSecond, ...")
    private @Nullable Path logFile;

    @Option(
            names = "--trace",
            paramLabel = "FILE",
            description = "Write what happened when in the last step, to be opened at ui.perfetto.dev.")
    private @Nullable Path traceFile;

    TrainCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        if (schemes.ranks().isSimulated()) {
            simulate();
            return ExitCode.OK.code();
        }
        Scheme scheme = schemes.scheme(terminal.environment());
        texts.requireFiles();
        checkpoints.out();
        optimizer.adamW();
        optimizer.learningRate();
        if (samples.isWanted() && Clusters.launchedRanks(terminal.environment()).isPresent()) {
            throw new UsageException("--sample-every needs all ranks in one process; leave it out under a launcher");
        }
        try (CheckpointStore store = checkpoints.open(speaks())) {
            Optional<Path> start = checkpoints.start(store);
            try (OpenModel model = start.isPresent() ? models.resume(start.get()) : models.open(null);
                    TextTokenizer tokenizer = model.tokenizer()) {
                texts.requireSizes(model.config());
                try (TokenStore tokens = texts.store(terminal, tokenizer, checkpoints.out());
                        Clusters clusters = Clusters.open(terminal.environment(), schemes.ranks())) {
                    return train(scheme, store, model, tokenizer, tokens, clusters);
                }
            }
        }
    }

    private void simulate() {
        if (optimizer.steps() != 1 || logFile != null || checkpoints.isResuming()) {
            throw new UsageException("in simulated time all steps are alike and nothing is computed; give --steps 1 and"
                    + " neither --log nor --resume");
        }
        SimulatedTraining simulated =
                new SimulatedTraining(terminal, schemes.ranks().profile());
        Scheme scheme = schemes.simulatedScheme(terminal.environment());
        try (OpenModel model = models.open(null);
                ReportFile trace = traceFile == null ? null : ReportFile.create(traceFile)) {
            texts.requireSizes(model.config());
            ModelConfig config = model.config();
            ForwardRequest forward =
                    new ForwardRequest(config, models.dtype(), texts.batch(), texts.seq(config), false, false);
            simulated.run(model, scheme, PlannedStep.of(request(forward)), trace);
        }
    }

    private TrainingRequest request(ForwardRequest forward) {
        return new TrainingRequest(
                forward, texts.accumulate(), recompute.get(), optimizer.moments(), true, shardOptimizer.get());
    }

    private boolean speaks() {
        return Clusters.speaks(terminal.environment());
    }

    private int train(
            Scheme scheme,
            CheckpointStore store,
            OpenModel model,
            TextTokenizer tokenizer,
            TokenStore tokens,
            Clusters clusters) {
        TrainingData data = texts.data(tokens, model.config());
        TrainingSettings settings = settings(tokenizer);
        RunState state = state(model, tokens);
        if (state.step() >= settings.steps()) {
            say(model.name() + " has already been trained for " + state.step() + " steps; ask for more --steps");
            return ExitCode.OK.code();
        }
        RunPlan plan = plan(scheme, model, data, settings);
        try (TrainingLog log = speaks() && logFile != null ? TrainingLog.open(logFile) : null;
                ReportFile trace = speaks() && traceFile != null ? ReportFile.create(traceFile) : null) {
            announce(scheme, model, data, state, clusters);
            TrainingRun run = new TrainingRun(terminal, plan, model, tokenizer, data, settings, state, schemes.ranks());
            return run.execute(store, clusters, log, trace);
        } catch (RuntimeException e) {
            clusters.abandon(e);
            throw e;
        }
    }

    private TrainingSettings settings(TextTokenizer tokenizer) {
        if (evaluateEvery != null && evaluateEvery < 1) {
            throw new UsageException("--eval-every must be 1 or more, not " + evaluateEvery);
        }
        long steps = optimizer.steps();
        return new TrainingSettings(
                steps,
                texts.batch(),
                optimizer.adamW(),
                optimizer.learningRate(),
                evaluateEvery == null ? Math.max(1, steps / PARTS) : evaluateEvery,
                checkpoints.every(steps),
                samples.sample(tokenizer));
    }

    /** Where the run stands: at its beginning, or where the checkpoint was written. */
    private RunState state(OpenModel model, TokenStore tokens) {
        int seq = texts.seq(model.config());
        RunState fresh = new RunState(0, 0, tokens.digest(), texts.seed(), seq);
        Checkpoint checkpoint = checkpoints.isResuming() ? model.checkpoint() : null;
        if (checkpoint == null || checkpoint.info().step() == 0) {
            return fresh;
        }
        RunState state = RunState.of(checkpoint.info(), model.name());
        if (!state.dataDigest().equals(fresh.dataDigest())
                || state.dataSeed() != fresh.dataSeed()
                || state.seq() != fresh.seq()) {
            throw new UsageException(model.name() + " was trained on other data, --seq or --data-seed ("
                    + state.seq() + " and " + state.dataSeed()
                    + "), so its place in the data means nothing here; give the same, or begin anew with --model "
                    + model.name() + " and another --out");
        }
        return state;
    }

    private RunPlan plan(Scheme scheme, OpenModel model, TrainingData data, TrainingSettings settings) {
        ModelConfig config = model.config();
        ForwardRequest forward =
                new ForwardRequest(config, models.dtype(), texts.batch(), texts.seq(config), data.packed(), false);
        TrainingSettings.Sample sample = settings.sample();
        return new RunPlan(
                TrainingPlan.of(scheme, request(forward)),
                data.evaluationBatches(texts.batch()) == 0 ? null : ForwardPlan.of(scheme, forward),
                sample == null
                        ? null
                        : ForwardPlan.of(
                                scheme,
                                new ForwardRequest(
                                        config,
                                        models.dtype(),
                                        1,
                                        sample.prompt().length + sample.tokens(),
                                        false,
                                        true)));
    }

    private void announce(Scheme scheme, OpenModel model, TrainingData data, RunState state, Clusters clusters) {
        int seq = texts.seq(model.config());
        say(String.format(
                Locale.ROOT,
                "%s (%,d parameters) in %s under %s with %d %s, %s",
                model.name(),
                model.config().parameterCount(),
                models.dtypeName(),
                scheme.name(),
                scheme.mesh().worldSize(),
                scheme.mesh().worldSize() == 1 ? "rank" : "ranks",
                clusters.description(schemes.ranks().threads())));
        say(String.format(
                Locale.ROOT,
                "%,d sequences of %d tokens to train on, %,d held out; a step reads %,d",
                data.sequences(),
                seq,
                data.evaluationSequences(),
                (long) texts.batch() * texts.accumulate()));
        if (state.step() > 0) {
            say("resumed after step " + state.step() + " from " + model.name());
        }
    }

    private void say(String sentence) {
        if (speaks()) {
            terminal.out().println(sentence);
        }
    }
}
