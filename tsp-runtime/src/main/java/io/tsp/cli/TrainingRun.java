package io.tsp.cli;

import io.tsp.checkpoint.sharded.Checkpoint;
import io.tsp.checkpoint.sharded.CheckpointStore;
import io.tsp.checkpoint.sharded.Kind;
import io.tsp.data.TextTokenizer;
import io.tsp.data.TrainingData;
import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.report.ReportFile;
import io.tsp.report.TraceReport;
import io.tsp.report.TrainingLog;
import io.tsp.train.RunPlan;
import io.tsp.train.RunState;
import io.tsp.train.StepReport;
import io.tsp.train.Trainer;
import io.tsp.train.TrainingRunner;
import io.tsp.train.TrainingSettings;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** A run of {@code tsp train} of which everything is known and nothing is allocated. */
record TrainingRun(
        Terminal terminal,
        RunPlan plan,
        OpenModel model,
        TextTokenizer tokenizer,
        TrainingData data,
        TrainingSettings settings,
        RunState state,
        RankOptions ranks) {

    /** Trains, and says how it ended; returns the exit code. */
    int execute(CheckpointStore store, Clusters clusters, @Nullable TrainingLog log, @Nullable ReportFile trace) {
        try (Cluster cluster = clusters.cluster(plan.steps().ranks(), ranks.threads(), ranks.deadline())) {
            plan.memory().requireFits(cluster.localRanks(), clusters.memory());
            Trainer.Saving saving = new Trainer.Saving(store, model.filesBesideWeights(), ranks.deadline());
            try (TrainingRunner runner = load(cluster);
                    TrainingConsole console = new TrainingConsole(terminal, tokenizer, settings, log, state.step());
                    Trainer trainer = new Trainer(plan, runner, data, settings, state, saving, console)) {
                terminal.stop().honour();
                Trainer.End end = trainer.run(terminal.stop()::isMade);
                if (trace != null) {
                    trace.writeCompact(generator -> TraceReport.write(
                            List.of(new TraceReport.Run(plan.steps().scheme().name(), trainer.lastTraces())),
                            generator));
                }
                return finish(end, trainer, console, store);
            }
        }
    }

    private TrainingRunner load(Cluster cluster) {
        Checkpoint checkpoint = state.step() > 0 ? model.checkpoint() : null;
        TrainingRunner.Start start = checkpoint == null
                ? TrainingRunner.Start.of(model.weights())
                : new TrainingRunner.Start(
                        model.weights(), checkpoint.source(Kind.FIRST), checkpoint.source(Kind.SECOND));
        long bytes = plan.steps().loadedBytes(cluster.localRanks(), checkpoint != null);
        try (Progress progress = Progress.ofBytes(terminal, "load weights", bytes)) {
            return TrainingRunner.open(cluster, plan.steps(), start, Session.Mode.OVERLAPPED, progress::add);
        }
    }

    private int finish(Trainer.End end, Trainer trainer, TrainingConsole console, CheckpointStore store) {
        boolean left = end == Trainer.End.LEFT;
        StepReport last = console.last();
        if (Clusters.speaks(terminal.environment()) && last != null) {
            console.say(String.format(
                    Locale.ROOT,
                    "%s after step %d of %d with a loss of %.4f; saved as %s",
                    left ? "stopped" : "done",
                    trainer.step(),
                    settings.steps(),
                    last.loss(),
                    store.newest().map(Path::toString).orElse("nothing")));
        }
        return (left ? ExitCode.STOPPED : ExitCode.OK).code();
    }
}
