package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tsp.launch.Pace;
import io.tsp.launch.Place;
import io.tsp.launch.Rendezvous;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Ranks of a launcher on emulated GPUs. They are threads here, each with an environment of its own, since the emulator of
 * NCCL does not reach other processes. A failure means that they compute something else than ranks of one process, or that
 * one that is alone does not say so.
 */
class NcclLaunchTest {
    private static final String NATIVE = "tsp.native.dir";
    private static final int PATIENCE_SECONDS = 240;
    private static final Path MODEL = Cli.FIXTURES.resolve("llama3");

    @TempDir
    private Path folder;

    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Map<String, String> environment = new HashMap<>();
    private Place place;

    @BeforeEach
    void useEmulator() throws IOException {
        Path emulator = Path.of(System.getProperty("tsp.emulator.dir", "/nowhere"));
        Path library = emulator.resolve("libtsp_cuda_emulator.so");
        assumeTrue(Files.exists(library), "skipped: tsp.emulator.dir names no folder with an emulator of CUDA");
        Path libraries = Files.createDirectory(folder.resolve("native"));
        Files.createSymbolicLink(
                libraries.resolve("libtsp_kernels_cuda.so"), emulator.resolve("libtsp_kernels_cuda_emulated.so"));
        System.setProperty(NATIVE, libraries.toString());
        for (String name : List.of("TSP_CUDART_LIBRARY", "TSP_CUBLASLT_LIBRARY", "TSP_NCCL_LIBRARY")) {
            environment.put(name, library.toString());
        }
        try (ServerSocket free = new ServerSocket(0)) {
            place = new Place("127.0.0.1", free.getLocalPort(), "");
        }
    }

    @AfterEach
    void end() {
        System.clearProperty(NATIVE);
        threads.shutdownNow();
    }

    private Future<Cli> start(int rank, int size, Object... arguments) {
        Map<String, String> launched = new HashMap<>(environment);
        launched.put("RANK", String.valueOf(rank));
        launched.put("WORLD_SIZE", String.valueOf(size));
        launched.put("LOCAL_RANK", String.valueOf(rank));
        launched.put("TSP_RENDEZVOUS", place.toString());
        return threads.submit(() -> Cli.in(launched, arguments));
    }

    private static Cli end(Future<Cli> running) throws Exception {
        return running.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    }

    private static Object[] eval(String scheme, int ranks, Object... more) {
        List<Object> arguments = new ArrayList<>(List.of(
                "eval", "--device", "cuda", "--model", MODEL, "--tokens", MODEL.resolve("oracle/s17.safetensors")));
        arguments.addAll(List.of("--scheme", scheme, "--degree", ranks));
        arguments.addAll(List.of(more));
        return arguments.toArray();
    }

    @ParameterizedTest
    @CsvSource({"tsp, 3, f32", "tsp, 2, bf16", "tp, 2, bf16", "tp+sp:2x2, 4, f32", "fsdp+sp, 3, f32", "ulysses, 2, f32"
    })
    void processesGiveTheBitsOfThreads(String scheme, int ranks, String dtype) throws Exception {
        Path apart = folder.resolve("apart.safetensors");
        Path together = folder.resolve("together.safetensors");
        List<Future<Cli>> running = new ArrayList<>();
        for (int rank = 0; rank < ranks; rank++) {
            running.add(start(rank, ranks, eval(scheme, ranks, "--dtype", dtype, "--logits", apart)));
        }
        for (int rank = 0; rank < ranks; rank++) {
            Cli cli = end(running.get(rank));
            assertEquals(0, cli.code(), cli.err());
            assertEquals(rank == 0, !cli.out().isEmpty(), cli.out());
        }
        Cli one = Cli.in(environment, eval(scheme, ranks, "--dtype", dtype, "--logits", together));
        assertEquals(0, one.code(), one.err());
        assertArrayEquals(Files.readAllBytes(together), Files.readAllBytes(apart));
    }

