package io.tsp.plan;

import io.tsp.scheme.Scheme;
import io.tsp.scheme.gathered.GatheredScheme;
import io.tsp.scheme.tpsp.TpSpScheme;
import io.tsp.scheme.tsp.TspScheme;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** All schemes by the names that users type. */
public final class Schemes {
    /** What a user may type. */
    public static final String NAMES = "single, tsp, tp, tp+sp-regions, sp, tp+sp:TxS, fsdp+sp or ulysses";

    private static final Pattern TWO_AXES = Pattern.compile("tp\\+sp:([1-9]\\d{0,3})x([1-9]\\d{0,3})");

    private Schemes() {}

    /**
     * The scheme of a name.
     *
     * @param degree ranks of one replica; must fit a name that says it itself
     * @param dp replicas
     * @throws IllegalArgumentException if there is no such scheme or the degree does not fit; one sentence
     */
    public static Scheme of(String name, int degree, int dp) {
        Matcher twoAxes = TWO_AXES.matcher(name);
        if (twoAxes.matches()) {
            int tp = Integer.parseInt(twoAxes.group(1));
            int sp = Integer.parseInt(twoAxes.group(2));
            requireDegree(name, Math.multiplyExact(tp, sp), degree);
            return new TpSpScheme(name, tp, sp, dp, false);
        }
        return switch (name) {
            case "single" -> {
                requireDegree(name, 1, degree);
                yield TpSpScheme.single(dp);
            }
            case "tsp" -> new TspScheme(degree, dp);
            case "tp" -> new TpSpScheme(name, degree, 1, dp, false);
            case "tp+sp-regions" -> new TpSpScheme(name, degree, 1, dp, true);
            case "sp" -> new TpSpScheme(name, 1, degree, dp, false);
            case "fsdp+sp" -> new GatheredScheme(GatheredScheme.Kind.FSDP_SP, degree, dp);
            case "ulysses" -> new GatheredScheme(GatheredScheme.Kind.ULYSSES, degree, dp);
            default -> throw new IllegalArgumentException("there is no scheme " + name + "; use " + NAMES);
        };
    }

    private static void requireDegree(String name, int own, int degree) {
        if (own != degree) {
            throw new IllegalArgumentException(
                    "scheme " + name + " has " + own + " ranks in a replica, not " + degree + "; change --degree");
        }
    }

    /** Every scheme for degree ranks, with all factorisations of two axes; one rank has only {@code single}. */
    public static List<Scheme> all(int degree, int dp) {
        if (degree == 1) {
            return List.of(of("single", 1, dp));
        }
        List<Scheme> schemes = new ArrayList<>();
        schemes.add(of("tsp", degree, dp));
        schemes.add(of("tp", degree, dp));
        schemes.add(of("tp+sp-regions", degree, dp));
        schemes.add(of("sp", degree, dp));
        for (int tp = degree / 2; tp > 1; tp--) {
            if (degree % tp == 0) {
                schemes.add(of("tp+sp:" + tp + "x" + degree / tp, degree, dp));
            }
        }
        schemes.add(of("fsdp+sp", degree, dp));
        schemes.add(of("ulysses", degree, dp));
        return schemes;
    }
}
