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

    // A uniform number in [-a, a) has standard deviation a / sqrt(3); 24 random bits fill an fp32 mantissa.
    private static final float SCALE = (float) (STANDARD_DEVIATION * Math.sqrt(3) / (1 << 23));
    private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;
    private static final int TILE = 1024;
    /** Multiples of the gamma: the JIT compiler vectorises loads from a table but not the product. */
    private static final long[] GAMMAS = gammas();

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
            String name,
            long firstRow,
            long rowCount,
            long firstColumn,
            long columnCount,
            DType dtype,
            ByteBuffer target) {
        Shape shape = shape(name);
        WeightBlock block = new WeightBlock(firstRow, rowCount, firstColumn, columnCount);
        block.requireInside(name, shape);
        ByteBuffer out = block.claim(target, dtype);
        long columns = shape.rank() == 1 ? 1 : shape.last();
        Generator generator = new Generator(name, dtype, out);
        if (columnCount == columns) {
            generator.append(firstRow * columns, rowCount * columns);
        } else {
            for (long row = firstRow; row < firstRow + rowCount; row++) {
                generator.append(row * columns + firstColumn, columnCount);
            }
        }
    }

    @Override
    public void close() {}

    /** Makes runs of elements of one tensor, a tile at a time. */
    private final class Generator {
        private final boolean random;
        private final long key;
        private final DType dtype;
        private final ByteBuffer out;
        private final long[] counters = new long[TILE];
        private final float[] floats = new float[TILE];
        private final int[] bits = new int[TILE];
        private final short[] halves = new short[TILE];

        Generator(String name, DType dtype, ByteBuffer out) {
            this.random = !name.endsWith("norm.weight") && !name.endsWith(".bias");
            this.key = key(name);
            this.dtype = dtype;
            this.out = out;
            Arrays.fill(floats, name.endsWith(".bias") ? 0 : 1);
        }

        void append(long firstIndex, long count) {
            for (long done = 0; done < count; done += TILE) {
                int part = (int) Math.min(TILE, count - done);
                if (random) {
                    fill(key + (firstIndex + done) * GOLDEN_GAMMA, part);
                }
                put(part);
            }
        }

        /** SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) of the key plus a multiple of its gamma for each element. */
        private void fill(long start, int count) {
            for (int i = 0; i < count; i++) {
                counters[i] = mix(start + GAMMAS[i]) >> 40;
            }
            for (int i = 0; i < count; i++) {
                floats[i] = (int) counters[i] * SCALE;
            }
        }

        private void put(int count) {
            if (dtype == DType.F32) {
                out.asFloatBuffer().put(floats, 0, count);
            } else {
                for (int i = 0; i < count; i++) {
                    bits[i] = Float.floatToRawIntBits(floats[i]);
                }
                Bfloat16.round(bits, halves, count);
                out.asShortBuffer().put(halves, 0, count);
            }
            out.position(out.position() + count * dtype.bytes());
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

    private static long mix(long z) {
        long once = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        long twice = (once ^ (once >>> 27)) * 0x94d049bb133111ebL;
        return twice ^ (twice >>> 31);
    }

    private static long[] gammas() {
        long[] gammas = new long[TILE];
        for (int i = 0; i < TILE; i++) {
            gammas[i] = i * GOLDEN_GAMMA;
        }
        return gammas;
    }
}
