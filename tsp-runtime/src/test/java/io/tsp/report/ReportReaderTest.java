package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.ModelException;
import io.tsp.program.Trace;
import io.tsp.report.ReportInput.Document;
import io.tsp.report.ReportInput.Timeline;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A failure means that a page shows something else than a file says, or that a damaged file is shown. */
class ReportReaderTest {
    @TempDir
    Path folder;

    private Document document(String text) {
        return assertInstanceOf(Document.class, ReportReader.read(ReportSamples.file(folder, "result", text)));
    }

    @Test
    void everyNumberOfAComparisonIsKept() throws IOException {
        String text = ReportSamples.comparison("cpu", 512, 0.123456789);
        Document read = document(text);
        assertEquals(ResultKind.COMPARISON, read.kind());
        Map<?, ?> expected = ReportSamples.tree(text);
        Map<String, Object> found = read.objects().getFirst();
        for (String name : List.of("mode", "model", "dtype", "batch", "seq", "device", "threads", "profileHash")) {
            assertEquals(expected.get(name), found.get(name), name);
        }
        List<?> schemes = (List<?>) expected.get("schemes");
        List<?> foundSchemes = (List<?>) found.get("schemes");
        assertEquals(schemes.size(), foundSchemes.size());
        for (int i = 0; i < schemes.size(); i++) {
            Map<?, ?> scheme = (Map<?, ?>) foundSchemes.get(i);
            int at = i;
            ((Map<?, ?>) schemes.get(i)).forEach((name, value) -> {
                if (!name.equals("errorTokens")) {
                    assertEquals(value, scheme.get(name), at + " " + name);
                }
            });
        }
    }

    @Test
    void aPlanMayHaveMoreMembersAndFewer() {
        Document plan = document(ReportSamples.plan());
        assertEquals(ResultKind.PLAN, plan.kind());
        List<?> candidates = (List<?>) plan.objects().getFirst().get("candidates");
        assertEquals(8711936L, ((Map<?, ?>) candidates.get(0)).get("bytesPerRank"));
        assertEquals(
                Map.of("scheme", "tp", "ranks", 4L, "dp", 1L, "bytesPerRank", 9711424L, "fits", false),
                candidates.get(1));
    }

    @Test
    void stepsAreInOrderAndALaterLineOfAStepCounts() {
        Document log = document(ReportSamples.log());
        assertEquals(ResultKind.TRAINING, log.kind());
        assertEquals(
                List.of(1L, 2L, 3L),
                log.objects().stream().map(step -> step.get("step")).toList());
        assertEquals(
                List.of(5.692771376581753, 5.25, 4.75),
                log.objects().stream().map(step -> step.get("loss")).toList());
        assertEquals(5.5, log.objects().get(1).get("evaluationLoss"));
    }

    @Test
    void aTraceKeepsEveryNanosecond() {
        Timeline timeline = assertInstanceOf(Timeline.class, ReportReader.read(ReportSamples.trace(folder)));
        TraceColumns columns = timeline.columns();
        assertEquals(3 * 5, columns.size());
        assertEquals(
                List.of("layer 0: copy", "layer 0: all-reduce", "waits for peers", "layer 1: copy"), columns.names());
        assertEquals(List.of(1_233L, 8_765L, 3_766L, 1_993L, 345L), firstDurations(columns));
    }

    private static List<Long> firstDurations(TraceColumns columns) {
        List<Long> durations = new ArrayList<>();
        for (int slice = 0; slice < 5; slice++) {
            durations.add(columns.duration(slice));
        }
        return durations;
    }

    @Test
    void waitsOfComputeAreThoseOfTheComparison() {
        TraceColumns columns = ((Timeline) ReportReader.read(ReportSamples.trace(folder))).columns();
        int[][] slices = columns.slicesByLane();
        for (int rank = 0; rank < 2; rank++) {
            Trace trace = ReportSamples.trace(rank);
            List<Stalls.Stall> stalls = Stalls.of(columns, columns.processes().get(2L + rank), slices);
            assertEquals(trace.skewNanos(), total(stalls, true));
            assertEquals(trace.exposedTransferNanos(), total(stalls, false));
            assertTrue(trace.skewNanos() > 0 && trace.exposedTransferNanos() > 0);
        }
    }

    private static long total(List<Stalls.Stall> stalls, boolean forPeers) {
        return stalls.stream()
                .filter(stall -> stall.forPeers() == forPeers)
                .mapToLong(stall -> stall.end() - stall.start())
                .sum();
    }

