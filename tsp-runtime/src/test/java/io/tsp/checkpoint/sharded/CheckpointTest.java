package io.tsp.checkpoint.sharded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.StorageException;
import io.tsp.mesh.Range;
import io.tsp.model.Bfloat16;
import io.tsp.model.ModelException;
import io.tsp.model.Parameter.Block;
import io.tsp.model.WeightShapes;
import io.tsp.model.WeightSource;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a run goes on from other numbers than it stopped with. */
class CheckpointTest {
    @TempDir
    Path directory;

    @Test
    void anyRectangleIsReadBackBitForBitHoweverRanksCutTheWeights() {
        for (int seed = 0; seed < 60; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            SmallRun run = SmallRun.random(random, 1 + random.nextInt(6));
            try (CheckpointStore store = CheckpointStore.open(directory.resolve("out" + seed), 1)) {
                run.save(store, seed);
                Path saved = store.newest().orElseThrow();
                assertEquals(run.info(seed), SmallRun.requireWhole(saved));
                try (Checkpoint checkpoint = Checkpoint.open(saved, Verify.STRUCTURE)) {
                    assertEquals(SmallRun.MODEL, checkpoint.config());
                    readRectangles(random, checkpoint);
                }
            }
        }
    }

    private static void readRectangles(SplittableRandom random, Checkpoint checkpoint) {
        CheckpointInfo info = checkpoint.info();
        for (Kind kind : Kind.values()) {
            try (WeightSource source = checkpoint.source(kind)) {
                for (Map.Entry<String, Shape> weight :
                        WeightShapes.of(SmallRun.MODEL).entrySet()) {
                    assertEquals(weight.getValue(), source.shape(weight.getKey()));
                    Block whole = SmallRun.whole(weight.getKey(), weight.getValue());
                    Block part = new Block(whole.name(), part(random, whole.rows()), part(random, whole.columns()));
                    SmallRun.requireEqual(source, kind, part, info.step(), info.stored(kind));
                }
            }
        }
    }

    private static Range part(SplittableRandom random, Range whole) {
        long from = random.nextLong(whole.to() + 1);
        return new Range(from, from + random.nextLong(whole.to() - from + 1));
    }

    @Test
    void sourcesCastAsModelDirectoriesDo() {
        try (CheckpointStore store = CheckpointStore.open(directory, 1)) {
            SmallRun run = SmallRun.random(new SplittableRandom(5), 3);
            new SmallRun(run.ranks(), DType.BF16).save(store, 1);
            try (Checkpoint checkpoint = Checkpoint.open(store.newest().orElseThrow());
                    WeightSource parameters = checkpoint.source(Kind.PARAMETER);
                    WeightSource moments = checkpoint.source(Kind.SECOND)) {
                String name = "model.layers.0.mlp.down_proj.weight";
                int count = (int) parameters.shape(name).count();
                int[] bits = new int[count];
                short[] halves = new short[count];
                read(parameters, name, DType.F32).asIntBuffer().get(bits);
                short[] rounded = new short[count];
                Bfloat16.round(bits, rounded, count);
                read(parameters, name, DType.BF16).asShortBuffer().get(halves);
                assertEquals(ByteBuffers.of(rounded), ByteBuffers.of(halves));
                read(moments, name, DType.BF16).asShortBuffer().get(halves);
                read(moments, name, DType.F32).asIntBuffer().get(bits);
                for (int i = 0; i < count; i++) {
                    assertEquals(halves[i] << 16, bits[i]);
                }
                assertThrows(ModelException.class, () -> parameters.shape("lm_head.bias"));
                assertThrows(
                        ModelException.class,
                        () -> parameters.read(name, 0, 17, 0, 1, DType.F32, ByteBuffer.allocate(1000)));
            }
        }
    }

    /** Arrays with equality. */
    private record ByteBuffers() {
        static List<Short> of(short[] values) {
            List<Short> list = new ArrayList<>();
            for (short value : values) {
                list.add(value);
            }
            return list;
        }
    }

    private static ByteBuffer read(WeightSource source, String name, DType dtype) {
        Shape shape = source.shape(name);
        ByteBuffer target = ByteBuffer.allocate((int) shape.count() * dtype.bytes());
        source.read(name, 0, shape.dim(0), 0, shape.last(), dtype, target);
        return target.flip().order(ByteOrder.LITTLE_ENDIAN);
    }

