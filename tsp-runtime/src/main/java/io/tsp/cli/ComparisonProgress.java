package io.tsp.cli;

import io.tsp.evaluate.Comparison;
import org.jspecify.annotations.Nullable;

/** The progress bar of a comparison. */
final class ComparisonProgress implements Comparison.Progress, AutoCloseable {
    private final Terminal terminal;
    private @Nullable Progress bar;
    private boolean begun;

    ComparisonProgress(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public void begin(int units) {
        bar = Progress.open(terminal, "compare", units);
    }

    @Override
    public void next(String what) {
        if (bar != null) {
            bar.add(begun ? 1 : 0);
            bar.show(what);
        }
        begun = true;
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
