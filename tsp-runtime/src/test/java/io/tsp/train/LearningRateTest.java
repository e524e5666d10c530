package io.tsp.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.train.LearningRate.Kind;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that models are trained at another rate than the user asked for. */
class LearningRateTest {
    private static final long[] STEPS = {1, 5, 10, 11, 37, 80, 81, 99, 100};

    /**
     * Closed forms, by Python: s/w in the warm-up; f + (1-f) (T-s)/(T-w); f + (1-f) (1 + cos(pi (s-w)/(T-w)))/2;
     * f + (1-f) (T-s)/20 in the last 20; times 3e-4, with w = 10 and T = 100.
     */
    private static Stream<Arguments> schedules() {
        return Stream.of(
                Arguments.of(Kind.CONSTANT, 0.0, new double[] {3e-5, 1.5e-4, 3e-4, 3e-4, 3e-4, 3e-4, 3e-4, 3e-4, 3e-4}),
                Arguments.of(Kind.LINEAR, 0.0, new double[] {
                    3e-5,
                    1.5e-4,
                    3e-4,
                    0.00029666666666666665,
                    2.1e-4,
                    6.666666666666666e-05,
                    6.333333333333333e-05,
                    3.3333333333333333e-06,
                    0
                }),
                Arguments.of(
                        Kind.LINEAR, 0.1, new double[] {3e-5, 1.5e-4, 3e-4, 2.97e-4, 2.19e-4, 9e-5, 8.7e-5, 3.3e-5, 3e-5
                        }),
                Arguments.of(Kind.COSINE, 0.0, new double[] {
                    3e-5,
                    1.5e-4,
                    3e-4,
                    0.00029990862405286433,
                    0.00023816778784387094,
                    3.509333353215331e-05,
                    3.1798386958991714e-05,
                    9.137594713563568e-08,
                    0
                }),
                Arguments.of(Kind.COSINE, 0.1, new double[] {
                    3e-5,
                    1.5e-4,
                    3e-4,
                    0.00029991776164757793,
                    0.00024435100905948387,
                    6.158400017893799e-05,
                    5.8618548263092546e-05,
                    3.008223835242207e-05,
                    3e-5
                }),
                Arguments.of(Kind.WSD, 0.0, new double[] {3e-5, 1.5e-4, 3e-4, 3e-4, 3e-4, 3e-4, 2.85e-4, 1.5e-5, 0}),
                Arguments.of(
                        Kind.WSD, 0.1, new double[] {3e-5, 1.5e-4, 3e-4, 3e-4, 3e-4, 3e-4, 2.865e-4, 4.35e-5, 3e-5}));
    }

    @ParameterizedTest
    @MethodSource("schedules")
    void isItsClosedForm(Kind kind, double finalShare, double[] expected) {
        LearningRate rate = new LearningRate(3e-4, 10, 100, kind, finalShare, 0.2);
        for (int i = 0; i < STEPS.length; i++) {
            // A rounding of the peak is 5e-20.
            assertEquals(expected[i], rate.at(STEPS[i]), 4e-19, kind + " at step " + STEPS[i]);
        }
        assertEquals(rate.at(100), rate.at(101));
        assertEquals(rate.at(100), rate.at(Long.MAX_VALUE));
    }

    @Test
    void partsMayBeEmptyOrEverything() {
        for (Kind kind : Kind.values()) {
            // Without warm-up and decay, and with nothing else.
            double[] first = {1, 0.9, (1 + Math.cos(Math.PI / 10)) / 2, 1};
            assertEquals(first[kind.ordinal()], new LearningRate(1, 0, 10, kind, 0, 0).at(1), 1e-15);
            LearningRate warmup = new LearningRate(1, 10, 10, kind, 0, 0);
            assertEquals(0.9, warmup.at(9), 1e-15);
            assertEquals(1, warmup.at(10));
            assertEquals(1, warmup.at(11));
        }
        LearningRate down = new LearningRate(1, 0, 10, Kind.WSD, 0, 1);
        assertEquals(0.9, down.at(1), 1e-15);
        assertEquals(0, down.at(10));
        // 0.07 * 100 is a little more than 7.
        LearningRate seven = new LearningRate(1, 0, 100, Kind.WSD, 0, 0.07);
        assertEquals(1, seven.at(93));
        assertEquals(6 / 7.0, seven.at(94), 1e-15);
    }

    @Test
    void whatMakesNoSenseIsRefusedInASentence() {
        refused(() -> new LearningRate(0, 0, 10, Kind.LINEAR, 0, 0), "learning rate is 0.0");
        refused(() -> new LearningRate(-1e-4, 0, 10, Kind.LINEAR, 0, 0), "learning rate is -1.0E-4");
        refused(() -> new LearningRate(Double.NaN, 0, 10, Kind.LINEAR, 0, 0), "NaN");
        refused(() -> new LearningRate(Double.POSITIVE_INFINITY, 0, 10, Kind.LINEAR, 0, 0), "Infinity");
        refused(() -> new LearningRate(1e-4, 0, 0, Kind.LINEAR, 0, 0), "0 steps");
        refused(() -> new LearningRate(1e-4, -1, 10, Kind.LINEAR, 0, 0), "warm-up has -1 steps");
        refused(() -> new LearningRate(1e-4, 11, 10, Kind.LINEAR, 0, 0), "warm-up has 11 steps of 10");
        refused(() -> new LearningRate(1e-4, 0, 10, Kind.LINEAR, 1.1, 0), "share of 1.1 of its peak");
        refused(() -> new LearningRate(1e-4, 0, 10, Kind.LINEAR, Double.NaN, 0), "share of NaN");
        refused(() -> new LearningRate(1e-4, 0, 10, Kind.WSD, 0, -0.1), "decays in a share of -0.1");
        refused(() -> new LearningRate(1e-4, 6, 10, Kind.WSD, 0, 0.5), "warm-up of 6 steps and a decay of 5");
        refused(() -> new LearningRate(1e-4, 6, 10, Kind.WSD, 0, 0.4).at(0), "step 0");
    }

    private static void refused(Runnable action, String part) {
        String message =
                assertThrows(IllegalArgumentException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
