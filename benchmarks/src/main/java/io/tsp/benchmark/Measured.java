package io.tsp.benchmark;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;

/**
 * One benchmark at one size.
 *
 * @param name class and method
 * @param parameters values by name, in the order of their names
 * @param seconds mean time of a call, over all iterations of all forks
 * @param error half the width of its 99.9% confidence interval; NaN from fewer than three iterations
 * @param samples mean time of a call in each iteration
 * @param gigaPerCall 10^9 operations or bytes of a call; 0 if only time counts
 * @param limit GFLOP/s or GB/s that the machine showed in the same run; 0 if none was measured
 */
record Measured(
        String name,
        Map<String, String> parameters,
        double seconds,
        double error,
        List<Double> samples,
        double gigaPerCall,
        double limit) {

    /** Results whose time unit is nanoseconds. */
    static Measured of(RunResult run) {
        BenchmarkParams benchmark = run.getParams();
        Map<String, String> parameters = new LinkedHashMap<>();
        benchmark.getParamsKeys().forEach(key -> parameters.put(key, benchmark.getParam(key)));
        List<IterationResult> iterations = run.getBenchmarkResults().stream()
                .flatMap(fork -> fork.getIterationResults().stream())
                .toList();
        Result<?> time = run.getPrimaryResult();
        return new Measured(
                benchmark
                        .getBenchmark()
                        .substring(Measured.class.getPackageName().length() + 1),
                parameters,
                seconds(time.getScore()),
                seconds(time.getScoreError()),
                iterations.stream()
                        .map(iteration -> seconds(iteration.getPrimaryResult().getScore()))
                        .toList(),
                largest(iterations, "gigaPerCall"),
                largest(iterations, "limit"));
    }

    private static double seconds(double nanos) {
        return nanos / TimeUnit.SECONDS.toNanos(1);
    }

    private static double largest(Collection<IterationResult> iterations, String counter) {
        return iterations.stream()
                .map(iteration -> iteration.getSecondaryResults().get(counter))
                .mapToDouble(result -> result == null ? 0 : result.getScore())
                .max()
                .orElse(0);
    }

    /** Of the fastest iteration. */
    double bestSeconds() {
        return samples.stream().mapToDouble(Double::doubleValue).min().orElseThrow();
    }

    /** 10^9 operations or bytes per second. */
    double rate() {
        return gigaPerCall / seconds;
    }

    double bestRate() {
        return gigaPerCall / bestSeconds();
    }

    /** Half the width of the rate's confidence interval, to first order. */
    double rateError() {
        return rate() * error / seconds;
    }

    double shareOfLimit() {
        return rate() / limit;
    }

    /** Bus bandwidth in GB/s, for exchanges. */
    double busRate() {
        Collective collective = Collective.valueOf(parameters.getOrDefault("collective", ""));
        return rate() * collective.busFactor(Integer.parseInt(parameters.getOrDefault("ranks", "")));
    }
}
