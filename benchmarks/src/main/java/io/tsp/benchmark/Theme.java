package io.tsp.benchmark;

import com.google.common.collect.ImmutableList;
import com.google.common.collect.ImmutableMap;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** Benchmarks that are run and reported together, under the name that users type. */
enum Theme {
    ATTENTION(Unit.FLOPS, ImmutableMap.of("headDim", "64", "seq", "256"), ImmutableList.of(AttentionBenchmark.class)),
    ATTENTION_BACKWARD(
            Unit.FLOPS,
            ImmutableMap.of("headDim", "64", "seq", "256"),
            ImmutableList.of(AttentionBackwardBenchmark.class)),
    MLP(
            Unit.FLOPS,
            ImmutableMap.of("size", "128x256x704"),
            ImmutableList.of(GatedMlpBenchmark.class, GemmBenchmark.class)),
    MLP_BACKWARD(Unit.FLOPS, ImmutableMap.of("size", "128x256x704"), ImmutableList.of(GatedMlpBackwardBenchmark.class)),
    MEMORY(
            Unit.BANDWIDTH,
            ImmutableMap.of("rows", "256", "size", "512x1408"),
            ImmutableList.of(PackBenchmark.class, RmsNormBenchmark.class, CopyBenchmark.class)),
    MEMORY_BACKWARD(
            Unit.BANDWIDTH,
            ImmutableMap.of("rows", "256", "count", "65536"),
            ImmutableList.of(RmsNormBackwardBenchmark.class, AdamWBenchmark.class)),
    EXCHANGE(Unit.EXCHANGE, ImmutableMap.of("bytes", "65536"), ImmutableList.of(ExchangeBenchmark.class)),
    OVERLAP(
            Unit.TIME,
            ImmutableMap.of("size", "128x64x128", "bytes", "65536"),
            ImmutableList.of(OverlapBenchmark.class)),
    DOWNCALL(Unit.TIME, ImmutableMap.of(), ImmutableList.of(DowncallBenchmark.class, CudaDowncallBenchmark.class)),
    PROGRAM(Unit.TIME, ImmutableMap.of("preset", "tiny"), ImmutableList.of(ProgramBenchmark.class));

    /** What the results of a theme are compared in. */
    enum Unit {
        /** GFLOP/s, beside the peak of the same run. */
        FLOPS,
        /** GB/s, beside a copy in the same run. */
        BANDWIDTH,
        /** GB/s, as algorithm and as bus bandwidth. */
        EXCHANGE,
        /** Seconds alone. */
        TIME
    }

    private final Unit unit;
    private final ImmutableMap<String, String> quickParameters;
    private final ImmutableList<Class<?>> benchmarks;

    Theme(Unit unit, ImmutableMap<String, String> quickParameters, ImmutableList<Class<?>> benchmarks) {
        this.unit = unit;
        this.quickParameters = quickParameters;
        this.benchmarks = benchmarks;
    }

    /** @throws IllegalArgumentException with the names there are */
    static Theme of(String name) {
        return Arrays.stream(values())
                .filter(theme -> theme.toString().equals(name))
                .findAny()
                .orElseThrow(() -> new IllegalArgumentException("there are no benchmarks " + name + "; use "
                        + Arrays.stream(values()).map(Theme::toString).collect(Collectors.joining(", "))));
    }

    Unit unit() {
        return unit;
    }

    /** Sizes that show in seconds that everything works, but not how fast. */
    ImmutableMap<String, String> quickParameters() {
        return quickParameters;
    }

    ImmutableList<Class<?>> benchmarks() {
        return benchmarks;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
