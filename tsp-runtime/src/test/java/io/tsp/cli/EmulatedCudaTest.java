package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that {@code --device cuda} is lost somewhere between the command line and the kernels. */
class EmulatedCudaTest {
    private static final int DEADLINE_SECONDS = 300;

    @TempDir
    private Path folder;

    /** What a command printed and with which code it ended. */
    private record Ended(int code, String text) {}

    private Ended tsp(Map<String, String> environment, Object... arguments) throws Exception {
        assumeTrue(System.getProperty("os.arch").equals("amd64"), "the emulator of CUDA needs x86-64");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--illegal-native-access=deny",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                "io.tsp.cli.Main"));
        for (Object argument : arguments) {
            command.add(argument.toString());
        }
        Path output = folder.resolve("output");
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
        builder.environment().putAll(emulator());
        builder.environment().putAll(environment);
        Process process = builder.start();
        boolean ended = process.waitFor(DEADLINE_SECONDS, TimeUnit.SECONDS);
        process.destroyForcibly();
        String text = Files.readString(output);
        assertTrue(ended, () -> "still running after " + DEADLINE_SECONDS + " s: " + text);
        return new Ended(process.exitValue(), text);
    }

    /** The emulator stands where NVIDIA's libraries are looked for, and its kernels where ours are. */
    private static Map<String, String> emulator() {
        Path emulator = Path.of(System.getProperty("tsp.emulator.dir"));
        String cuda = emulator.resolve("libtsp_cuda_emulator.so").toString();
        return Map.of(
                "TSP_NATIVE_DIR",
                emulator.resolve("native").toString(),
                "TSP_CUDART_LIBRARY",
                cuda,
                "TSP_CUBLASLT_LIBRARY",
                cuda,
                "TSP_EMULATED_GPUS",
                "2");
    }

    @Test
    void everySchemeAgreesWithSingle() throws Exception {
        Path json = folder.resolve("compare.json");
        Ended compare = tsp(
                Map.of(), "compare", "--device", "cuda", "--degree", 2, "--seq", 101, "--repeat", 1, "--json", json);
        assertEquals(0, compare.code, compare.text);
        assertTrue(compare.text.contains("CUDA emulator on this CPU"), compare.text);
        Map<String, Object> document = Cli.json(json);
        assertTrue(((String) document.get("device")).startsWith("cuda CUDA emulator on this CPU"), document.toString());
        List<?> schemes = (List<?>) document.get("schemes");
        assertEquals(7, schemes.size(), document.toString());
        for (Object entry : schemes) {
            Map<?, ?> scheme = (Map<?, ?>) entry;
            assertEquals("ok", scheme.get("status"), scheme.toString());
            assertTrue((double) scheme.get("maxError") <= 1e-5, scheme.toString());
        }
    }

    @Test
    void trainsEachOpByItself() throws Exception {
        Ended compare = tsp(
                Map.of(),
                "compare",
                "--device",
                "cuda",
                "--mode",
                "train",
                "--schemes",
                "tsp",
                "--degree",
                2,
                "--seq",
                37,
                "--repeat",
                1,
                "--sync-check");
        assertEquals(0, compare.code, compare.text);
    }

    @Test
    void aGpuWithTooLittleMemoryIsNamed() throws Exception {
        Ended compare =
                tsp(Map.of("TSP_EMULATED_MIB", "2"), "compare", "--device", "cuda", "--seq", 4096, "--schemes", "tsp");
        assertEquals(2, compare.code, compare.text);
        assertTrue(compare.text.contains("memory"), compare.text);
        assertFalse(compare.text.contains("Exception"), compare.text);
    }

    @Test
    void noGpuIsOneSentence() throws Exception {
        Ended compare = tsp(Map.of("TSP_EMULATED_GPUS", "0"), "compare", "--device", "cuda");
        assertEquals(77, compare.code, compare.text);
        assertEquals(1, compare.text.lines().count(), compare.text);
    }
}
