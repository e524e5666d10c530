package io.tsp.cli;

import io.tsp.ffm.CublasLt;
import io.tsp.ffm.CudaRuntime;
import io.tsp.ffm.GpuException;
import io.tsp.ffm.GpuLibraries;
import io.tsp.ffm.GpuLibrary;
import io.tsp.ffm.GpuProperties;
import io.tsp.ffm.GpuRuntime;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.ffm.Nccl;
import io.tsp.report.DoctorReport.Finding;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** NVIDIA's libraries, loaded as a run loads them, and what they say about the GPUs. Nothing here is an error: CPUs do. */
final class NvidiaChecks {
    private static final String DEFAULT_QUEUES = "8";

    private final Map<String, String> environment;
    private final GpuLibraries libraries;
    private final List<Finding> findings = new ArrayList<>();
    private final List<String> missing = new ArrayList<>();

    /** @param root where the file system is */
    NvidiaChecks(Map<String, String> environment, Path root) {
        this.environment = environment;
        this.libraries = new GpuLibraries(environment, root, NvidiaChecks.class.getClassLoader());
    }

    List<Finding> findings() {
        library("CUDA runtime", GpuLibrary.CUDART, this::runtime);
        library("cuBLASLt", GpuLibrary.CUBLASLT, CublasLt::version);
        library("NCCL", GpuLibrary.NCCL, file -> Nccl.open(file).version());
        kernels();
        queues();
        modules();
        findings.add(
                missing.isEmpty()
                        ? Finding.ok("--device cuda", "everything that it needs is here")
                        : Finding.note("--device cuda", "cannot be used: no " + String.join(", no ", missing), ""));
        return findings;
    }

    /** @param version loads the file and tells its version */
    private void library(String name, GpuLibrary library, Function<Path, String> version) {
        Path file;
        try {
            file = libraries.find(library);
        } catch (NativeLibraryException e) {
            miss(name, library);
            findings.add(Finding.note(name, "none", sentence(e)));
            return;
        }
        int before = findings.size();
        try {
            findings.add(before, Finding.ok(name, version.apply(file) + ", " + file));
        } catch (NativeLibraryException | GpuException e) {
            miss("usable " + name, library);
            findings.add(before, Finding.note(name, file.toString(), sentence(e)));
        }
    }

    /** Ranks of one process do without NCCL. */
    private void miss(String name, GpuLibrary library) {
        if (library != GpuLibrary.NCCL) {
            missing.add(name);
        }
    }

    private String runtime(Path file) {
        CudaRuntime cuda = CudaRuntime.open(file);
        int driver = cuda.driverVersion();
        findings.add(
                driver == 0
                        ? Finding.note("driver serves", "nothing: there is no driver", "")
                        : Finding.ok("driver serves", "CUDA " + text(driver)));
        try {
            findings.addAll(devices(cuda));
        } catch (NativeLibraryException | GpuException e) {
            missing.add("usable NVIDIA GPU");
            findings.add(Finding.note("devices", "none", sentence(e)));
        }
        return text(cuda.runtimeVersion());
    }

    /** One finding for each device, and who reaches whose memory. */
    static List<Finding> devices(GpuRuntime cuda) {
        List<Finding> findings = new ArrayList<>();
        int count = cuda.deviceCount();
        for (int device = 0; device < count; device++) {
            GpuProperties properties = cuda.properties(device);
            findings.add(Finding.ok(
                    "device " + device,
                    String.format(
                            Locale.ROOT,
                            "%s, compute capability %d.%d, %.1f GiB, %d SMs, %d copy engines, %s",
                            properties.name(),
                            properties.computeMajor(),
                            properties.computeMinor(),
                            (double) properties.memoryBytes() / (1L << 30),
                            properties.multiprocessors(),
                            properties.copyEngines(),
                            properties.pciBusId())));
        }
        if (count > 1) {
            findings.add(Finding.ok("peer access", peers(cuda, count)));
        }
        return findings;
    }

    /** Such as {@code 0: 1 2, 1: 0, 2: none}. */
    private static String peers(GpuRuntime cuda, int count) {
        List<String> rows = new ArrayList<>();
        boolean all = true;
        for (int device = 0; device < count; device++) {
            int from = device;
            List<Integer> reached = IntStream.range(0, count)
                    .filter(peer -> peer != from && cuda.canAccessPeer(from, peer))
                    .boxed()
                    .toList();
            all &= reached.size() == count - 1;
            rows.add(device + ": "
                    + (reached.isEmpty()
                            ? "none"
                            : reached.stream().map(String::valueOf).collect(Collectors.joining(" "))));
        }
        return all ? "every device reaches every other" : String.join(", ", rows);
    }

    private void kernels() {
        NativeLibraries own = NativeLibraries.standard();
        if (!own.has(NativeLibrary.KERNELS_CUDA)) {
            missing.add("kernels in this build");
            findings.add(Finding.note("CUDA kernels", "this build has none", ""));
            return;
        }
        try {
            Path file = own.load(NativeLibrary.KERNELS_CUDA);
            KernelTable table = KernelTable.open(file, null);
            findings.add(Finding.ok("CUDA kernels", table.isa() + "; " + table.buildInfo() + ", " + file));
        } catch (NativeLibraryException | NativeException e) {
            missing.add("usable kernels");
            findings.add(Finding.note("CUDA kernels", "cannot be used", sentence(e)));
        }
    }

    /** Streams beyond the number of queues wait for each other although nothing orders them. */
    private void queues() {
        String name = "CUDA_DEVICE_MAX_CONNECTIONS";
        String value = environment.getOrDefault(name, "");
        if (value.isEmpty()) {
            findings.add(Finding.ok(name, "is not set: " + DEFAULT_QUEUES + " hardware queues for each device"));
        } else if (value.equals("1")) {
            findings.add(Finding.note(
                    name,
                    "=1 lets copies wait for kernels that they could run beside, on --device cuda",
                    "unset " + name));
        } else {
            findings.add(Finding.ok(name, "=" + value + " hardware queues for each device"));
        }
    }

    private void modules() {
        String name = "CUDA_MODULE_LOADING";
        String value = environment.getOrDefault(name, "");
        findings.add(Finding.ok(
                name, value.isEmpty() ? "is not set: LAZY, each kernel is loaded by its first launch" : "=" + value));
    }

    private static String text(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    private static String sentence(RuntimeException e) {
        return String.valueOf(e.getMessage());
    }
}
