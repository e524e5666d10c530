package io.tsp.benchmark;

import java.util.Locale;

/**
 * Some results of one call beside the formula in float64 and beside the formula as a plain loop rounds it. A kernel is
 * right if its error, as a root mean square, is at most twice that of the plain loop.
 */
final class Check {
    private static final double ALLOWED = 2;
    private static final double F32_ROUNDING = Math.scalb(1.0, -24);

    private final String what;
    private double error;
    private double plainError;
    private double magnitude;

    /** @param what what an error message calls the results */
    Check(String what) {
        this.what = what;
    }

    void compare(double result, double exact, double plain) {
        error += square(result - exact);
        plainError += square(plain - exact);
        magnitude += square(exact);
    }

    private static double square(double x) {
        return x * x;
    }

    /** @throws IllegalStateException if the results are wrong */
    void require() {
        double allowed = ALLOWED * Math.sqrt(plainError) + F32_ROUNDING * Math.sqrt(magnitude);
        if (!(Math.sqrt(error) <= allowed)) {
            throw new IllegalStateException(String.format(
                    Locale.ROOT,
                    "%s is wrong and is not timed: its relative error is %.3g, at most %.3g is explained by rounding",
                    what,
                    Math.sqrt(error / magnitude),
                    allowed / Math.sqrt(magnitude)));
        }
    }

    /** @throws IllegalStateException if a result that has no rounding is not the expected one */
    static void requireEqual(String what, long index, double result, double expected) {
        if (result != expected) {
            throw new IllegalStateException(what + " is wrong and is not timed: element " + index + " is " + result
                    + " instead of " + expected);
        }
    }
}
