package io.tsp.parity;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** What the ranks of tests compute with; as a static extension of a test class, closed behind its last test. */
public interface Libraries extends AutoCloseable, AfterAllCallback {
    /** Property that says what tests run on: {@code cpu}, the default, or {@code cuda}. */
    String DEVICE = "tsp.test.device";

    /**
     * Those of the device that the tests run on.
     *
     * @param isa of the CPU's kernels; null for the best
     * @throws io.tsp.ffm.NativeException if the processor lacks it
     */
    static Libraries load(@Nullable String isa) {
        String device = System.getProperty(DEVICE, "cpu");
        return switch (device) {
            case "cpu" -> HostLibraries.load(isa);
            case "cuda" -> CudaLibraries.installed();
            default -> throw new IllegalArgumentException(DEVICE + " is cpu or cuda, not " + device);
        };
    }

    /** Whether tests run on NVIDIA GPUs. */
    static boolean onGpus() {
        return !System.getProperty(DEVICE, "cpu").equals("cpu");
    }

    /**
     * CUDA and the kernels for GPUs, as the emulator of this build executes them on the CPU.
     *
     * @param isa of the kernels, such as {@code sm_80}
     */
    static Libraries emulated(String isa) {
        String folder = Objects.requireNonNull(
                System.getProperty("tsp.emulator.dir"),
                "no property tsp.emulator.dir, the folder that scripts/build-native --only emulator makes");
        return CudaLibraries.emulated(Path.of(folder), isa);
    }

    /** Devices for some ranks that belong together. */
    Devices devices(int count);

    /** The longest wait for a peer. */
    default Duration deadline() {
        return Duration.ofSeconds(30);
    }

    @Override
    void close();

    @Override
    default void afterAll(ExtensionContext context) {
        close();
    }
}
