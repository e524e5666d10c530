package io.tsp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;

/** How much memory this process may still take. */
final class Memory {
    /** Of what is free; the rest is for the Java heap, libraries, and the page cache of model files. */
    private static final double USABLE_SHARE = 0.9;

    private static final long KIBIBYTE = 1024;

    private final Path root;

    /** @param root where /proc and /sys are */
    Memory(Path root) {
        this.root = root;
    }

    /** Bytes for arenas; no limit where Linux does not say. */
    long usableBytes() {
        long free = Math.min(kibibytes("MemAvailable").orElse(Long.MAX_VALUE), containerBytes());
        return free == Long.MAX_VALUE ? free : (long) (free * USABLE_SHARE);
    }

    /** A line of /proc/meminfo in bytes, if it is there. */
    OptionalLong kibibytes(String key) {
        return text("proc/meminfo").stream()
                .flatMap(String::lines)
                .filter(line -> line.startsWith(key + ":"))
                .map(line -> line.replaceAll("\\D", ""))
                .mapToLong(number -> Long.parseLong(number) * KIBIBYTE)
                .findFirst();
    }

    /** What a container may still take: its limit less what it holds, not counting files in the page cache. */
    private long containerBytes() {
        Optional<Long> limit = number("sys/fs/cgroup/memory.max");
        Optional<Long> used = number("sys/fs/cgroup/memory.current");
        if (limit.isEmpty() || used.isEmpty()) {
            return Long.MAX_VALUE;
        }
        long cached = text("sys/fs/cgroup/memory.stat").stream()
                .flatMap(String::lines)
                .filter(line -> line.startsWith("inactive_file "))
                .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(' ') + 1)))
                .sum();
        return Math.max(0, limit.get() - used.get() + cached);
    }

    private Optional<Long> number(String path) {
        return text(path)
                .map(String::strip)
                .filter(value -> value.matches("\\d+"))
                .map(Long::parseLong);
    }

    private Optional<String> text(String path) {
        try {
            return Optional.of(Files.readString(root.resolve(path)));
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
