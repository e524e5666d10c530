package io.tsp.cli;

import io.tsp.plan.Schemes;
import io.tsp.scheme.Scheme;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How many ranks share a model, and how many copies of it there are. */
final class DegreeOptions {
    static final String SINGLE = "single";

    /** Ranks that share a copy if nobody says how many. */
    static final int DEFAULT = 4;

    private static final Pattern TWO_AXES = Pattern.compile("tp\\+sp:(\\d{1,4})x(\\d{1,4})");

    @Option(
            names = "--degree",
            paramLabel = "D",
            description =
                    "Ranks that share one copy of the model. Default: 4, or what the scheme or the launcher says.")
    private @Nullable Integer degree;

    @Option(
            names = "--dp",
            paramLabel = "N",
            description = "Data-parallel copies, each with a part of the batch. Default: 1.")
    private int dp = 1;

    void requirePositive() {
        UsageException.positive("--dp", dp);
        UsageException.positive("--degree", degree == null ? 1 : degree);
    }

    int dp() {
        return dp;
    }

    int degree(int otherwise) {
        return degree == null ? otherwise : degree;
    }

    /**
     * From the name that a user types to a scheme, with the degree that goes without saying.
     *
     * @param otherwise the degree if neither the user nor the name says it
     */
    Scheme scheme(String name, int otherwise) {
        int made = degree(ownDegree(name).orElse(otherwise));
        return UsageException.check(() -> Schemes.of(name, made, dp));
    }

    /** What a name says of its degree. */
    private static OptionalInt ownDegree(String name) {
        if (name.equals(SINGLE)) {
            return OptionalInt.of(1);
        }
        Matcher twoAxes = TWO_AXES.matcher(name);
        return twoAxes.matches()
                ? OptionalInt.of(Integer.parseInt(twoAxes.group(1)) * Integer.parseInt(twoAxes.group(2)))
                : OptionalInt.empty();
    }
}
