package io.tsp.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.tsp.checkpoint.ConfigWriter;
import io.tsp.checkpoint.ModelDirectory;
import io.tsp.checkpoint.sharded.Checkpoint;
import io.tsp.checkpoint.sharded.CheckpointInfo;
import io.tsp.checkpoint.sharded.CheckpointStore;
import io.tsp.checkpoint.sharded.Kind;
import io.tsp.data.TokenBatch;
import io.tsp.evaluate.ForwardPlan;
import io.tsp.model.ModelConfig;
import io.tsp.model.WeightShapes;
import io.tsp.model.WeightSource;
import io.tsp.parity.Fixture;
import io.tsp.parity.Libraries;
import io.tsp.parity.Ranks;
import io.tsp.plan.Schemes;
import io.tsp.program.Session;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import io.tsp.tensor.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A failure means that weights or the optimizer's state are not the same after they went from one scheme to another. */
class CheckpointRoundTripTest {
    private static final AdamWSettings SETTINGS = new AdamWSettings(1e-2, 0.9, 0.95, 1e-8, 0.1, 1);
    private static final Duration DEADLINE = Duration.ofSeconds(30);

    @RegisterExtension
    private static final Libraries libraries = Libraries.load(null);

    private static Fixture fixture;
    private static ModelConfig config;

    @TempDir
    private static Path folder;

    private static Path trained;

    @BeforeAll
    static void train() {
        fixture = Fixture.training("file-bf16");
        config = ModelDirectory.readConfig(fixture.directory());
        try (ModelDirectory model = ModelDirectory.open(fixture.directory())) {
            trained = save(Schemes.of("single", 1, 1), TrainingRunner.Start.of(model), 2, "trained");
        }
    }

    static Stream<Scheme> schemes() {
        return Stream.of(
                Schemes.of("single", 1, 1),
                Schemes.of("tsp", 2, 1),
                Schemes.of("tsp", 3, 1),
                Schemes.of("tsp", 4, 1),
                Schemes.of("tp", 2, 1),
                Schemes.of("tp+sp:2x2", 4, 1),
                Schemes.of("fsdp+sp", 4, 1),
                Schemes.of("tsp", 2, 2));
    }

    /** A microbatch of the fixture. */
    private static TokenBatch batch() {
        TokenBatch all = fixture.tokens();
        int end = 4 * all.seq();
        return new TokenBatch(
                4,
                all.seq(),
                Arrays.copyOf(all.ids(), end),
                Arrays.copyOf(all.labels(), end),
                Arrays.copyOf(all.positions(), end),
                Arrays.copyOf(all.kvStart(), end));
    }

    /** Loads under a scheme, trains for some steps, saves. */
    private static Path save(Scheme scheme, TrainingRunner.Start start, int steps, String name) {
        TrainingPlan plan = TrainingPlan.of(
                scheme,
                new TrainingRequest(
                        ForwardPlan.request(config, DType.BF16, batch(), false),
                        1,
                        Recompute.SELECTIVE,
                        DType.F32,
                        true,
                        false));
        try (Ranks ranks = new Ranks(libraries, plan.ranks());
                TrainingRunner runner = TrainingRunner.open(ranks, plan, start, Session.Mode.OVERLAPPED, unused -> {});
                CheckpointStore store = CheckpointStore.open(folder.resolve(name), 1);
                CheckpointSaver saver = new CheckpointSaver(
                        new Trainer.Saving(
                                store, Map.of(ConfigWriter.NAME, ConfigWriter.write(config, DType.F32)), DEADLINE),
                        runner)) {
            for (int step = 1; step <= steps; step++) {
                runner.step(List.of(batch()), SETTINGS, step);
            }
            saver.save(new CheckpointInfo(2, scheme.name(), plan.ranks(), DType.BF16, DType.F32, new TreeMap<>()));
            saver.await();
            return store.newest().orElseThrow();
        }
    }

    private static TrainingRunner.Start start(Checkpoint checkpoint) {
        return new TrainingRunner.Start(
                checkpoint.source(Kind.PARAMETER), checkpoint.source(Kind.FIRST), checkpoint.source(Kind.SECOND));
    }

    private static Path again(Path from, Scheme scheme, String name) {
        try (Checkpoint checkpoint = Checkpoint.open(from)) {
            return save(scheme, start(checkpoint), 0, name);
        }
    }

    /** Of every value of one kind, whatever files they are in. */
    private static String digest(Path directory, Kind kind) {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            WeightSource source = checkpoint.source(kind);
            WeightShapes.of(config).forEach((weight, shape) -> digest.update(values(source, weight, shape)));
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ByteBuffer values(WeightSource source, String weight, Shape shape) {
        long columns = shape.rank() == 1 ? 1 : shape.dim(1);
        ByteBuffer values = ByteBuffer.allocate(Math.toIntExact(shape.count() * Float.BYTES))
                .order(ByteOrder.LITTLE_ENDIAN);
        source.read(weight, 0, shape.dim(0), 0, columns, DType.F32, values);
        return values.flip();
    }

    private static void assertSame(Path expected, Path actual, String what) {
        for (Kind kind : Kind.values()) {
            assertEquals(digest(expected, kind), digest(actual, kind), what + ", " + kind);
        }
    }

    private static String name(Scheme scheme) {
        return scheme.name().replace(':', '-') + "-of-" + scheme.mesh().worldSize();
    }

    @ParameterizedTest
    @MethodSource("schemes")
    void isTheSameUnderEveryScheme(Scheme scheme) {
        assertNotEquals(digest(trained, Kind.FIRST), digest(trained, Kind.SECOND));
        assertSame(trained, again(trained, scheme, "once-" + name(scheme)), scheme.name());
    }

    @Tag("long")
    @ParameterizedTest
    @MethodSource("schemes")
    void isTheSameFromEverySchemeToEveryOther(Scheme from) {
        Path first = again(trained, from, "from-" + name(from));
        schemes()
                .forEach(to -> assertSame(
                        trained,
                        again(first, to, "from-" + name(from) + "-to-" + name(to)),
                        from.name() + " to " + to.name()));
    }

    /** Files made without running anything are those that the ranks themselves write. */
    @ParameterizedTest
    @MethodSource("schemes")
    void reshardingWritesWhatTheRanksWrite(Scheme scheme) throws IOException {
        Path loaded = again(trained, scheme, "loaded-" + name(scheme));
        Path target = folder.resolve("resharded-" + name(scheme));
        try (Checkpoint checkpoint = Checkpoint.open(trained);
                CheckpointStore store = CheckpointStore.open(target, 1)) {
            TrainingRunner.Start start = start(checkpoint);
            new Resharding(config, start.weights(), start.first(), start.second())
                    .save(
                            store,
                            scheme,
                            2,
                            DType.BF16,
                            DType.F32,
                            new TreeMap<>(),
                            Map.of(ConfigWriter.NAME, ConfigWriter.write(config, DType.F32)));
            Path resharded = store.newest().orElseThrow();
            try (Stream<Path> files = Files.list(loaded)) {
                for (Path file : files.toList()) {
                    assertEquals(-1, Files.mismatch(file, resharded.resolve(file.getFileName())), file.toString());
                }
            }
        }
    }
}
