package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.checkpoint.StorageException;
import io.tsp.comm.CommunicationException;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.device.DeadlineException;
import io.tsp.device.Device;
import io.tsp.ffm.GpuException;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.ffm.Status;
import io.tsp.model.ModelException;
import io.tsp.program.VerificationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that a script cannot tell from the exit code what went wrong, or a user from the one sentence. */
class ExitCodeTest {
    private static final String NOTHING = "nothing/here";

    @TempDir
    private static Path folder;

    private record Bad(ExitCode code, String words, List<Object> args) {
        static Bad of(ExitCode code, String words, Object... args) {
            return new Bad(code, words, Arrays.asList(args));
        }
    }

    @TestFactory
    Stream<DynamicTest> badInputsAreOneSentenceAndACode() throws IOException {
        List<Bad> bad = new ArrayList<>();
        addUsage(bad);
        addLayouts(bad);
        addModels(bad);
        addTokens(bad);
        addOutputs(bad);
        return bad.stream()
                .map(input -> DynamicTest.dynamicTest(input.code + " " + input.args, () -> {
                    Cli cli = Cli.run(input.args.toArray());
                    assertEquals(input.code.code(), cli.code(), cli.err());
                    assertTrue(cli.err().contains(input.words), cli.err());
                    assertTrue(
                            cli.err().startsWith("tsp: ") && cli.err().lines().count() == 1, cli.err());
                    assertFalse(cli.err().contains("Exception"), cli.err());
                }));
    }

    private static Object[] tiny(Object... more) throws IOException {
        Path text = Files.writeString(folder.resolve("text"), "some text");
        return Stream.concat(Stream.of("eval", "--preset", "tiny", "--text", text), Stream.of(more))
                .toArray();
    }

    private static void addUsage(List<Bad> bad) throws IOException {
        bad.add(Bad.of(ExitCode.USAGE, "no verb is given"));
        bad.add(Bad.of(ExitCode.USAGE, "there is no verb evel", "evel"));
        bad.add(Bad.of(ExitCode.USAGE, "did you mean --model", "eval", "--modle", "x"));
        bad.add(Bad.of(ExitCode.USAGE, "nothing to do with x", "doctor", "x"));
        bad.add(Bad.of(ExitCode.USAGE, "no model is named", "eval"));
        bad.add(Bad.of(ExitCode.USAGE, "there is nothing to read", "eval", "--preset", "tiny"));
        bad.add(Bad.of(ExitCode.USAGE, "there is no preset \"x\"", "eval", "--preset", "x"));
        bad.add(Bad.of(ExitCode.USAGE, "give only one", "eval", "--preset", "tiny", "--model", "x"));
        bad.add(Bad.of(ExitCode.USAGE, "give only one", "eval", "--seed", "1", "--model", "x"));
        bad.add(Bad.of(ExitCode.USAGE, "is not an int", tiny("--degree", "x")));
        bad.add(Bad.of(ExitCode.USAGE, "--batch must be 1 or more", tiny("--batch", "0")));
        bad.add(Bad.of(ExitCode.USAGE, "--seq must be 1 or more", tiny("--seq", "-3")));
        bad.add(Bad.of(ExitCode.USAGE, "more than 2^30 tokens", tiny("--batch", "100000", "--seq", "100000")));
        bad.add(Bad.of(ExitCode.USAGE, "--threads must be", tiny("--threads", "0")));
        bad.add(Bad.of(ExitCode.USAGE, "--deadline must be", tiny("--deadline", "0")));
        bad.add(Bad.of(ExitCode.USAGE, "--dtype is f32 or bf16", tiny("--dtype", "f16")));
        bad.add(Bad.of(ExitCode.USAGE, "--device is cpu, cuda or sim:PROFILE", tiny("--device", "tpu")));
        bad.add(Bad.of(ExitCode.USAGE, "--mode is forward or train", "compare", "--mode", "infer"));
        bad.add(Bad.of(ExitCode.USAGE, "add --mode train", "compare", "--recompute", "full"));
        bad.add(Bad.of(ExitCode.USAGE, "add --mode train", "compare", "--shard-optimizer"));
        bad.add(Bad.of(ExitCode.USAGE, "selective or full", "compare", "--mode", "train", "--recompute", "some"));
        bad.add(Bad.of(ExitCode.USAGE, "--repeat must be", "compare", "--repeat", "0"));
        bad.add(Bad.of(ExitCode.LIBRARY, "no kernels for --device hip", tiny("--device", "hip")));
        bad.add(Bad.of(
                ExitCode.USAGE, "works with compare, plan and train --steps 1 only", tiny("--device", "sim:h100")));
        bad.add(Bad.of(ExitCode.MODEL_CONFIG, "no hardware profile \"x\"", "compare", "--device", "sim:x"));
        bad.add(Bad.of(ExitCode.USAGE, "no tokens are read", "compare", "--device", "sim:h100", "--text", "x"));
        bad.add(Bad.of(ExitCode.MODEL_CONFIG, "no hardware profile \"x\"", "plan", "--device", "sim:x"));
        bad.add(Bad.of(ExitCode.USAGE, "of plan is described hardware", "plan", "--device", "cuda"));
        bad.add(Bad.of(ExitCode.USAGE, "--mode is train or forward", "plan", "--device", "sim:h100", "--mode", "run"));
        bad.add(Bad.of(
                ExitCode.USAGE,
                "leave it out with --mode forward",
                "plan",
                "--device",
                "sim:h100",
                "--mode",
                "forward",
                "--accumulate",
                "2"));
        bad.add(Bad.of(
                ExitCode.USAGE,
                "a multiple of --ranks divided by a degree",
                "plan",
                "--device",
                "sim:h100",
                "--ranks",
                "1021",
                "--batch",
                "5"));
        bad.add(Bad.of(ExitCode.USAGE, "more than the 1048576", "plan", "--device", "sim:h100", "--ranks", "2000000"));
        bad.add(Bad.of(
                ExitCode.USAGE, "give --steps 1", "train", "--preset", "tiny", "--device", "sim:h100", "--steps", "2"));
    }