    @Test
    void trainingInProcessesGivesTheBitsOfTrainingInThreads() throws Exception {
        Path text = folder.resolve("text.txt");
        Files.writeString(
                text, "All ranks read the same text, and none reads more of it than the others.\n".repeat(40));
        List<Object> train =
                List.of("train", "--device", "cuda", "--model", MODEL.resolveSibling("text"), "--data", text);
        List<Object> size = List.of("--seq", 24, "--batch", 4, "--steps", 2, "--scheme", "tsp", "--degree", 2, "--out");
        Path apart = folder.resolve("apart");
        Path together = folder.resolve("together");
        List<Future<Cli>> running = new ArrayList<>();
        for (int rank = 0; rank < 2; rank++) {
            running.add(start(
                    rank,
                    2,
                    Stream.of(train, size, List.of(apart)).flatMap(List::stream).toArray()));
        }
        for (Future<Cli> rank : running) {
            Cli cli = end(rank);
            assertEquals(0, cli.code(), cli.err());
        }
        Cli one = Cli.in(
                environment,
                Stream.of(train, size, List.of(together)).flatMap(List::stream).toArray());
        assertEquals(0, one.code(), one.err());
        for (String name : List.of("manifest.json", "rank-00000.safetensors", "rank-00001.safetensors")) {
            Path expected = together.resolve("step-000002").resolve(name);
            assertEquals(
                    -1, Files.mismatch(expected, apart.resolve("step-000002").resolve(name)), name);
        }
    }

    @Test
    void ranksWithOtherProgramsAreNamed() throws Exception {
        Future<Cli> zero = start(0, 2, eval("tsp", 2));
        Future<Cli> one = start(1, 2, eval("tp", 2));
        for (Future<Cli> rank : List.of(zero, one)) {
            Cli cli = end(rank);
            assertEquals(ExitCode.RANKS_DISAGREE.code(), cli.code(), cli.err());
            assertTrue(cli.err().contains("built other programs than rank"), cli.err());
        }
    }

    @Test
    void aRankThatDoesNotComeIsNamed() throws Exception {
        Cli cli = end(start(0, 3, eval("tsp", 3, "--deadline", 1)));
        assertEquals(ExitCode.DEADLINE.code(), cli.code(), cli.err());
        assertTrue(cli.err().startsWith("tsp rank 0: rank [1, 2] did not come to rank 0 at 127.0.0.1:"), cli.err());
        assertEquals(1, cli.err().lines().count(), cli.err());
    }

    @Test
    void aRankThatFailsIsNamed() throws Exception {
        Future<Cli> zero = start(0, 2, eval("tsp", 2));
        try (Rendezvous one = Rendezvous.join(place, 1, 2, Pace.of(Duration.ofSeconds(60)))) {
            one.fail("out of memory");
            Cli cli = end(zero);
            assertEquals(ExitCode.PEER_LOST.code(), cli.code(), cli.err());
            assertTrue(cli.err().matches("(?s)tsp rank 0: rank 1 on .* failed: out of memory\\n"), cli.err());
        }
    }

    @Test
    void ranksThatAreNotAsManyAsTheOptionsMakeAreRefused() throws Exception {
        Future<Cli> zero = start(0, 2, eval("tsp", 3));
        Future<Cli> one = start(1, 2, eval("tsp", 3));
        for (Future<Cli> rank : List.of(zero, one)) {
            Cli cli = end(rank);
            assertTrue(cli.code() == ExitCode.USAGE.code() || cli.code() == ExitCode.PEER_LOST.code(), cli.err());
            assertTrue(cli.err().contains("these options make 3 ranks, but the launcher has started 2"), cli.err());
        }
    }

    @Test
    void aMissingLibraryIsOneSentence() throws Exception {
        environment.put("TSP_NCCL_LIBRARY", "/nothing/here");
        for (Future<Cli> rank : List.of(start(0, 2, eval("tsp", 2)), start(1, 2, eval("tsp", 2)))) {
            Cli cli = end(rank);
            assertTrue(cli.code() == ExitCode.LIBRARY.code() || cli.code() == ExitCode.PEER_LOST.code(), cli.err());
            assertTrue(cli.err().contains("TSP_NCCL_LIBRARY names /nothing/here"), cli.err());
        }
    }
}
