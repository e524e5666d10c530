package io.tsp.device.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.op.Chunk;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.TrainingOp.AttentionBackward;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * A failure means that a reference, by which gradients of kernels are judged, is not the derivative of what the reference
 * of the forward pass computes: central finite differences, all in float64.
 */
class ReferenceGradientsTest {
    private static final double STEP = 1e-4;
    /** Differences of the third order, STEP^2 times a derivative, and of rounding, 1e-16 / STEP. */
    private static final double TOLERANCE = 1e-6;

    private final Random random = new Random(20_261_121);

    @Test
    void attention() {
        Trial trial = new Trial(7);
        Tensor q = trial.input("q", DType.F32, 1, Layout.DENSE, 2 * 9, 4, 8);
        Tensor k = trial.input("k", DType.F32, 1, Layout.DENSE, 2 * 9, 2, 8);
        Tensor v = trial.input("v", DType.F32, 1, Layout.DENSE, 2 * 9, 2, 8);
        Tensor dOut = trial.input("dOut", DType.F32, 1, Layout.DENSE, 2 * 9, 4, 8);
        double[] starts =
                IntStream.range(0, 18).mapToDouble(i -> i % 9 < 4 ? 0 : 4).toArray();
        List<Chunk> queries = List.of(new Chunk(0, 9, 3, 0), new Chunk(3, 9, 6, 3));
        Attention forward = new Attention(
                q,
                k,
                v,
                trial.input("kvStart", DType.I32, starts, Layout.DENSE, 18),
                trial.output("out", DType.F32, Layout.DENSE, 2 * 9, 4, 8),
                trial.output("lse", DType.F32, Layout.DENSE, 2 * 9, 4),
                queries,
                List.of(new Chunk(4, 9, 5, 0), new Chunk(0, 9, 4, 5)),
                2,
                4,
                0.35f);
        AttentionBackward op = new AttentionBackward(
                forward,
                dOut,
                trial.output("dQ", DType.F32, Layout.DENSE, 2 * 9, 4, 8),
                trial.output("dK", DType.F32, Layout.DENSE, 2 * 9, 2, 8),
                trial.output("dV", DType.F32, Layout.DENSE, 2 * 9, 2, 8),
                false);
        List<double[]> gradients = AttentionBackwardReference.of(op, trial::get, Precision.EXACT, Precision.EXACT);
        Tensor[] operands = {q, k, v};
        for (int i = 0; i < operands.length; i++) {
            Tensor operand = operands[i];
            requireGradient(operand.slot().name(), gradients.get(i), trial.get(operand), changed -> {
                Function<Tensor, double[]> values = tensor -> tensor.equals(operand) ? changed : trial.get(tensor);
                return dot(trial.get(dOut), AttentionReference.of(forward, values, Precision.EXACT).out);
            });
        }
    }

    @Test
    void gatedMlp() {
        int rows = 5;
        int hidden = 7;
        int features = 35;
        double[] x = normal(rows * hidden);
        double[] gate = normal(features * hidden);
        double[] up = normal(features * hidden);
        double[] down = normal(hidden * features);
        double[] dY = normal(rows * hidden);
        double[] zeros = new double[rows * hidden];
        GatedMlpReference forward = new GatedMlpReference(x, gate, up, down, rows, hidden, features);
        GatedMlpBackwardReference backward = new GatedMlpBackwardReference(forward, dY);
        List<double[]> gradients = backward.gradients(zeros, Precision.EXACT, null);
        List<double[]> fromSaved = backward.gradients(zeros, Precision.EXACT, Precision.EXACT);
        for (int i = 0; i < gradients.size(); i++) {
            assertArrayEquals(gradients.get(i), fromSaved.get(i), "from what the forward pass saved");
        }
        requireGradient(
                "x",
                gradients.get(3),
                x,
                changed -> dot(
                        dY,
                        new GatedMlpReference(changed, gate, up, down, rows, hidden, features)
                                .y(zeros, Precision.EXACT)));
        requireGradient(
                "gate",
                product(gradients.get(1), x, rows, features),
                gate,
                changed -> dot(
                        dY,
                        new GatedMlpReference(x, changed, up, down, rows, hidden, features).y(zeros, Precision.EXACT)));
        requireGradient(
                "up",
                product(gradients.get(2), x, rows, features),
                up,
                changed -> dot(
                        dY,
                        new GatedMlpReference(x, gate, changed, down, rows, hidden, features)
                                .y(zeros, Precision.EXACT)));
        double[] dDown = GemmReference.transposed(product(gradients.get(0), dY, rows, features), hidden);
        requireGradient(
                "down",
                dDown,
                down,
                changed -> dot(
                        dY,
                        new GatedMlpReference(x, gate, up, changed, rows, hidden, features).y(zeros, Precision.EXACT)));
    }

