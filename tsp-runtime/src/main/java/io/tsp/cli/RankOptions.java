package io.tsp.cli;

import io.tsp.cost.HardwareProfile;
import io.tsp.scheme.Scheme;
import java.time.Duration;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How many ranks there are and what they run on. */
final class RankOptions {
    private static final String CPU = "cpu";
    private static final String CUDA = "cuda";

    private static final int MAX_RANKS = 1024;

    @Mixin
    private final DegreeOptions degrees = new DegreeOptions();

    @Option(
            names = "--ranks",
            paramLabel = "N",
            description =
                    "All ranks: degree times dp. Only checked; by default what they make, or what the launcher says.")
    private @Nullable Integer ranks;

    @Option(
            names = "--device",
            paramLabel = "KIND",
            description =
                    "What ranks compute on: cpu, or cuda for NVIDIA GPUs, over which ranks are dealt in turn; with a"
                            + " launcher each process has one; or sim:PROFILE for simulated time on described hardware"
                            + " (mi300x, mi300x-sdma, h100, h200, zen5-2core, or a JSON file). Default: cpu.")
    private String device = CPU;

    @Option(
            names = "--sync-check",
            description = "Wait for each op on a GPU before the next one, so that a failure names its op. Slow.")
    private boolean syncCheck;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "CPU threads over all ranks. Default: the processors of this machine.")
    private @Nullable Integer threads;

    @Option(
            names = "--deadline",
            paramLabel = "SECONDS",
            description = "The longest wait for a peer, or for a whole step. Default: 600.")
    private int deadline = 600;

    /** Refuses what this version cannot do. */
    void requireSupported() {
        if (isSimulated()) {
            throw new UsageException("in simulated time nothing is computed, so --device " + device
                    + " works with compare, plan and train --steps 1 only");
        }
        requireValid();
    }

    /** Refuses devices that this version does not know, and numbers that are none. */
    private void requireValid() {
        if (device.equals("hip")) {
            throw new UnsupportedDeviceException(device);
        } else if (!device.equals(CPU) && !device.equals(CUDA) && !isSimulated()) {
            throw new UsageException("--device is cpu, cuda or sim:PROFILE, not " + device);
        }
        UsageException.positive("--threads", threads());
        UsageException.positive("--deadline", deadline);
        degrees.requirePositive();
    }

    /** Loads what ranks compute with. */
    Hardware openHardware(Map<String, String> environment) {
        return isOnCpu() ? CpuHardware.open() : openCuda(environment);
    }

    /** Loads what ranks on NVIDIA's GPUs compute with. */
    CudaHardware openCuda(Map<String, String> environment) {
        return CudaHardware.open(environment, syncCheck);
    }

    /** Whether ranks are to be run in simulated time. */
    boolean isSimulated() {
        return SimulatedDevice.is(device);
    }

    /** The hardware to be simulated. */
    HardwareProfile profile() {
        requireValid();
        return SimulatedDevice.profile(device);
    }

    boolean isOnCpu() {
        return device.equals(CPU);
    }

    int dp() {
        return degrees.dp();
    }

    int threads() {
        return threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    }

    Duration deadline() {
        return Duration.ofSeconds(deadline);
    }

    /** Ranks of one copy of the model, if the scheme does not say it itself. */
    int degree(Map<String, String> environment) {
        OptionalInt launched = Clusters.launchedRanks(environment);
        boolean known = ranks != null || launched.isPresent();
        int world = ranks == null ? launched.orElse(1) : ranks;
        return degrees.degree(known ? Math.max(1, world / dp()) : DegreeOptions.DEFAULT);
    }

    /** The scheme of a name. */
    Scheme scheme(String name, Map<String, String> environment) {
        return degrees.scheme(name, degree(environment));
    }

    /** Refuses a number of ranks that is not the one announced. */
    void requireRanks(int made) {
        if (ranks != null && ranks != made) {
            throw new UsageException("--ranks " + ranks + " is not what degree and --dp make, which is " + made
                    + "; leave it out or correct one of them");
        }
        if (made > MAX_RANKS && !isSimulated()) {
            throw new UsageException(made + " ranks are more than the " + MAX_RANKS + " that a run can have");
        }
    }
}
