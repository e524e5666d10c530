package io.tsp.cli;

import java.time.Duration;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A progress bar where a person looks at standard error; otherwise nothing. */
final class Progress implements AutoCloseable {
    private static final int WIDTH = 80;
    private static final int REFRESH_MILLIS = 200;

    private final @Nullable ProgressBar bar;

    private Progress(@Nullable ProgressBar bar) {
        this.bar = bar;
    }

    /** @param total units of work */
    static Progress open(Terminal terminal, String task, long total) {
        return open(
                terminal,
                new ProgressBarBuilder().setTaskName(task).setInitialMax(total).hideEta());
    }

    /**
     * With the time that is left.
     *
     * @param done units of an earlier run
     */
    static Progress ofLongWork(Terminal terminal, String task, long done, long total) {
        return open(
                terminal,
                new ProgressBarBuilder().setTaskName(task).setInitialMax(total).startsFrom(done, Duration.ZERO));
    }

    /** @param total bytes, shown in MiB */
    static Progress ofBytes(Terminal terminal, String task, long total) {
        return open(
                terminal,
                new ProgressBarBuilder()
                        .setTaskName(task)
                        .setInitialMax(total)
                        .setUnit(" MiB", 1 << 20)
                        .hideEta());
    }

    private static Progress open(Terminal terminal, ProgressBarBuilder builder) {
        if (!terminal.showsProgress()) {
            return new Progress(null);
        }
        return new Progress(builder.setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(REFRESH_MILLIS)
                .setConsumer(new ConsoleProgressBarConsumer(System.err, WIDTH))
                .clearDisplayOnFinish()
                .build());
    }

    void add(long units) {
        if (bar != null) {
            bar.stepBy(units);
        }
    }

    /** What the unit that has begun is about. */
    void show(String what) {
        if (bar != null) {
            bar.setExtraMessage(what);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