    private static void addLayouts(List<Bad> bad) throws IOException {
        bad.add(Bad.of(ExitCode.USAGE, "there is no scheme mesh", tiny("--scheme", "mesh")));
        bad.add(Bad.of(ExitCode.USAGE, "there is no scheme x", "compare", "--schemes", "tsp,x"));
        bad.add(Bad.of(ExitCode.USAGE, "not 4", tiny("--scheme", "single", "--degree", "4")));
        bad.add(Bad.of(ExitCode.USAGE, "not 3", tiny("--scheme", "tp+sp:2x2", "--degree", "3")));
        bad.add(Bad.of(ExitCode.USAGE, "--degree must be", tiny("--scheme", "tsp", "--degree", "0")));
        bad.add(Bad.of(ExitCode.USAGE, "--dp must be", tiny("--dp", "0")));
        bad.add(Bad.of(ExitCode.USAGE, "--ranks 5 is not", tiny("--scheme", "tsp", "--degree", "2", "--ranks", "5")));
        bad.add(Bad.of(ExitCode.USAGE, "more than the 1024", tiny("--scheme", "tsp", "--degree", "2000")));
    }

    private static void addModels(List<Bad> bad) throws IOException {
        Path tokens = Cli.FIXTURES.resolve("llama2/oracle/s17.safetensors");
        Path noConfig = Files.createDirectories(folder.resolve("no-config"));
        Path badConfig = Files.createDirectories(folder.resolve("bad-config"));
        Files.writeString(badConfig.resolve("config.json"), "{");
        Path noWeights = Files.createDirectories(folder.resolve("no-weights"));
        Files.copy(Cli.FIXTURES.resolve("llama2/config.json"), noWeights.resolve("config.json"));
        Path badWeights = Files.createDirectories(folder.resolve("bad-weights"));
        Files.copy(Cli.FIXTURES.resolve("llama2/config.json"), badWeights.resolve("config.json"));
        Files.writeString(badWeights.resolve("model.safetensors"), "these are no weights");
        Path otherWeights = Files.createDirectories(folder.resolve("other-weights"));
        Files.copy(Cli.FIXTURES.resolve("llama2/config.json"), otherWeights.resolve("config.json"));
        Files.copy(Cli.FIXTURES.resolve("qwen3/model.safetensors"), otherWeights.resolve("model.safetensors"));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "is not a directory", "eval", "--model", NOTHING, "--tokens", tokens));
        bad.add(Bad.of(ExitCode.MODEL_CONFIG, "config.json", "eval", "--model", noConfig, "--tokens", tokens));
        bad.add(Bad.of(ExitCode.MODEL_CONFIG, "not valid JSON", "eval", "--model", badConfig, "--tokens", tokens));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "model.safetensors", "eval", "--model", noWeights, "--tokens", tokens));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "byte 0", "eval", "--model", badWeights, "--tokens", tokens));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "do not fit", "eval", "--model", otherWeights, "--tokens", tokens));
    }

    private static void addTokens(List<Bad> bad) throws IOException {
        Path model = Cli.FIXTURES.resolve("llama2");
        Path tokens = model.resolve("oracle/s17.safetensors");
        Path empty = Files.createFile(folder.resolve("empty"));
        Path binary = Files.write(folder.resolve("binary"), new byte[] {(byte) 0xff, (byte) 0xfe});
        Path other = Cli.FIXTURES.resolve("odd/oracle/s17.safetensors");
        bad.add(Bad.of(ExitCode.USAGE, "give only one", "eval", "--model", model, "--tokens", tokens, "--text", empty));
        bad.add(Bad.of(ExitCode.USAGE, "leave out --seq", "eval", "--model", model, "--tokens", tokens, "--seq", 4));
        bad.add(Bad.of(ExitCode.MODEL_FILE, NOTHING, "eval", "--model", model, "--tokens", NOTHING));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "vocabulary of 97", "eval", "--model", model, "--text", empty));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "0 to 96", "eval", "--model", model, "--tokens", other));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "no tokens", "eval", "--preset", "tiny", "--text", empty));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "UTF-8", "eval", "--preset", "tiny", "--text", binary));
        bad.add(Bad.of(ExitCode.MODEL_FILE, "no file", "compare", "--text", NOTHING));
    }

    private static void addOutputs(List<Bad> bad) throws IOException {
        bad.add(Bad.of(ExitCode.STORAGE, "no folder", tiny("--json", "/nothing/here.json")));
        bad.add(Bad.of(ExitCode.STORAGE, "no folder", tiny("--trace", "/nothing/here.json")));
        bad.add(Bad.of(ExitCode.STORAGE, "/nothing/here", tiny("--logits", "/nothing/here.safetensors")));
        bad.add(Bad.of(ExitCode.STORAGE, "No space left", tiny("--json", "/dev/full")));
        bad.add(Bad.of(ExitCode.USAGE, "is not a file", tiny("--logits", "/dev/full")));
        bad.add(Bad.of(ExitCode.STORAGE, "no folder", "doctor", "--json", "/nothing/here.json"));
    }

    @Test
    void aLauncherCannotRunCompare() {
        Map<String, String> launched = Map.of("OMPI_COMM_WORLD_SIZE", "3", "OMPI_COMM_WORLD_RANK", "1");
        Cli cli = Cli.in(launched, "compare");
        assertEquals(ExitCode.USAGE.code(), cli.code());
        assertTrue(cli.err().startsWith("tsp rank 1: compare makes all ranks in this process"), cli.err());
    }

    @Test
    void ranksOnGpusMustKnowWhereToMeet() throws IOException {
        Map<String, String> launched = Map.of("OMPI_COMM_WORLD_SIZE", "3", "OMPI_COMM_WORLD_RANK", "1");
        Cli cli = Cli.in(launched, tiny("--device", "cuda"));
        assertEquals(ExitCode.USAGE.code(), cli.code());
        assertTrue(cli.err().contains("set TSP_RENDEZVOUS=host:port"), cli.err());
        assertEquals(1, cli.err().lines().count(), cli.err());
    }

    @Test
    void aLauncherThatSaysTooLittleIsOneSentence() throws IOException {
        Cli cli = Cli.in(Map.of("OMPI_COMM_WORLD_SIZE", "3"), tiny());
        assertEquals(ExitCode.USAGE.code(), cli.code());
        assertTrue(cli.err().contains("OMPI_COMM_WORLD_RANK does not say which one this is"), cli.err());
        assertEquals(1, cli.err().lines().count(), cli.err());
    }

    @Test
    void torchrunStartsNoRanksOnCpus() throws IOException {
        Cli cli = Cli.in(Map.of("RANK", "1", "WORLD_SIZE", "2"), tiny("--scheme", "tsp"));
        assertEquals(ExitCode.USAGE.code(), cli.code());
        assertTrue(cli.err().startsWith("tsp rank 1: torchrun starts ranks on GPUs"), cli.err());
    }

    @Test
    void withoutTheLibraryOfGpusItIsOneSentence() throws IOException {
        for (String verb : List.of("eval", "compare")) {
            Object[] args = verb.equals("eval") ? tiny("--device", "cuda") : new Object[] {verb, "--device", "cuda"};
            Cli cli = Cli.in(Map.of("TSP_CUDART_LIBRARY", NOTHING), args);
            assertEquals(ExitCode.LIBRARY.code(), cli.code());
            assertTrue(cli.err().contains("TSP_CUDART_LIBRARY names " + NOTHING), cli.err());
            assertEquals(1, cli.err().lines().count(), cli.err());
        }
    }

    @Test
    void debugShowsWhereAnErrorCameFrom() {
        Cli cli = Cli.run("eval", "--model", NOTHING, "--tokens", NOTHING, "--debug");
        assertEquals(ExitCode.MODEL_FILE.code(), cli.code());
        assertTrue(cli.err().contains("\tat io.tsp.checkpoint."), cli.err());
    }

    @Test
    void exceptionsHaveTheCodesOfTheDesign() {
        assertEquals(65, code(new ModelException(ModelException.Part.FILE, "x")));
        assertEquals(66, code(new ModelException(ModelException.Part.CONFIG, "x")));
        assertEquals(70, code(new VerificationException("x")));
        assertEquals(70, code(new IllegalStateException("x")));
        assertEquals(70, code(new OutOfMemoryError("x")));
        assertEquals(70, code(new NativeException(Status.INVALID_ARGUMENT, "f", "x")));
        assertEquals(70, code(new GpuException("CUDA", "f", "x", "c", 700)));
        assertEquals(71, code(new CommunicationException("x")));
        assertEquals(72, code(new DeadlineException("x")));
        assertEquals(73, code(new RanksDisagreeException("x")));
        assertEquals(74, code(new StorageException("x", new IOException("x"))));
        assertEquals(77, code(new NativeLibraryException("x")));
        assertEquals(77, code(new NativeException(Status.UNSUPPORTED, "f", "x")));
        assertEquals(77, code(new NativeException(Status.ABI_MISMATCH, "f", "x")));
        assertEquals(2, code(new Device.OutOfMemoryException("x")));
    }

    /** A step fails with a cause that says more than that it failed. */
    @Test
    void theCauseDecidesAndTheFailedStepIsNamed() {
        Failure failure = Failure.of(new IllegalStateException("rank 2, step #7", new DeadlineException("late")));
        assertEquals(new Failure(ExitCode.DEADLINE, "rank 2, step #7"), failure);
        GpuException gpu = new GpuException("CUDA", "f", "x", "c", 700);
        assertEquals(
                new Failure(ExitCode.INTERNAL, "rank 2, step #7"),
                Failure.of(new IllegalStateException("rank 2, step #7", new IllegalStateException("x", gpu))));
    }

    private static int code(Throwable thrown) {
        return Failure.of(thrown).code().code();
    }
}