    @Test
    void withoutTheArrivalTheExchangeThatEndedLastIsTaken() throws IOException {
        String text = java.nio.file.Files.readString(ReportSamples.trace(folder))
                .replaceAll(",\"awaitedPeersArrivedMicros\":[0-9.]+", "");
        TraceColumns columns = ((Timeline) ReportReader.read(ReportSamples.file(folder, "old.json", text))).columns();
        List<Stalls.Stall> stalls = Stalls.of(columns, columns.processes().get(2L), columns.slicesByLane());
        assertEquals(ReportSamples.trace(0).skewNanos(), total(stalls, true));
    }

    @Test
    void slicesOutOfOrderAreSorted() {
        TraceColumns columns = ((Timeline) ReportReader.read(ReportSamples.file(folder, "t.json", """
                [{"ph":"X","pid":1,"tid":7,"ts":5,"dur":1},{"ph":"b","args":[1]},{"ph":"X","pid":1,"tid":7,"ts":2,"dur":1.5}]
                """))).columns();
        assertEquals(
                List.of(1, 0),
                java.util.Arrays.stream(columns.slicesByLane()[0]).boxed().toList());
        assertEquals("process 1", columns.processName(1));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "hello",
                "[",
                "[1]",
                "{}",
                "{\"loss\":3}",
                "\u0000\u0001\u0002",
                "{\"schemes\":[]}",
                "{\"schemes\":{}, \"mode\":\"forward\"}",
                "{\"candidates\":[{\"scheme\":\"tsp\"}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":-1}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":1.5}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":99999999999999999999}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":1,\"stepSeconds\":-0.1}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":1,\"stepSeconds\":1e999}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":1,\"stepSeconds\":\"1\"}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":1,\"bytesByClass\":{\"host\":-2}}]}",
                "{\"candidates\":[{\"scheme\":\"tsp\",\"ranks\":1,\"fits\":1}]}",
                "{\"candidates\":[]} {\"candidates\":[]}",
                "{\"candidates\":[],\"candidates\":[]}",
                "{\"candidates\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
                "{\"step\":1,\"tokens\":1}\n{\"step\":2,",
                "{\"step\":1,\"tokens\":1}\n7",
                "{\"step\":1,\"tokens\":1,\"loss\":NaN}",
                "{\"step\":1,\"tokens\":1,\"loss\":\"nan\"}",
                "{\"traceEvents\":[]}",
                "{\"traceEvents\":{}}",
                "{\"traceEvents\":[{\"ph\":\"X\",\"ts\":1}]}",
                "{\"traceEvents\":[{\"ph\":\"X\",\"ts\":-1,\"dur\":1}]}",
                "{\"traceEvents\":[{\"ph\":\"X\",\"ts\":1e300,\"dur\":1}]}",
                "{\"traceEvents\":[{\"ph\":\"X\",\"ts\":1,\"dur\":1,\"pid\":\"a\"}]}",
                "{\"traceEvents\":[{\"ph\":\"X\",\"ts\":1,\"dur\":1}",
            })
    void whatIsNoResultIsRefusedInASentenceThatNamesTheFile(String text) {
        Path file = ReportSamples.file(folder, "bad.json", text);
        ModelException refusal = assertThrows(ModelException.class, () -> ReportReader.read(file));
        assertEquals(ModelException.Part.FILE, refusal.part());
        String sentence = String.valueOf(refusal.getMessage());
        assertTrue(sentence.startsWith(file.toString()), sentence);
        assertTrue(sentence.lines().count() == 1 && sentence.contains("; "), sentence);
    }

    @Test
    void placeAndValueAreNamed() {
        Path file = ReportSamples.file(
                folder, "bad.json", ReportSamples.comparison("cpu", 512, 1).replace("62638,", "-3,"));
        assertEquals(
                file + ": schemes[2].bytesSent is -3, not a whole number from 0 to 2^53;"
                        + " let the command that wrote the file write it again",
                assertThrows(ModelException.class, () -> ReportReader.read(file))
                        .getMessage());
    }

    @Test
    void missingFilesAndFoldersAreRefused() {
        for (Path path : List.of(folder, folder.resolve("none"))) {
            String sentence = assertThrows(ModelException.class, () -> ReportReader.read(path))
                    .getMessage();
            assertTrue(sentence.contains(path.toString()), sentence);
        }
    }
}
