package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.evaluate.SchemeResult;
import io.tsp.evaluate.SchemeResult.Deviation;
import io.tsp.evaluate.SchemeResult.Measured;
import io.tsp.tensor.MemoryClass;
import java.io.IOException;
import java.io.StringWriter;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A failure means that the main job shows its results in other columns, or under other names, than users rely on. */
class ComparisonReportTest {
    private static final ComparisonReport.Conditions CONDITIONS =
            new ComparisonReport.Conditions("forward", "tiny", "f32", 1, 2048, "cpu", 2, null);

    private static Measured measured(double seconds, long bytesSent) {
        Map<MemoryClass, Long> classes = Map.of(MemoryClass.PARAMETERS, 3L << 20, MemoryClass.KV_CACHE, 1L << 20);
        return new Measured(2048 / seconds, seconds, 4L << 20, 3L << 20, classes, bytesSent, 0.0012, 0.0345, List.of());
    }

    private static final List<SchemeResult> RESULTS = List.of(
            new SchemeResult("single", 1, measured(0.1, 0), new Deviation(0, 2048), ""),
            new SchemeResult("tp+sp-regions", 4, measured(0.08, 5L << 20), new Deviation(9.4e-7, 2048), ""),
            new SchemeResult("sp", 4, null, null, "sp needs 9.9 GiB"),
            new SchemeResult("tsp", 4, measured(1, 1L << 30), null, "no max error"));

    @Test
    void columnsAreAligned() {
        assertEquals("""
                scheme         ranks  tokens/s  ratio to    step  planned  measured    sent  exposed  skew      max
                                                  single      ms      MiB       MiB     MiB       ms    ms    error
                single             1     20480      1.00   100.0      4.0       3.0       0     34.5   1.2        0
                tp+sp-regions      4     25600      1.25    80.0      4.0       3.0     5.0     34.5   1.2  9.4e-07
                sp                 4  skipped: sp needs 9.9 GiB
                tsp                4      2048      0.10  1000.0      4.0       3.0  1024.0     34.5   1.2        -
                """, String.join("\n", new ComparisonReport(CONDITIONS, RESULTS).table()) + "\n");
    }

    @Test
    void whatIsMissingIsExplainedBelowTheTable() {
        assertEquals(List.of("tsp: no max error"), new ComparisonReport(CONDITIONS, RESULTS).remarks());
    }

    @Test
    void withoutAReferenceThereIsNoRatio() {
        ComparisonReport report = new ComparisonReport(CONDITIONS, List.of(RESULTS.get(2), RESULTS.get(3)));
        assertEquals(
                "tsp         4      2048         -  1000.0      4.0       3.0  1024.0     34.5   1.2      -",
                report.table().getLast());
    }

    @Test
    void jsonNamesAreStable() throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            new ComparisonReport(CONDITIONS, RESULTS.subList(1, 3)).write(json);
        }
        String expected = """
                {"schemaVersion":1,"mode":"forward","model":"tiny","dtype":"f32","batch":1,"seq":2048,"device":"cpu",\
                "threads":2,"schemes":[{"scheme":"tp+sp-regions","ranks":4,"status":"ok","reason":"",\
                "tokensPerSecond":25600.0,"stepSeconds":0.08,"plannedPeakBytes":4194304,"measuredPeakBytes":3145728,\
                "bytesByClass":{"parameters":3145728,"kvCache":1048576},"bytesSent":5242880,"skewSeconds":0.0012,\
                "exposedTransferSeconds":0.0345,"maxError":9.4E-7,"errorTokens":2048},{"scheme":"sp","ranks":4,\
                "status":"skipped","reason":"sp needs 9.9 GiB","tokensPerSecond":null,"stepSeconds":null,\
                "plannedPeakBytes":null,"measuredPeakBytes":null,"bytesByClass":null,"bytesSent":null,\
                "skewSeconds":null,"exposedTransferSeconds":null,"maxError":null,"errorTokens":0}]}""";
        assertEquals(expected, text.toString());
    }

    @Test
    void aTableRefusesRowsThatDoNotFit() {
        Table table = new Table(List.of("a", "b"), List.of("", ""));
        assertThrows(IllegalArgumentException.class, () -> table.row("only one"));
        assertThrows(IllegalArgumentException.class, () -> new Table(List.of("a"), List.of()));
    }
}
