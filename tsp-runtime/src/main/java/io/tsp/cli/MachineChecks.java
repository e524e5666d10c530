package io.tsp.cli;

import io.tsp.report.DoctorReport.Finding;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Processor, memory and limits, as Linux tells them. */
final class MachineChecks {
    private static final Pattern BRACKETED = Pattern.compile("\\[(\\w+)]");
    private static final long LOW_SHARED_MEMORY = 64L << 20;
    private static final int LOW_OPEN_FILES = 1024;

    private final Path root;
    private final Memory memory;

    /** @param root where /proc, /sys and /dev are */
    MachineChecks(Path root) {
        this.root = root;
        this.memory = new Memory(root);
    }

    List<Finding> findings() {
        List<Finding> findings = new ArrayList<>();
        findings.add(Finding.ok(
                "system",
                System.getProperty("os.name") + " " + System.getProperty("os.version") + ", "
                        + System.getProperty("os.arch")));
        findings.add(Finding.ok(
                "processor",
                processor() + ", " + Runtime.getRuntime().availableProcessors() + " cores for this process"));
        findings.add(Finding.ok(
                "memory",
                gib(memory.kibibytes("MemTotal").orElse(0)) + ", "
                        + gib(memory.kibibytes("MemAvailable").orElse(0)) + " free, " + gib(memory.usableBytes())
                        + " of it for ranks"));
        hugePages().ifPresent(findings::add);
        governor().ifPresent(findings::add);
        sharedMemory().ifPresent(findings::add);
        limit("Max locked memory").ifPresent(value -> findings.add(Finding.ok("ulimit -l", value)));
        limit("Max open files").ifPresent(value -> findings.add(openFiles(value)));
        return findings;
    }

    private String processor() {
        return text("proc/cpuinfo").stream()
                .flatMap(String::lines)
                .filter(line -> line.startsWith("model name"))
                .map(line -> line.substring(line.indexOf(':') + 1).strip())
                .findFirst()
                .orElse("unknown");
    }

    private Optional<Finding> hugePages() {
        return text("sys/kernel/mm/transparent_hugepage/enabled").flatMap(text -> {
            Matcher chosen = BRACKETED.matcher(text);
            if (!chosen.find()) {
                return Optional.empty();
            }
            String value = chosen.group(1);
            return Optional.of(
                    value.equals("never")
                            ? Finding.note(
                                    "huge pages",
                                    value + ": large weights and activations cost more address translation",
                                    "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, as root")
                            : Finding.ok("huge pages", value));
        });
    }

    private Optional<Finding> governor() {
        return text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
                .map(String::strip)
                .map(value -> value.equals("powersave")
                        ? Finding.note(
                                "governor",
                                value + ": the clock may stay low and timings vary",
                                "cpupower frequency-set -g performance, as root, before measuring")
                        : Finding.ok("governor", value));
    }

    /** Open MPI and NCCL exchange bytes between processes of a machine there. */
    private Optional<Finding> sharedMemory() {
        try {
            FileStore store = Files.getFileStore(root.resolve("dev/shm"));
            long bytes = store.getTotalSpace();
            String value = (bytes >> 20) + " MiB";
            return Optional.of(
                    bytes < LOW_SHARED_MEMORY
                            ? Finding.warning(
                                    "/dev/shm",
                                    value + ": processes of one machine exchange bytes there",
                                    "give a container more, such as docker run --shm-size 1g")
                            : Finding.ok("/dev/shm", value));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private static Finding openFiles(String value) {
        return value.matches("\\d{1,9}") && Integer.parseInt(value) < LOW_OPEN_FILES
                ? Finding.warning("ulimit -n", value + ": too low for many ranks", "ulimit -n 4096")
                : Finding.ok("ulimit -n", value);
    }

    /** The soft limit. */
    private Optional<String> limit(String name) {
        return text("proc/self/limits").stream()
                .flatMap(String::lines)
                .filter(line -> line.startsWith(name))
                .map(line -> line.substring(name.length()).strip().replaceAll("\\s.*", ""))
                .findFirst();
    }

    private Optional<String> text(String path) {
        try {
            return Optional.of(Files.readString(root.resolve(path)));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private static String gib(long bytes) {
        return String.format(Locale.ROOT, "%.1f GiB", bytes / (double) (1L << 30));
    }
}
