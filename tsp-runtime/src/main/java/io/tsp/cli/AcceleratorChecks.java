package io.tsp.cli;

import io.tsp.report.DoctorReport.Finding;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** GPUs and their libraries: NVIDIA's are asked, AMD's looked for by name, because no build has kernels for them. */
final class AcceleratorChecks {
    private static final List<String> FOLDERS = List.of(
            "usr/lib/x86_64-linux-gnu",
            "usr/lib64",
            "usr/lib",
            "usr/local/cuda/lib64",
            "usr/local/lib",
            "opt/rocm/lib");

    private static final Pattern VECTOR_UNITS = Pattern.compile("(?m)^simd_count [1-9]");

    private final Map<String, String> environment;
    private final Path root;

    /** @param root where the file system is */
    AcceleratorChecks(Map<String, String> environment, Path root) {
        this.environment = environment;
        this.root = root;
    }

    List<Finding> findings() {
        List<Finding> findings = new ArrayList<>();
        findings.add(count("NVIDIA GPUs", entries("dev", "nvidia[0-9]*").size()));
        findings.add(library("CUDA driver", "libcuda.so.1"));
        findings.addAll(new NvidiaChecks(environment, root).findings());
        findings.add(count(
                "AMD GPUs",
                entries("sys/class/kfd/kfd/topology/nodes", "*").stream()
                        .filter(AcceleratorChecks::computes)
                        .count()));
        findings.add(library("HIP", "libamdhip64.so"));
        findings.add(library("RCCL", "librccl.so"));
        return findings;
    }

    private static Finding count(String name, long devices) {
        return Finding.ok(name, devices == 0 ? "none" : Long.toString(devices));
    }

    private List<Path> entries(String folder, String pattern) {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(root.resolve(folder), pattern)) {
            entries.forEach(found::add);
        } catch (IOException e) {
            // No such folder: no such device.
            return List.of();
        }
        return found;
    }

    /** AMD's driver lists processors, too; they have no vector units of a GPU. */
    private static boolean computes(Path node) {
        try {
            return VECTOR_UNITS
                    .matcher(Files.readString(node.resolve("properties")))
                    .find();
        } catch (IOException e) {
            return false;
        }
    }

    private Finding library(String name, String file) {
        Optional<Path> found = Stream.concat(
                        Stream.of(environment
                                        .getOrDefault("LD_LIBRARY_PATH", "")
                                        .split(":", -1))
                                .filter(folder -> !folder.isEmpty())
                                .map(Path::of),
                        FOLDERS.stream().map(root::resolve))
                .map(folder -> folder.resolve(file))
                .filter(Files::exists)
                .findFirst();
        return Finding.ok(name, found.map(Path::toString).orElse("no " + file));
    }
}
