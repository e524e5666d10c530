package io.tsp.cli;

import io.tsp.plan.Candidate;
import io.tsp.plan.Planner;
import io.tsp.plan.Prediction;
import io.tsp.program.Lane;
import io.tsp.report.PlanReport;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** A plan on the terminal: the table, what to do, and the facts that decided it. */
final class PlanConsole {
    private static final double GIB = 1L << 30;
    private static final double PERCENT = 100;

    private final Terminal terminal;
    private final Planner planner;
    private final PlanReport report;

    PlanConsole(Terminal terminal, Planner planner, PlanReport report) {
        this.terminal = terminal;
        this.planner = planner;
        this.report = report;
    }

    /** @param top lines of the table */
    void show(int top) {
        List<Candidate> fitting = report.fitting();
        List<Candidate> shown =
                fitting.isEmpty() ? smallest(top) : fitting.stream().limit(top).toList();
        List<String> lines = report.table(shown);
        terminal.out().println();
        for (int i = 0; i < lines.size(); i++) {
            terminal.out().println(i < 2 ? terminal.heading(lines.get(i)) : lines.get(i));
        }
        terminal.out().println();
        if (fitting.isEmpty()) {
            say(
                    "Nothing fits: a device has %.1f GiB, and these need least. Use more ranks with a larger --max-degree, a"
                            + " shorter --seq or a smaller --batch.",
                    memoryGib());
        } else {
            recommend(fitting);
        }
    }

    private List<Candidate> smallest(int top) {
        return report.candidates().stream()
                .sorted(Comparator.comparingLong(
                        candidate -> candidate.prediction().bytesPerRank()))
                .limit(top)
                .toList();
    }

    private void recommend(List<Candidate> fitting) {
        Candidate best = fitting.getFirst();
        say("Recommended: --scheme %s", options(best));
        facts(fitting).forEach(fact -> terminal.out().println("  * " + fact));
        int layers = Math.toIntExact(planner.mostLayers(best));
        say(
                "With it the longest sequence that fits is %,d tokens, and at %,d tokens the largest model of this width has"
                        + " %,d layers (%,d parameters).",
                planner.longestSequence(best),
                best.step().forward().seq(),
                layers,
                best.step().forward().config().withLayers(layers).parameterCount());
    }

    private static String options(Candidate candidate) {
        return candidate.scheme().name() + " --degree " + candidate.degree() + " --dp " + candidate.dp()
                + candidate
                        .recompute()
                        .map(how -> " --recompute " + how.name().toLowerCase(Locale.ROOT)
                                + (candidate.dp() > 1 ? " --shard-optimizer" : ""))
                        .orElse("");
    }

    private List<String> facts(List<Candidate> fitting) {
        Candidate best = fitting.getFirst();
        List<String> facts = new ArrayList<>();
        facts.add(speed(best, fitting));
        faster(best).ifPresent(facts::add);
        facts.add(time(best));
        facts.add(memory(best, fitting));
        return facts;
    }

    private String speed(Candidate best, List<Candidate> fitting) {
        Optional<Candidate> next = fitting.stream()
                .filter(candidate ->
                        !candidate.scheme().name().equals(best.scheme().name()))
                .findFirst();
        return text(
                "the fastest of %d candidates, %d of which fit: %,.0f tokens/s%s",
                report.candidates().size(),
                fitting.size(),
                best.tokensPerSecond(),
                next.map(other -> text(
                                "; the next scheme is %s with %.2f times that",
                                other.scheme().name(), other.tokensPerSecond() / best.tokensPerSecond()))
                        .orElse(""));
    }

    /** What would be faster, had devices more memory. */
    private Optional<String> faster(Candidate best) {
        return report.candidates().stream()
                .filter(candidate -> !candidate.fits() && candidate.tokensPerSecond() > best.tokensPerSecond())
                .max(Comparator.comparingDouble(Candidate::tokensPerSecond))
                .map(candidate -> text(
                        "--scheme %s would be %.2f times as fast, but needs %.1f GiB of %.1f",
                        options(candidate),
                        candidate.tokensPerSecond() / best.tokensPerSecond(),
                        candidate.prediction().bytesPerRank() / GIB,
                        memoryGib()));
    }

    private String time(Candidate best) {
        Prediction prediction = best.prediction();
        Optional<Map.Entry<Lane, Double>> worst = prediction.exposedSeconds().entrySet().stream()
                .filter(entry -> entry.getValue() > 0)
                .max(Map.Entry.comparingByValue());
        return text(
                "%.1f %% of a step is compute, %.1f %% waits for bytes%s, %.1f %% for peers",
                PERCENT * prediction.computeSeconds() / prediction.seconds(),
                PERCENT * prediction.exposedTransferSeconds() / prediction.seconds(),
                worst.map(entry -> ", most of it for " + entry.getKey()).orElse(""),
                PERCENT * prediction.skewSeconds() / prediction.seconds());
    }

    private String memory(Candidate best, List<Candidate> fitting) {
        Candidate least = fitting.stream()
                .min(Comparator.comparingLong(
                        candidate -> candidate.prediction().bytesPerRank()))
                .orElseThrow();
        String own = text("a rank needs %.1f GiB of %.1f", best.prediction().bytesPerRank() / GIB, memoryGib());
        return least.equals(best)
                ? own + ", which nothing else undercuts"
                : own
                        + text(
                                "; least is %.1f GiB with --scheme %s, at %.2f times the speed",
                                least.prediction().bytesPerRank() / GIB,
                                options(least),
                                least.tokensPerSecond() / best.tokensPerSecond());
    }

    private double memoryGib() {
        return report.conditions().memoryBytesPerDevice() / GIB;
    }

    private void say(String format, Object... values) {
        terminal.out().println(text(format, values));
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
