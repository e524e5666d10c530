package io.tsp.cli;

import io.tsp.launch.Launcher;
import io.tsp.report.DoctorReport.Finding;
import io.tsp.report.DoctorReport.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Variables of the environment that change what a run does. */
final class EnvironmentChecks {
    /**
     * @param prefix how the name begins; the whole name if it is exact
     * @param harmless values that need no word
     */
    private record Trap(String prefix, boolean exact, Level level, String effect, String advice, Set<String> harmless) {
        boolean isAbout(String name) {
            return exact ? name.equals(prefix) : name.startsWith(prefix);
        }
    }

    private static final String NO_AMD = "has no effect: this build has no kernels for AMD GPUs";

    /** The first that is about a variable speaks. */
    private static final List<Trap> TRAPS = List.of(
            warning("OMP_PROC_BIND", "ties the teams of all ranks to the same cores", "false"),
            warning("OMP_PLACES", "ties the teams of all ranks to the same cores"),
            warning("GOMP_CPU_AFFINITY", "ties the teams of all ranks to the same cores"),
            warning("KMP_AFFINITY", "ties the teams of all ranks to the same cores"),
            warning("OMP_WAIT_POLICY", "threads that wait keep cores busy that other ranks need", "passive", "PASSIVE"),
            warning("GOMP_SPINCOUNT", "threads that wait keep cores busy that other ranks need", "0"),
            warning("OMP_THREAD_LIMIT", "teams may get fewer threads than --threads says"),
            warning("OMP_DYNAMIC", "teams may get fewer threads than --threads says", "false", "FALSE"),
            note("OMP_NUM_THREADS", "has no effect: --threads decides"),
            prefix("OMP_", "is read by the OpenMP runtime"),
            warning("ONEDNN_MAX_CPU_ISA", "lets oneDNN use less than this processor can"),
            warning("DNNL_MAX_CPU_ISA", "lets oneDNN use less than this processor can"),
            warning("ONEDNN_VERBOSE", "makes oneDNN print every call, which is slow", "0", "none"),
            warning("DNNL_VERBOSE", "makes oneDNN print every call, which is slow", "0", "none"),
            prefix("ONEDNN_", "is read by oneDNN"),
            warning("MALLOC_PERTURB_", "fills memory on every allocation, which is slow"),
            note("LD_PRELOAD", "puts a library before all others"),
            note("LD_LIBRARY_PATH", "is where libraries are looked for first"),
            note("TSP_NATIVE_DIR", "is where our libraries are looked for, and nowhere else"),
            note("TSP_CACHE_DIR", "is where libraries are unpacked"),
            note("TSP_CPU_ISA", "chooses the kernels' instruction set"),
            note("TSP_JAVA_OPTIONS", "adds options to tsp's JVM"),
            note("JAVA_TOOL_OPTIONS", "adds options to every JVM"),
            note("JDK_JAVA_OPTIONS", "adds options to the java command"),
            prefix("NCCL_", "concerns only NCCL, which ranks of a launcher use with --device cuda"),
            prefix("RCCL_", NO_AMD),
            prefix("CUDA_", "concerns only --device cuda"),
            prefix("HSA_", NO_AMD),
            prefix("GPU_MAX_HW_QUEUES", NO_AMD));

    private final Map<String, String> environment;

    EnvironmentChecks(Map<String, String> environment) {
        this.environment = environment;
    }

    private static Trap warning(String name, String effect, String... harmless) {
        return new Trap(name, true, Level.WARNING, effect, "unset " + name, Set.of(harmless));
    }

    private static Trap note(String name, String effect) {
        return new Trap(name, true, Level.NOTE, effect, "", Set.of(""));
    }

    private static Trap prefix(String prefix, String effect) {
        return new Trap(prefix, false, Level.NOTE, effect, "", Set.of());
    }

    List<Finding> findings() {
        List<Finding> findings = new ArrayList<>();
        findings.add(signals());
        findings.add(launchers());
        new TreeMap<>(environment)
                .forEach((name, value) -> TRAPS.stream()
                        .filter(trap -> trap.isAbout(name))
                        .findFirst()
                        .filter(trap -> !trap.harmless.contains(value))
                        .ifPresent(trap -> findings.add(
                                new Finding(name, trap.level, "=" + value + " " + trap.effect, trap.advice))));
        return findings;
    }

    /** The JVM uses SIGSEGV for ordinary null checks; UCX reports it as a crash unless it is told to leave it alone. */
    private Finding signals() {
        String value = environment.get("UCX_ERROR_SIGNALS");
        if (value == null) {
            return Finding.note(
                    "UCX_ERROR_SIGNALS",
                    "is not set: an MPI on top of UCX would take over signals that the JVM needs",
                    "export UCX_ERROR_SIGNALS= (empty), or start with scripts/tsp, which does");
        }
        return value.isEmpty()
                ? Finding.ok("UCX_ERROR_SIGNALS", "is empty, as it must be")
                : Finding.warning(
                        "UCX_ERROR_SIGNALS",
                        "=" + value + " lets UCX take over signals that the JVM needs",
                        "export UCX_ERROR_SIGNALS= (empty)");
    }

    private Finding launchers() {
        List<Launcher.Kind> present = Launcher.present(environment);
        return switch (present.size()) {
            case 0 -> Finding.ok("launcher", "none: all ranks are made in one process");
            case 1 -> {
                Launcher.Kind kind = present.getFirst();
                yield Finding.ok(
                        "launcher",
                        kind.title() + ", " + environment.get(kind.sizeVariable()) + " (" + kind.sizeVariable() + ")");
            }
            default ->
                Finding.warning(
                        "launcher",
                        "several at once: "
                                + String.join(
                                        ", ",
                                        present.stream()
                                                .map(Launcher.Kind::sizeVariable)
                                                .toList()),
                        "start with one launcher, or unset what is left over from another");
        };
    }
}
