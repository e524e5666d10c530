package io.tsp.benchmark;

import io.tsp.report.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Results of a theme as lines of text; the last one says what the columns mean. */
final class ResultTable {
    private ResultTable() {}

    static List<String> lines(Theme theme, List<Measured> results) {
        Table table = switch (theme.unit()) {
            case FLOPS -> limited("GFLOP/s", "peak", results);
            case BANDWIDTH -> limited("GB/s", "copy", results);
            case EXCHANGE -> exchanges(results);
            case TIME -> times(results);
        };
        List<String> lines = new ArrayList<>(table.lines());
        lines.add("");
        lines.add(legend(theme.unit()));
        return lines;
    }

    private static String legend(Theme.Unit unit) {
        if (Machine.isCuda()) {
            return "+-: half of the 99.9% confidence interval; best: of the fastest iteration; peak: cuBLASLt's product of"
                    + " 8192 x 8192 x 8192; copy: by the GPU, of as many bytes; times include that the host waits for the"
                    + " GPU";
        }
        String limit = switch (unit) {
            case FLOPS ->
                "; peak: multiply-adds in registers alone, measured before each iteration; share: mean / peak";
            case BANDWIDTH ->
                "; bytes: read and written ones; copy: the better of memcpy and of stores past the caches,"
                        + " of as many bytes, measured before each iteration; share: mean / copy";
            case EXCHANGE -> "; algbw: bytes of the buffer per second; busbw: as nccl-tests defines it";
            case TIME -> "";
        };
        return "+-: half of the 99.9% confidence interval; best: of the fastest iteration" + limit;
    }

    private static Table limited(String unit, String limit, List<Measured> results) {
        Table table = new Table(
                List.of("", "mean", unit, "", "best", limit, "share"),
                List.of("benchmark", "time", "mean", "+-", unit, unit, ""));
        for (Measured result : results) {
            table.row(
                    name(result),
                    time(result.seconds()),
                    number(1, result.rate()),
                    number(1, result.rateError()),
                    number(1, result.bestRate()),
                    number(1, result.limit()),
                    number(3, result.shareOfLimit()));
        }
        return table;
    }

    private static Table exchanges(List<Measured> results) {
        Table table = new Table(
                List.of("", "mean", "algbw", "", "best", "busbw"),
                List.of("benchmark", "time", "GB/s", "+-", "algbw", "GB/s"));
        for (Measured result : results) {
            table.row(
                    name(result),
                    time(result.seconds()),
                    number(2, result.rate()),
                    number(2, result.rateError()),
                    number(2, result.bestRate()),
                    number(2, result.busRate()));
        }
        return table;
    }

    private static Table times(List<Measured> results) {
        Table table = new Table(List.of("", "mean", "", "best"), List.of("benchmark", "time", "+-", "time"));
        for (Measured result : results) {
            table.row(name(result), time(result.seconds()), time(result.error()), time(result.bestSeconds()));
        }
        return table;
    }

    private static String name(Measured result) {
        String parameters = result.parameters().entrySet().stream()
                .map(parameter -> " " + parameter.getKey() + "=" + parameter.getValue())
                .collect(Collectors.joining());
        return result.name() + parameters;
    }

    private static String number(int decimals, double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%." + decimals + "f", value);
    }

    private static String time(double seconds) {
        if (Double.isNaN(seconds)) {
            return "-";
        } else if (seconds >= 1) {
            return number(2, seconds) + " s";
        } else if (seconds >= 1e-3) {
            return number(2, seconds * 1e3) + " ms";
        } else if (seconds >= 1e-6) {
            return number(2, seconds * 1e6) + " us";
        }
        return number(2, seconds * 1e9) + " ns";
    }
}
