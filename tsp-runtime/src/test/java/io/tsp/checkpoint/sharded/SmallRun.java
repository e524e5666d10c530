package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.checkpoint.ConfigReader;
import io.tsp.mesh.Range;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter.Block;
import io.tsp.model.WeightShapes;
import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** A run over a model of a few hundred elements, each of which is a function of step, kind, weight and place. */
record SmallRun(List<List<Block>> ranks, DType moments) {
    static final String CONFIG = """
            {"model_type": "llama", "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 4, "hidden_act": "silu",
             "rms_norm_eps": 1e-05, "max_position_embeddings": 64, "rope_theta": 10000.0, "tie_word_embeddings": false}
            """;

    static final ModelConfig MODEL = ConfigReader.read("config.json", CONFIG.getBytes(StandardCharsets.UTF_8));

    static final Map<String, byte[]> FILES = Map.of(
            "config.json",
            CONFIG.getBytes(StandardCharsets.UTF_8),
            "tokenizer.json",
            "{}".getBytes(StandardCharsets.UTF_8));

    static final Duration PATIENCE = Duration.ofSeconds(30);

    /** How ranks cut a weight. */
    enum Cut {
        ROWS,
        COLUMNS,
        BOTH,
        UNEVEN,
        WHOLE
    }

    /** A run of so many ranks whose cuts depend on the seed; some ranks may own nothing. */
    static SmallRun random(SplittableRandom random, int ranks) {
        List<List<Block>> owned = new ArrayList<>();
        for (int rank = 0; rank < ranks; rank++) {
            owned.add(new ArrayList<>());
        }
        WeightShapes.of(MODEL).forEach((name, shape) -> {
            Cut cut = Cut.values()[random.nextInt(Cut.values().length)];
            List<Block> blocks = new ArrayList<>();
            cut(random, cut, whole(name, shape), ranks, blocks);
            for (int i = 0; i < blocks.size(); i++) {
                int owner = cut == Cut.UNEVEN || cut == Cut.WHOLE ? random.nextInt(ranks) : i % ranks;
                owned.get(owner).add(blocks.get(i));
            }
        });
        return new SmallRun(owned, random.nextBoolean() ? DType.F32 : DType.BF16);
    }

    /** Rows of every weight in equal parts. */
    static SmallRun byRows(int ranks) {
        List<List<Block>> owned = new ArrayList<>();
        for (int rank = 0; rank < ranks; rank++) {
            List<Block> blocks = new ArrayList<>();
            for (Map.Entry<String, Shape> weight : WeightShapes.of(MODEL).entrySet()) {
                Block whole = whole(weight.getKey(), weight.getValue());
                Range rows = Range.part(whole.rows().count(), ranks, rank);
                blocks.add(new Block(whole.name(), rows, whole.columns()));
            }
            owned.add(blocks);
        }
        return new SmallRun(owned, DType.F32);
    }

    CheckpointInfo info(long step) {
        return CheckpointInfo.of(
                step, "tsp", ranks.size(), DType.BF16, moments, Map.of("seed", "7", "position", "doc \u00e9:" + step));
    }

    List<RankState> states(long step) {
        List<RankState> states = new ArrayList<>();
        for (int rank = 0; rank < ranks.size(); rank++) {
            states.add(new State(step, rank, ranks.get(rank), moments));
        }
        return states;
    }

    void save(CheckpointStore store, long step) {
        store.save(info(step), FILES, states(step), PATIENCE);
    }

    /** Opens a checkpoint with all checks and compares every element with what its step gives. */
    static CheckpointInfo requireWhole(Path directory) {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            CheckpointInfo info = checkpoint.info();
            assertEquals(
                    StepNames.committed(info.step()), directory.getFileName().toString());
            for (Kind kind : Kind.values()) {
                try (WeightSource source = checkpoint.source(kind)) {
                    WeightShapes.of(MODEL).forEach((name, shape) -> {
                        Block whole = whole(name, shape);
                        requireEqual(source, kind, whole, info.step(), info.stored(kind));
                    });
                }
            }
            return info;
        }
    }

    static void requireEqual(WeightSource source, Kind kind, Block block, long step, DType dtype) {
        int bytes = Math.toIntExact(block.rows().count() * block.columns().count() * dtype.bytes());
        ByteBuffer expected = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        fill(step, kind, block, 0, block.rows().count(), dtype, expected);
        ByteBuffer found = ByteBuffer.allocate(bytes);
        source.read(
                block.name(),
                block.rows().from(),
                block.rows().count(),
                block.columns().from(),
                block.columns().count(),
                dtype,
                found);
        assertEquals(-1, expected.flip().mismatch(found.flip()), () -> kind + " " + block);
    }

    static Block whole(String name, Shape shape) {
        return new Block(name, new Range(0, shape.dim(0)), new Range(0, shape.rank() == 1 ? 1 : shape.last()));
    }

    private static void cut(SplittableRandom random, Cut cut, Block block, int pieces, List<Block> cutOff) {
        boolean alongRows = switch (cut) {
            case ROWS -> true;
            case COLUMNS -> false;
            case BOTH, UNEVEN, WHOLE -> random.nextBoolean();
        };
        Range range = alongRows ? block.rows() : block.columns();
        if (cut == Cut.WHOLE || pieces == 1 || range.isEmpty()) {
            cutOff.add(block);
            return;
        }
        long middle = cut == Cut.UNEVEN
                ? range.from() + random.nextLong(range.count() + 1)
                : range.from() + range.count() * (pieces / 2) / pieces;
        for (Range part : List.of(new Range(range.from(), middle), new Range(middle, range.to()))) {
            Block half = alongRows
                    ? new Block(block.name(), part, block.columns())
                    : new Block(block.name(), block.rows(), part);
            cut(random, cut, half, part.from() == range.from() ? pieces / 2 : pieces - pieces / 2, cutOff);
        }
    }

    private record State(long step, int rank, List<Block> blocks, DType moments) implements RankState {
        @Override
        public void read(Kind kind, Block block, long firstRow, long rows, ByteBuffer target) {
            fill(step, kind, block, firstRow, rows, kind == Kind.PARAMETER ? DType.F32 : moments, target);
        }
    }

    private static void fill(
            long step, Kind kind, Block block, long firstRow, long rows, DType dtype, ByteBuffer target) {
        long seed = step * 31 + kind.ordinal() + block.name().hashCode() * 1000L;
        for (long row = firstRow; row < firstRow + rows; row++) {
            for (long column = block.columns().from(); column < block.columns().to(); column++) {
                long place = (block.rows().from() + row) * 100_000 + column;
                int bits = new SplittableRandom(seed * 0x9e3779b97f4a7c15L + place).nextInt();
                if (dtype == DType.F32) {
                    target.putInt(bits);
                } else {
                    target.putShort((short) bits);
                }
            }
        }
    }
}
