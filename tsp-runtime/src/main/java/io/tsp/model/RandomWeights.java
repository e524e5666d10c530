package io.tsp.model;

import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;

/**
 * Weights from a seed: matrices are uniform with standard deviation 0.02, norms are one, biases zero. Every element is
 * a function of (seed, tensor name, flat index) alone, so any rank can make any block, in any order and dtype.
 */
public final class RandomWeights implements WeightSource {
    /** transformers' {@code initializer_range}. */
    public static final double STANDARD_DEVIATION = 0.02;

    private static final int CHUNK_ELEMENTS = 1 << 14;
    private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;
    // A uniform number in [-a, a) has standard deviation a / sqrt(3); 24 random bits fill an fp32 mantissa.
    private static final float SCALE = (float) (STANDARD_DEVIATION * Math.sqrt(3) / (1 << 23));

    private final Map<String, Shape> shapes;
    private final long seed;

    public RandomWeights(ModelConfig config, long seed) {
        this.shapes = WeightShapes.of(config);
        this.seed = seed;
    }

    @Override
    public Shape shape(String name) {
        Shape shape = shapes.get(name);
        if (shape == null) {
            throw new ModelException(ModelException.Part.FILE, "the model has no tensor named " + name);
        }
        return shape;
    }

    @Override
    public void read(
            String name, long firstRow, long rowCount, long firstColumn, long columnCount, DType dtype, ByteBuffer target) {
        Shape shape = shape(name);
        WeightBlock block = new WeightBlock(firstRow, rowCount, firstColumn, columnCount);
        block.requireInside(name, shape);
        ByteBuffer out = block.claim(target, dtype);
        long columns = shape.rank() == 1 ? 1 : shape.last();
        // A block of whole rows is one long row.
        boolean whole = columnCount == columns;
        long rows = whole ? Math.min(1, rowCount) : rowCount;
        long length = whole ? rowCount * columns : columnCount;
        int[] bits = new int[(int) Math.min(length, CHUNK_ELEMENTS)];
        short[] halves = new short[dtype == DType.BF16 ? bits.length : 0];
        for (long row = 0; row < rows; row++) {
            long start = (firstRow + row) * columns + firstColumn;
            for (long done = 0; done < length; done += bits.length) {
                int count = (int) Math.min(bits.length, length - done);
                fill(name, start + done, bits, count);
                put(out, bits, halves, count);
            }
        }
    }

    @Override
    public void close() {}

    private void fill(String name, long firstIndex, int[] bits, int count) {
        if (name.endsWith("norm.weight") || name.endsWith(".bias")) {
            Arrays.fill(bits, 0, count, Float.floatToRawIntBits(name.endsWith(".bias") ? 0 : 1));
        } else {
            fillUniform(key(name) + firstIndex * GOLDEN_GAMMA, bits, count);
        }
    }

    private static void fillUniform(long start, int[] bits, int count) {
        for (int i = 0; i < count; i++) {
            int uniform = (int) (mix(start + i * GOLDEN_GAMMA) >> 40);
            bits[i] = Float.floatToRawIntBits(uniform * SCALE);
        }
    }

    private static void put(ByteBuffer out, int[] bits, short[] halves, int count) {
        if (halves.length > 0) {
            Bfloat16.round(bits, halves, count);
            out.asShortBuffer().put(halves, 0, count);
            out.position(out.position() + count * Short.BYTES);
        } else {
            out.asIntBuffer().put(bits, 0, count);
            out.position(out.position() + count * Integer.BYTES);
        }
    }

    /** FNV-1a of the name, stirred with the seed. */
    private long key(String name) {
        long hash = 0xcbf29ce484222325L;
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
        }
        return mix(hash ^ mix(seed + GOLDEN_GAMMA));
    }

    /** The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