    /** left [T, padded features]^T right [T, h], without the padding. */
    private static double[] product(double[] left, double[] right, int rows, int features) {
        int padded = left.length / rows;
        int hidden = right.length / rows;
        double[] product = new double[features * hidden];
        for (int t = 0; t < rows; t++) {
            for (int i = 0; i < features * hidden; i++) {
                product[i] += left[t * padded + i / hidden] * right[t * hidden + i % hidden];
            }
        }
        return product;
    }

    @Test
    void rmsNorm() {
        int rows = 6;
        int n = 11;
        float epsilon = 0.25f;
        double[] x = normal(rows * n);
        double[] weight = normal(n);
        double[] dOut = normal(rows * n);
        double[] zeros = new double[rows * n];
        List<double[]> gradients =
                new RmsNormBackwardReference(x, weight, dOut, epsilon).gradients(zeros, new double[n], Precision.EXACT);
        requireGradient(
                "x",
                gradients.get(0),
                x,
                changed -> dot(
                        dOut,
                        new RmsNormReference(changed, zeros, weight, n, false, epsilon, Precision.EXACT).exact()));
        requireGradient(
                "weight",
                gradients.get(1),
                weight,
                changed ->
                        dot(dOut, new RmsNormReference(x, zeros, changed, n, false, epsilon, Precision.EXACT).exact()));
    }

    /** The second of two shards, with labels in both and rows without one. */
    @Test
    void crossEntropy() {
        int rows = 8;
        int elsewhere = 5;
        int vocab = 7;
        double scale = 1.5;
        double[] others = normal(rows * elsewhere);
        double[] logits = normal(rows * vocab);
        double[] labels = IntStream.range(0, rows)
                .mapToDouble(t -> t % 4 == 3 ? -1 : 2 * t - t / 4)
                .toArray();
        CrossEntropyReference state = state(others, logits, labels);
        double[] gradient = new CrossEntropyBackwardReference(logits, labels, state, vocab, elsewhere, scale).dLogits();
        requireGradient(
                "logits",
                gradient,
                logits,
                changed -> scale
                        * DoubleStream.of(state(others, changed, labels).losses(labels))
                                .sum());
    }

    private static CrossEntropyReference state(double[] others, double[] logits, double[] labels) {
        CrossEntropyReference state = CrossEntropyReference.empty(labels.length, Precision.EXACT);
        int elsewhere = others.length / labels.length;
        state.update(others, labels, elsewhere, 0);
        state.update(logits, labels, logits.length / labels.length, elsewhere);
        return state;
    }

    private double[] normal(int count) {
        return random.doubles(count).map(unused -> random.nextGaussian()).toArray();
    }

    private static double dot(double[] a, double[] b) {
        return Precision.EXACT.dot(a, 0, b, 0, a.length);
    }

    private static void requireGradient(
            String operand, double[] gradient, double[] values, ToDoubleFunction<double[]> loss) {
        assertEquals(values.length, gradient.length, operand);
        for (int i = 0; i < values.length; i++) {
            double[] changed = values.clone();
            changed[i] = values[i] + STEP;
            double above = loss.applyAsDouble(changed);
            changed[i] = values[i] - STEP;
            double slope = (above - loss.applyAsDouble(changed)) / (2 * STEP);
            int element = i;
            assertEquals(slope, gradient[i], TOLERANCE, () -> operand + " element " + element);
        }
    }
}
