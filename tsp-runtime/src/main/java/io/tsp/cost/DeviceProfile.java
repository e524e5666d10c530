package io.tsp.cost;

import io.tsp.tensor.DType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.SequencedMap;
import java.util.TreeMap;

/**
 * One accelerator.
 *
 * @param units streaming multiprocessors, compute units or cores: what tiles of work are dealt out to
 * @param transferUnits units that transfers keep for themselves in a program that has any; 0 if engines of their own
 *     move the bytes. The share is fixed, as with a persistent GEMM that leaves units out, so compute never depends on
 *     when a transfer happens
 * @param memoryBytesPerSecond achieved, reading and writing
 * @param launchSeconds what every op costs before it does anything
 * @param workspaceBytes scratch memory of ops, by name; others need none
 */
public record DeviceProfile(
        int units,
        int transferUnits,
        long memoryBytes,
        double memoryBytesPerSecond,
        double launchSeconds,
        List<Gemm> gemm,
        List<Attention> attention,
        SequencedMap<String, Long> workspaceBytes) {
    private static final int MOST_UNITS = 1 << 20;

    public DeviceProfile {
        gemm = List.copyOf(gemm);
        attention = List.copyOf(attention);
        workspaceBytes = Collections.unmodifiableSequencedMap(workspaceBytes);
    }

    /**
     * Matrix products of a dtype.
     *
     * @param nominal FLOP/s of the data sheet, for utilisation
     * @param sustained FLOP/s of the best library at its best shape, all units busy
     * @param startupDepth elements of the summed dimension that cost as much as filling and draining the pipeline
     */
    public record Gemm(DType dtype, double nominal, double sustained, double startupDepth, List<Tile> tiles) {
        public Gemm {
            tiles = List.copyOf(tiles);
        }
    }

    /**
     * What one unit computes of an output at a time.
     *
     * @param efficiency of the unit's share of the sustained rate
     */
    public record Tile(long rows, long columns, double efficiency) {}

    /**
     * Flash attention of a head dimension, in FLOP/s that count visible pairs only: 4 d a pair forward, 10 d backward.
     *
     * @param forwardStartupKeys keys of a query that cost as much as beginning with it: what masks and short rows lose
     */
    public record Attention(
            DType dtype,
            int headDim,
            double forward,
            double backward,
            double forwardStartupKeys,
            double backwardStartupKeys) {}

    static DeviceProfile of(ProfileNode node) {
        node.only(
                "units",
                "transferUnits",
                "memoryBytes",
                "memoryBytesPerSecond",
                "launchSeconds",
                "gemm",
                "attention",
                "workspaceBytes");
        int units = (int) node.count("units", 1, MOST_UNITS);
        List<Gemm> gemm = new ArrayList<>();
        node.member("gemm").members().forEach((name, rates) -> gemm.add(gemm(dtype(name, rates), rates)));
        List<Attention> attention = new ArrayList<>();
        node.member("attention")
                .members()
                .forEach((name, rates) -> rates.members()
                        .forEach((dim, rate) -> attention.add(attention(dtype(name, rates), dim, rate))));
        attention.sort(Comparator.comparing(Attention::dtype).thenComparingInt(Attention::headDim));
        SequencedMap<String, Long> workspace = new TreeMap<>();
        ProfileNode bytes = node.member("workspaceBytes");
        bytes.members().keySet().forEach(op -> workspace.put(op, bytes.count(op, 0, Long.MAX_VALUE >> 1)));
        return new DeviceProfile(
                units,
                (int) node.count("transferUnits", 0, units - 1),
                node.count("memoryBytes", 1, Long.MAX_VALUE),
                node.positive("memoryBytesPerSecond"),
                node.nonNegative("launchSeconds"),
                gemm,
                attention,
                workspace);
    }

    private static DType dtype(String name, ProfileNode node) {
        return switch (name) {
            case "bf16" -> DType.BF16;
            case "f32" -> DType.F32;
            default -> throw node.failure("there is no dtype \"" + name + "\"; use bf16 or f32");
        };
    }

    private static Gemm gemm(DType dtype, ProfileNode node) {
        node.only("nominalFlopsPerSecond", "sustainedFlopsPerSecond", "startupDepth", "tiles");
        ProfileNode tiles = node.member("tiles");
        if (tiles.items().isEmpty()) {
            throw tiles.failure("a GEMM needs a tile");
        }
        return new Gemm(
                dtype,
                node.positive("nominalFlopsPerSecond"),
                node.positive("sustainedFlopsPerSecond"),
                node.nonNegative("startupDepth"),
                tiles.items().stream().map(DeviceProfile::tile).toList());
    }

    private static Tile tile(ProfileNode node) {
        node.only("rows", "columns", "efficiency");
        return new Tile(
                node.count("rows", 1, MOST_UNITS), node.count("columns", 1, MOST_UNITS), node.positive("efficiency"));
    }

    private static Attention attention(DType dtype, String headDim, ProfileNode node) {
        node.only("forwardFlopsPerSecond", "backwardFlopsPerSecond", "forwardStartupKeys", "backwardStartupKeys");
        if (!headDim.matches("[1-9]\\d{0,3}")) {
            throw node.failure("\"" + headDim + "\" is not a head dimension");
        }
        return new Attention(
                dtype,
                Integer.parseInt(headDim),
                node.positive("forwardFlopsPerSecond"),
                node.positive("backwardFlopsPerSecond"),
                node.nonNegative("forwardStartupKeys"),
                node.nonNegative("backwardStartupKeys"));
    }

    /** Rates of matrix products of a dtype. */
    public Gemm gemm(DType dtype) {
        return gemm.stream()
                .filter(rates -> rates.dtype == dtype)
                .findFirst()
                .orElseThrow(() -> missing("gemm", dtype));
    }

    /** Rates of attention: those of the smallest head dimension from this one up, or of the largest there is. */
    public Attention attention(DType dtype, long headDim) {
        List<Attention> rates =
                attention.stream().filter(rate -> rate.dtype == dtype).toList();
        if (rates.isEmpty()) {
            throw missing("attention", dtype);
        }
        return rates.stream()
                .filter(rate -> rate.headDim >= headDim)
                .findFirst()
                .orElseGet(rates::getLast);
    }

    private static ProfileException missing(String what, DType dtype) {
        String name = dtype.name().toLowerCase(Locale.ROOT);
        return new ProfileException("the hardware profile has no rates of " + what + " in " + name
                + "; add \"device\": {\"" + what + "\": {\"" + name + "\": ...}} to it or use another --dtype");
    }
}
