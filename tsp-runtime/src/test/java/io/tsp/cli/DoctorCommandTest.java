package io.tsp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tsp.ffm.GpuProperties;
import io.tsp.ffm.GpuRuntime;
import io.tsp.report.DoctorReport.Finding;
import io.tsp.report.DoctorReport.Level;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiPredicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A failure means that {@code tsp doctor} misses a trap that somebody fell into, or sees one that is none. */
class DoctorCommandTest {
    @TempDir
    private Path root;

    private void file(String path, String content) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, content);
    }

    private static Finding find(List<Finding> findings, String name) {
        return findings.stream()
                .filter(finding -> finding.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no " + name + " in " + findings));
    }

    private static Optional<Level> level(String name, String value) {
        return new EnvironmentChecks(Map.of(name, value))
                .findings().stream()
                        .filter(finding -> finding.name().equals(name))
                        .map(Finding::level)
                        .findFirst();
    }

    @Test
    void thisMachineIsUsable() throws IOException {
        Path json = root.resolve("doctor.json");
        Cli cli = Cli.ok("doctor", "--json", json);
        for (String section : List.of("machine", "java", "libraries", "accelerators", "environment")) {
            assertTrue(cli.out().lines().anyMatch(section::equals), cli.out());
        }
        assertTrue(cli.out().contains("in use"), cli.out());
        assertTrue(cli.out().contains("oneDNN"), cli.out());
        assertTrue(cli.out().contains("This machine can run tsp"), cli.out());
        assertEquals(
                List.of("schemaVersion", "usable", "warnings", "sections"),
                List.copyOf(Cli.json(json).keySet()));
        assertEquals(true, Cli.json(json).get("usable"));
    }

    /** The folder that a user names is the only one that is looked into. */
    @Test
    void withoutKernelsTheMachineIsNotUsable() {
        String property = "tsp.native.dir";
        String before = System.setProperty(property, root.toString());
        try {
            Cli cli = Cli.run("doctor");
            assertEquals(ExitCode.LIBRARY.code(), cli.code());
            assertTrue(cli.out().contains("Cannot find libtsp_kernels_cpu.so; tried " + root), cli.out());
            assertTrue(cli.out().contains("This machine cannot run tsp yet"), cli.out());
            assertEquals(ExitCode.LIBRARY.code(), Cli.run("compare").code());
        } finally {
            if (before == null) {
                System.clearProperty(property);
            } else {
                System.setProperty(property, before);
            }
        }
    }

    @Test
    void variablesThatSlowRanksDownAreWarnings() {
        for (String name : List.of(
                "OMP_PROC_BIND",
                "OMP_PLACES",
                "GOMP_CPU_AFFINITY",
                "KMP_AFFINITY",
                "GOMP_SPINCOUNT",
                "ONEDNN_VERBOSE",
                "ONEDNN_MAX_CPU_ISA")) {
            assertEquals(Optional.of(Level.WARNING), level(name, "1"), name);
        }
        assertEquals(Optional.of(Level.WARNING), level("OMP_WAIT_POLICY", "active"));
        assertEquals(Optional.empty(), level("OMP_WAIT_POLICY", "passive"));
        assertEquals(Optional.empty(), level("OMP_PROC_BIND", "false"));
    }

    @Test
    void variablesWithoutEffectAreNotes() {
        for (String name : List.of(
                "OMP_NUM_THREADS",
                "NCCL_DEBUG",
                "CUDA_VISIBLE_DEVICES",
                "HSA_ENABLE_SDMA",
                "GPU_MAX_HW_QUEUES",
                "LD_PRELOAD")) {
            assertEquals(Optional.of(Level.NOTE), level(name, "4"), name);
        }
        assertEquals(Optional.empty(), level("HOME", "/root"));
    }

    @Test
    void signalsOfUcxMustBeEmpty() {
        assertEquals(Optional.of(Level.OK), level("UCX_ERROR_SIGNALS", ""));
        assertEquals(Optional.of(Level.WARNING), level("UCX_ERROR_SIGNALS", "SIGSEGV"));
        assertEquals(
                Level.NOTE,
                find(new EnvironmentChecks(Map.of()).findings(), "UCX_ERROR_SIGNALS")
                        .level());
    }

    @Test
    void twoLaunchersAtOnceAreAWarning() {
        Finding one = find(new EnvironmentChecks(Map.of("PMI_SIZE", "3")).findings(), "launcher");
        assertEquals(Finding.ok("launcher", "MPICH, 3 (PMI_SIZE)"), one);
        Finding two = find(
                new EnvironmentChecks(Map.of("PMI_SIZE", "3", "OMPI_COMM_WORLD_SIZE", "2")).findings(), "launcher");
        assertEquals(Level.WARNING, two.level());
    }

    @Test
    void machineIsReadFromLinux() throws IOException {
        file("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU 7\n");
        file("proc/meminfo", "MemTotal:       8388608 kB\nMemAvailable:   4194304 kB\n");
        file("proc/self/limits", """
                Max locked memory         8388608              8388608              bytes
                Max open files            256                  4096                 files
                """);
        file("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
        file("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
        List<Finding> findings = new MachineChecks(root).findings();
        assertTrue(find(findings, "processor").value().startsWith("Some CPU 7"));
        assertEquals(
                "8.0 GiB, 4.0 GiB free, 3.6 GiB of it for ranks",
                find(findings, "memory").value());
        assertEquals(Level.NOTE, find(findings, "huge pages").level());
        assertEquals(Level.NOTE, find(findings, "governor").level());
        assertEquals(Level.WARNING, find(findings, "ulimit -n").level());
        assertEquals("8388608", find(findings, "ulimit -l").value());
    }

    @Test
    void aMachineThatTellsNothingIsNoError() {
        assertFalse(new MachineChecks(root).findings().stream().anyMatch(finding -> finding.level() == Level.ERROR));
        assertEquals(Long.MAX_VALUE, new Memory(root).usableBytes());
    }

    @Test
    void aContainersLimitCounts() throws IOException {
        file("proc/meminfo", "MemAvailable:   4194304 kB\n");
        file("sys/fs/cgroup/memory.max", "max\n");
        file("sys/fs/cgroup/memory.current", "1000000000\n");
        assertEquals((long) (0.9 * (4L << 30)), new Memory(root).usableBytes());
        file("sys/fs/cgroup/memory.max", "1500000000\n");
        file("sys/fs/cgroup/memory.stat", "active_file 7\ninactive_file 100000000\n");
        assertEquals(540_000_000, new Memory(root).usableBytes());
    }

    @Test
    void acceleratorsAreLookedForByName() throws IOException {
        file("dev/nvidia0", "");
        file("dev/nvidia1", "");
        file("dev/nvidiactl", "");
        file("sys/class/kfd/kfd/topology/nodes/0/properties", "simd_count 0\n");
        file("sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 1216\n");
        file("opt/rocm/lib/librccl.so", "");
        file("elsewhere/libnccl.so.2", "");
        Map<String, String> environment = Map.of("LD_LIBRARY_PATH", root.resolve("elsewhere") + ":");
        List<Finding> findings = new AcceleratorChecks(environment, root).findings();
        assertEquals("2", find(findings, "NVIDIA GPUs").value());
        assertEquals("1", find(findings, "AMD GPUs").value());
        assertEquals(
                root.resolve("elsewhere/libnccl.so.2").toString(),
                find(findings, "NCCL").value());
        assertEquals(
                root.resolve("opt/rocm/lib/librccl.so").toString(),
                find(findings, "RCCL").value());
        assertEquals("no libcuda.so.1", find(findings, "CUDA driver").value());
    }

    private Finding accelerator(Map<String, String> environment, String name) {
        return find(new AcceleratorChecks(environment, root).findings(), name);
    }

    /** What is not there, or is no library, is said with what to do, and never ends the command. */
    @Test
    void nvidiasLibrariesAreNamedOrMissed() throws IOException {
        Path runtime = root.resolve("usr/local/cuda/lib64/libcudart.so.13");
        assertEquals("none", accelerator(Map.of(), "CUDA runtime").value());
        assertTrue(accelerator(Map.of(), "CUDA runtime").advice().contains("pip install nvidia-cuda-runtime"));
        assertTrue(accelerator(Map.of(), "cuBLASLt").advice().contains("pip install nvidia-cublas"));
        assertTrue(accelerator(Map.of(), "--device cuda")
                .value()
                .startsWith("cannot be used: no CUDA runtime, no cuBLASLt"));
        file("usr/local/cuda/lib64/libcudart.so.13", "no library");
        Finding broken = accelerator(Map.of(), "CUDA runtime");
        assertEquals(Level.NOTE, broken.level());
        assertEquals(runtime.toString(), broken.value());
        assertTrue(broken.advice().startsWith("Cannot load CUDA from " + runtime + ": "), broken.advice());
        assertTrue(accelerator(Map.of(), "--device cuda").value().contains("no usable CUDA runtime, no cuBLASLt"));
    }

    @Test
    void cudasSettingsAreExplained() {
        String queues = "CUDA_DEVICE_MAX_CONNECTIONS";
        assertEquals(
                Finding.ok(queues, "is not set: 8 hardware queues for each device"), accelerator(Map.of(), queues));
        assertEquals(
                Finding.ok(queues, "=32 hardware queues for each device"), accelerator(Map.of(queues, "32"), queues));
        assertEquals(Level.NOTE, accelerator(Map.of(queues, "1"), queues).level());
        assertEquals(
                "=EAGER",
                accelerator(Map.of("CUDA_MODULE_LOADING", "EAGER"), "CUDA_MODULE_LOADING")
                        .value());
    }

    /** The real runtime, asked where there is no driver. */
    @Test
    void aRuntimeWithoutADriverIsLoadedAndAsked() {
        Path runtime = Path.of("/usr/local/cuda/lib64/libcudart.so.13");
        assumeTrue(Files.exists(runtime), "no " + runtime);
        assumeFalse(Files.exists(Path.of("/dev/nvidiactl")), "this machine has an NVIDIA driver");
        Map<String, String> environment = Map.of("TSP_CUDART_LIBRARY", runtime.toString());
        assertTrue(accelerator(environment, "CUDA runtime").value().matches("13\\.\\d+, " + runtime));
        assertTrue(accelerator(environment, "devices").advice().startsWith("No NVIDIA GPU can be used: "));
        assertTrue(accelerator(environment, "--device cuda").value().contains("no usable NVIDIA GPU, no cuBLASLt"));
    }

    /** @param reaches whether a device can use a peer's memory */
    private static GpuRuntime devices(int count, BiPredicate<Integer, Integer> reaches) {
        return (GpuRuntime) Proxy.newProxyInstance(
                GpuRuntime.class.getClassLoader(),
                new Class<?>[] {GpuRuntime.class},
                (proxy, method, arguments) -> switch (method.getName()) {
                    case "deviceCount" -> count;
                    case "canAccessPeer" -> reaches.test((Integer) arguments[0], (Integer) arguments[1]);
                    case "properties" ->
                        new GpuProperties("Some GPU", 9, 0, 132, 80L << 30, 3, "0000:0" + arguments[0] + ":00.0", "");
                    default -> throw new AssertionError("doctor must not call " + method);
                });
    }

    @Test
    void devicesAndTheirPeersAreDescribed() {
        List<Finding> one = NvidiaChecks.devices(devices(1, (device, peer) -> true));
        assertEquals(
                List.of(Finding.ok(
                        "device 0",
                        "Some GPU, compute capability 9.0, 80.0 GiB, 132 SMs, 3 copy engines, 0000:00:00.0")),
                one);
        assertEquals(
                "every device reaches every other",
                find(NvidiaChecks.devices(devices(3, (device, peer) -> true)), "peer access")
                        .value());
        assertEquals(
                "0: 1 2, 1: 2, 2: none",
                find(NvidiaChecks.devices(devices(3, (device, peer) -> device < peer)), "peer access")
                        .value());
    }
}
