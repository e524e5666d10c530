package io.tsp.cli;

import io.tsp.ffm.Dnnl;
import io.tsp.ffm.KernelTable;
import io.tsp.ffm.MpiTable;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.NativeLibraries;
import io.tsp.ffm.NativeLibrary;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.ffm.Openmp;
import io.tsp.report.DoctorReport.Finding;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The native libraries, loaded as a run loads them. */
final class LibraryChecks {
    /** Best first; the names are those of {@code TSP_CPU_ISA}. */
    private static final List<String> ISA_LEVELS = List.of("avx512bf16", "avx512", "avx2", "portable");

    private static final List<String> LAUNCHERS = List.of("mpirun", "mpiexec", "srun");

    private final Map<String, String> environment;
    private final NativeLibraries libraries = NativeLibraries.standard();

    LibraryChecks(Map<String, String> environment) {
        this.environment = environment;
    }

    List<Finding> findings() {
        List<Finding> findings = new ArrayList<>();
        try {
            Openmp openmp = Openmp.load(libraries);
            findings.add(
                    Finding.ok("OpenMP", libraries.load(NativeLibrary.OPENMP).toString()));
            try (Dnnl dnnl = Dnnl.load(libraries, openmp)) {
                findings.add(Finding.ok("oneDNN", dnnl.version() + ", " + libraries.load(NativeLibrary.DNNL)));
            }
            findings.addAll(kernels(libraries.load(NativeLibrary.KERNELS_CPU)));
        } catch (NativeLibraryException | NativeException e) {
            findings.add(Finding.error("missing", String.valueOf(e.getMessage()), ""));
        }
        findings.add(mpi());
        findings.add(launcher());
        return findings;
    }

    private static List<Finding> kernels(Path library) {
        List<Finding> findings = new ArrayList<>();
        KernelTable inUse = KernelTable.open(library, null);
        findings.add(Finding.ok("kernels", library.toString()));
        findings.add(Finding.ok("built", inUse.buildInfo() + ", ABI " + inUse.abiVersion()));
        String best = null;
        for (String level : ISA_LEVELS) {
            String value = isUsable(library, level);
            best = best == null && value.isEmpty() ? level : best;
            findings.add(
                    Finding.ok(level, value.isEmpty() ? level.equals(inUse.isa()) ? "in use" : "available" : value));
        }
        if (best != null && !best.equals(inUse.isa())) {
            findings.add(Finding.warning(
                    "TSP_CPU_ISA",
                    "forces " + inUse.isa() + " although " + best + " is available",
                    "unset TSP_CPU_ISA"));
        }
        return findings;
    }

    /** Empty, or why not. */
    private static String isUsable(Path library, String level) {
        try {
            KernelTable.open(library, level);
            return "";
        } catch (NativeException e) {
            return "not on this processor";
        }
    }

    /** An MPI on top of UCX takes over signals that the JVM needs as soon as it is loaded, unless it is told not to. */
    private Finding mpi() {
        if (!environment.containsKey("UCX_ERROR_SIGNALS")) {
            return Finding.note(
                    "MPI",
                    "not looked at, because UCX_ERROR_SIGNALS is not set",
                    "start with scripts/tsp, which sets it");
        }
        try {
            Path library = libraries.load(NativeLibrary.MPI);
            return Finding.ok("MPI", MpiTable.open(library).buildInfo() + ", " + library);
        } catch (NativeLibraryException e) {
            return Finding.note(
                    "MPI",
                    "no usable libtsp_mpi.so; all ranks must be in one process (" + e.getMessage() + ")",
                    "apt-get install libopenmpi-dev openmpi-bin, then build again");
        }
    }

    private Finding launcher() {
        List<String> found = LAUNCHERS.stream()
                .flatMap(name -> Stream.of(environment.getOrDefault("PATH", "").split(":", -1))
                        .map(folder -> Path.of(folder, name))
                        .filter(Files::isExecutable)
                        .limit(1))
                .map(Path::toString)
                .toList();
        return found.isEmpty()
                ? Finding.note("launchers", "none of " + String.join(", ", LAUNCHERS), "apt-get install openmpi-bin")
                : Finding.ok("launchers", String.join(", ", found));
    }
}
