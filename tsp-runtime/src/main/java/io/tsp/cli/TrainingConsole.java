package io.tsp.cli;

import io.tsp.data.TextTokenizer;
import io.tsp.report.TrainingLog;
import io.tsp.tensor.SystemClock;
import io.tsp.train.StepReport;
import io.tsp.train.TrainingListener;
import io.tsp.train.TrainingSettings;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a person sees of training, from the process with rank 0: a progress bar on a terminal, and lines for evaluations
 * and samples; without a terminal also one every few seconds, from the first step on.
 */
final class TrainingConsole implements TrainingListener, AutoCloseable {
    private static final String ERASE_LINE = "\r\033[K";
    private static final long QUIET_NANOS = Duration.ofSeconds(10).toNanos();

    private final Terminal terminal;
    private final TextTokenizer tokenizer;
    private final TrainingSettings settings;
    private final @Nullable TrainingLog log;
    private final Progress progress;
    private final long begin = SystemClock.nanos();
    private final long firstStep;
    private long spoke = begin - QUIET_NANOS;
    private @Nullable StepReport last;

    /** @param done steps of an earlier run */
    TrainingConsole(
            Terminal terminal,
            TextTokenizer tokenizer,
            TrainingSettings settings,
            @Nullable TrainingLog log,
            long done) {
        this.terminal = terminal;
        this.tokenizer = tokenizer;
        this.settings = settings;
        this.log = log;
        this.firstStep = done;
        progress = Progress.ofLongWork(terminal, "train", done, settings.steps());
    }

    @Override
    public void stepped(StepReport report) {
        last = report;
        String sample = text(report);
        if (log != null) {
            log.add(report, sample);
        }
        progress.add(1);
        progress.show(String.format(Locale.ROOT, "loss %.4f, %,.0f tokens/s", report.loss(), report.tokensPerSecond()));
        if (!Clusters.speaks(terminal.environment())) {
            return;
        }
        boolean quiet = !terminal.showsProgress() && SystemClock.nanos() - spoke >= QUIET_NANOS;
        if (quiet || report.evaluation() != null || sample != null) {
            spoke = SystemClock.nanos();
            say(line(report));
        }
        if (sample != null) {
            say("    " + sample.replace("\n", "\n    "));
        }
    }

    /** A line above the progress bar, which is drawn again below it. */
    void say(String line) {
        if (terminal.showsProgress()) {
            terminal.err().print(ERASE_LINE);
            terminal.err().flush();
        }
        terminal.out().println(line);
    }

    /** The prompt and how it goes on; null if none was asked for at this step. */
    private @Nullable String text(StepReport report) {
        TrainingSettings.Sample wanted = settings.sample();
        int[] sample = report.sample();
        if (wanted == null || sample == null) {
            return null;
        }
        int[] prompt = wanted.prompt();
        int[] whole = new int[prompt.length + sample.length];
        System.arraycopy(prompt, 0, whole, 0, prompt.length);
        System.arraycopy(sample, 0, whole, prompt.length, sample.length);
        return tokenizer.decode(whole);
    }

    private String line(StepReport report) {
        StepReport.Evaluation evaluation = report.evaluation();
        return String.format(
                Locale.ROOT,
                "step %d of %d: loss %.4f%s, gradient norm %.3f, %,.0f tokens/s, %s left",
                report.step(),
                settings.steps(),
                report.loss(),
                evaluation == null ? "" : String.format(Locale.ROOT, ", evaluation loss %.4f", evaluation.loss()),
                report.gradientNorm(),
                report.tokensPerSecond(),
                left(report.step()));
    }

    private String left(long step) {
        double each = (SystemClock.nanos() - begin) / (double) Math.max(1, step - firstStep);
        long seconds =
                Duration.ofNanos((long) (each * (settings.steps() - step))).toSeconds();
        return String.format(Locale.ROOT, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }

    /** The last step of this run, if there was one. */
    @Nullable
    StepReport last() {
        return last;
    }

    @Override
    public void close() {
        progress.close();
    }
}
