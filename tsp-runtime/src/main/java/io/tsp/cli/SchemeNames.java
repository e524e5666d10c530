package io.tsp.cli;

import io.tsp.plan.Schemes;
import io.tsp.scheme.Scheme;
import java.util.Map;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** From the name that a user types to a scheme, with the degree that goes without saying. */
final class SchemeNames {
    static final String SINGLE = "single";

    private static final Pattern TWO_AXES = Pattern.compile("tp\\+sp:(\\d{1,4})x(\\d{1,4})");

    private SchemeNames() {}

    static Scheme scheme(String name, RankOptions ranks, Map<String, String> environment) {
        int degree = ranks.explicitDegree().orElseGet(() -> ownDegree(name).orElseGet(() -> ranks.degree(environment)));
        return UsageException.check(() -> Schemes.of(name, degree, ranks.dp()));
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