    @Test
    void onlyTheNewestStayAndOnlyTheirOwnerReadsThem() throws IOException {
        Path out = directory.resolve("a/b");
        SmallRun run = SmallRun.byRows(2);
        try (CheckpointStore store = CheckpointStore.open(out, 2)) {
            assertTrue(store.newest().isEmpty());
            for (long step : List.of(5, 20, 1_000_000, 40)) {
                run.save(store, step);
            }
            // The one just saved stays even where its step is lower.
            assertEquals(List.of(out.resolve("step-000040"), out.resolve("step-1000000")), store.all());
            run.save(store, 40);
            assertEquals(List.of(".lock", "step-000040", "step-1000000"), names(out));
        }
        Path saved = out.resolve("step-000040");
        assertEquals(
                List.of(
                        "config.json",
                        "manifest.json",
                        "manifest.json.sha256",
                        "rank-00000.safetensors",
                        "rank-00001.safetensors",
                        "tokenizer.json"),
                names(saved));
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(saved)));
        for (String name : names(saved)) {
            assertEquals(
                    "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(saved.resolve(name))));
        }
        assertTrue(Checkpoint.isCheckpoint(saved));
        assertFalse(Checkpoint.isCheckpoint(out));
        assertTrue(assertThrows(ModelException.class, () -> Checkpoint.open(out))
                .getMessage()
                .startsWith(out + " is not a checkpoint"));
    }

    @Test
    void sha256sumAgrees() throws Exception {
        try (CheckpointStore store = CheckpointStore.open(directory, 1)) {
            SmallRun.byRows(1).save(store, 3);
            Process check = new ProcessBuilder("sha256sum", "--strict", "-c", "manifest.json.sha256")
                    .directory(store.newest().orElseThrow().toFile())
                    .redirectErrorStream(true)
                    .start();
            String output = new String(check.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(0, check.waitFor(), output);
        }
    }

    @Test
    void aFolderHasOneRun() throws IOException {
        try (CheckpointStore store = CheckpointStore.open(directory, 1)) {
            SmallRun.byRows(1).save(store, 1);
            String message = assertThrows(StorageException.class, () -> CheckpointStore.open(directory, 1))
                    .getMessage();
            assertTrue(message.startsWith("another process trains into " + directory), message);
        }
        // The file stays and locks nothing.
        assertTrue(Files.exists(directory.resolve(".lock")));
        CheckpointStore.open(directory, 1).close();
        assertThrows(IllegalArgumentException.class, () -> CheckpointStore.open(directory, 0));
    }

    @Test
    void whatWouldNotBeReadBackIsNotSaved() throws IOException {
        SmallRun run = SmallRun.byRows(2);
        try (CheckpointStore store = CheckpointStore.open(directory, 1)) {
            run.save(store, 1);
            List<RankState> states = run.states(2);
            List<Block> fewer = states.get(1).blocks().subList(1, 9);
            SmallRun hole = new SmallRun(List.of(states.getFirst().blocks(), fewer), DType.F32);
            SmallRun twice = new SmallRun(
                    List.of(states.getFirst().blocks(), states.getFirst().blocks()), DType.F32);
            assertRefused(() -> hole.save(store, 2), "hold 32 elements of its 64");
            assertRefused(() -> twice.save(store, 2), "overlap");
            assertRefused(() -> store.save(run.info(2), Map.of(), run.states(2), Duration.ofSeconds(1)), "config.json");
            Map<String, byte[]> outside = Map.of("config.json", SmallRun.FILES.get("config.json"), "../x", new byte[1]);
            assertRefused(() -> store.save(run.info(2), outside, run.states(2), Duration.ofSeconds(1)), "../x");
            List<RankState> same = List.of(states.getFirst(), states.getFirst());
            assertRefused(() -> store.save(run.info(2), SmallRun.FILES, same, Duration.ofSeconds(1)), "rank 0 twice");
            assertEquals(List.of(".lock", "step-000001"), names(directory));
            assertEquals(1, SmallRun.requireWhole(store.newest().orElseThrow()).step());
        }
    }

    private static void assertRefused(Runnable save, String reason) {
        String message = assertThrows(IllegalArgumentException.class, save::run).getMessage();
        assertTrue(message.contains(reason), message);
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.map(path -> path.getFileName().toString()).sorted().toList();
        }
    }
}
