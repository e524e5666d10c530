package io.tsp.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A failure means that ranks disagree about the weights of a preset, or that its numbers are not those documented. */
class RandomWeightsTest {
    private static final ModelConfig TINY = Presets.of("tiny-qwen2");
    private static final String GATE = "model.layers.1.mlp.gate_proj.weight";

    @Test
    void everyBlockIsTheSameCutOut() {
        try (RandomWeights weights = new RandomWeights(TINY, 7)) {
            FloatBuffer whole = floats(weights, GATE, 0, 688, 0, 256);
            for (long[] b : new long[][] {{0, 1, 0, 1}, {687, 1, 255, 1}, {3, 5, 0, 256}, {100, 37, 11, 13}}) {
                FloatBuffer block = floats(weights, GATE, b[0], b[1], b[2], b[3]);
                for (long row = 0; row < b[1]; row++) {
                    for (long column = 0; column < b[3]; column++) {
                        assertEquals(whole.get((int) ((b[0] + row) * 256 + b[2] + column)), block.get());
                    }
                }
            }
        }
    }

    @Test
    void bfloat16IsTheRoundedFloat() {
        try (RandomWeights weights = new RandomWeights(TINY, 7)) {
            FloatBuffer whole = floats(weights, GATE, 0, 688, 0, 256);
            ByteBuffer halves = ByteBuffer.allocate(688 * 256 * 2).order(ByteOrder.LITTLE_ENDIAN);
            weights.read(GATE, 0, 688, 0, 256, DType.BF16, halves);
            for (int i = 0; i < whole.limit(); i++) {
                assertEquals(Bfloat16.round(Float.floatToRawIntBits(whole.get(i))), halves.getShort(i * 2));
            }
        }
    }

    @Test
    void matricesAreUniformWithTheirDeviation() {
        try (RandomWeights weights = new RandomWeights(TINY, 7)) {
            FloatBuffer values = floats(weights, GATE, 0, 688, 0, 256);
            double sum = 0;
            double squares = 0;
            double largest = 0;
            for (int i = 0; i < values.limit(); i++) {
                sum += values.get(i);
                squares += (double) values.get(i) * values.get(i);
                largest = Math.max(largest, Math.abs(values.get(i)));
            }
            int count = values.limit();
            // Four standard errors of the mean and of the variance of 176,128 uniform numbers.
            assertEquals(0, sum / count, 4 * 0.02 / Math.sqrt(count));
            assertEquals(4e-4, squares / count, 4 * 4e-4 * Math.sqrt(0.8 / count));
            assertTrue(largest <= 0.02 * Math.sqrt(3) && largest > 0.0346, "largest " + largest);
        }
    }

    @Test
    void seedsAndNamesGiveOtherNumbers() {
        try (RandomWeights seven = new RandomWeights(TINY, 7);
                RandomWeights eight = new RandomWeights(TINY, 8)) {
            float first = floats(seven, GATE, 0, 1, 0, 1).get();
            assertNotEquals(first, floats(eight, GATE, 0, 1, 0, 1).get());
            assertNotEquals(
                    first, floats(seven, GATE.replace("gate", "up"), 0, 1, 0, 1).get());
            assertNotEquals(first, floats(seven, GATE, 0, 1, 1, 1).get());
            // The sequence is part of what a preset is: results are compared across machines and releases.
            assertEquals(0.024870344f, first);
        }
    }

    @Test
    void normsAreOneAndBiasesZero() {
        try (RandomWeights weights = new RandomWeights(TINY, 7)) {
            for (Map.Entry<String, Shape> tensor : WeightShapes.of(TINY).entrySet()) {
                if (tensor.getValue().rank() == 1) {
                    FloatBuffer values = floats(
                            weights, tensor.getKey(), 0, tensor.getValue().dim(0), 0, 1);
                    float expected = tensor.getKey().endsWith(".bias") ? 0 : 1;
                    for (int i = 0; i < values.limit(); i++) {
                        assertEquals(expected, values.get(i), tensor.getKey());
                    }
                }
            }
        }
    }

    @Test
    void whatDoesNotExistIsRefused() {
        try (RandomWeights weights = new RandomWeights(TINY, 7)) {
            ByteBuffer target = ByteBuffer.allocate(64);
            assertThrows(ModelException.class, () -> weights.shape("lm_head.weight"));
            assertThrows(ModelException.class, () -> weights.read(GATE, 688, 1, 0, 1, DType.F32, target));
            assertThrows(IllegalArgumentException.class, () -> weights.read(GATE, 0, 1, 0, 17, DType.F32, target));
        }
    }

    @Test
    void presetsHaveTheSizesTheyAreNamedFor() {
        ModelConfig reference = Presets.of("tsp-7b");
        long blocks = reference.parameterCount() - 2L * 32_000 * 4096 - 4096 - 2L * 4096 * 32;
        assertEquals(16L * 4096 * 4096 * 32, blocks, "16 h^2 L, as tsp-algorithm 2.2 counts");
        assertEquals(8_030_261_248L, Presets.of("llama-8b").parameterCount());
        assertEquals(1_235_814_400L, Presets.of("llama-1b").parameterCount());
        assertEquals(7_241_732_096L, Presets.of("mistral-7b").parameterCount());
        assertEquals(7_615_616_512L, Presets.of("qwen2-7b").parameterCount());
        assertEquals(8_190_735_360L, Presets.of("qwen3-8b").parameterCount());
        assertEquals(70_553_706_496L, Presets.of("llama-70b").parameterCount());
        assertTrue(Presets.of("tiny").parameterCount() < 4_000_000);
        Presets.byName().forEach((name, config) -> {
            long counted = WeightShapes.of(config).values().stream()
                    .mapToLong(Shape::count)
                    .sum();
            assertEquals(config.parameterCount(), counted, name);
        });
        String message = assertThrows(IllegalArgumentException.class, () -> Presets.of("x"))
                .getMessage();
        assertTrue(message.contains("tiny"), message);
    }

    private static FloatBuffer floats(
            WeightSource source, String name, long row, long rows, long column, long columns) {
        ByteBuffer target = ByteBuffer.allocate((int) (rows * columns) * 4).order(ByteOrder.LITTLE_ENDIAN);
        source.read(name, row, rows, column, columns, DType.F32, target);
        assertEquals(0, target.remaining());
        return target.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    }
}
