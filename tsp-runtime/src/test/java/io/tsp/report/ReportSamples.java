package io.tsp.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.program.Schedule;
import io.tsp.program.Trace;
import io.tsp.program.Trace.Span;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Results as files, small and with numbers that are not round. */
final class ReportSamples {
    /** What would end the script that holds the data, if it could. */
    static final String HOSTILE = "</script><b>a & \"b\" \u2028 Ω";

    private ReportSamples() {}

    static String comparison(String device, int seq, double seconds) {
        return String.format(
                Locale.ROOT,
                """
                {"schemaVersion":1,"mode":"forward","model":"%s","dtype":"bf16","batch":1,"seq":%d,"device":"%s",
                "profile":"mi300x","profileHash":"0a1b2c","threads":2,"future":{"more":[1]},"schemes":[
                {"scheme":"single","ranks":1,"status":"ok","reason":"","tokensPerSecond":18386.926209028556,"stepSeconds":%s,
                "plannedPeakBytes":%d,"measuredPeakBytes":13941264,"bytesByClass":{"parameters":12329984,"transient":904960},
                "bytesSent":0,"skewSeconds":0.0,"exposedTransferSeconds":6.44532E-4,"maxError":0.0,"errorTokens":101},
                {"scheme":"tsp","ranks":4,"status":"ok","reason":"","tokensPerSecond":27051.54765211445,"stepSeconds":%s,
                "plannedPeakBytes":%d,"measuredPeakBytes":8711072,"bytesByClass":{"parameters":6169600,"kvCache":306944},
                "bytesSent":6263824,"skewSeconds":0.36898125,"exposedTransferSeconds":0.026565626,
                "maxError":7.466524304936585E-7},
                {"scheme":"tp","ranks":4,"status":"ok","reason":"no max error","tokensPerSecond":17051.5,"stepSeconds":%s,
                "plannedPeakBytes":9711424,"measuredPeakBytes":9711072,"bytesByClass":{"parameters":6169600},
                "bytesSent":62638,"skewSeconds":0.1,"exposedTransferSeconds":0.01,"maxError":null},
                {"scheme":"ulysses","ranks":4,"status":"skipped","reason":"needs 9.9 GiB","tokensPerSecond":null,
                "stepSeconds":null,"plannedPeakBytes":null,"measuredPeakBytes":null,"bytesByClass":null}]}
                """,
                json(HOSTILE),
                seq,
                device,
                seconds,
                13941504 + seq,
                seconds / 1.5,
                8711424 + seq,
                seconds * 1.1);
    }

    static String plan() {
        return """
                {"schemaVersion":1,"batch":1,"candidates":[
                {"scheme":"tsp","ranks":4,"dp":1,"seq":512,"bytesPerRank":8711936,"bytesByClass":{"optimizer":7},
                "fits":true,"stepSeconds":0.07,"tokensPerSecond":27000.5,"exposedTransferSeconds":0.02,"why":"least bytes"},
                {"scheme":"tp","ranks":4,"dp":1,"bytesPerRank":9711424,"fits":false}],"recommended":0}
                """;
    }

    static String log() {
        return """
                {"schemaVersion":1,"step":1,"loss":5.692771376581753,"gradNorm":9.349199295043945,
                "learningRate":6.666666666666667E-5,"tokens":2048,"tokensPerSecond":1717.78,"peakBytes":82597888}
                {"schemaVersion":1,"step":3,"loss":4.5,"gradNorm":null,"learningRate":1.0E-4,"tokens":2048,"sample":"lost"}
                {"schemaVersion":1,"step":2,"loss":5.25,"gradNorm":7.5,"learningRate":1.0E-4,"tokens":2048,"evaluationLoss":5.5}
                {"schemaVersion":1,"step":3,"loss":4.75,"gradNorm":6.5,"learningRate":1.0E-4,"tokens":2048}
                """;
    }

    private static String json(String text) {
        return text.replace("\"", "\\\"");
    }

    /**
     * A copy, an exchange whose peers come late, and a copy that waits for it: half of the time for the peers. A third
     * copy does not wait.
     */
    static Trace trace(int rank) {
        ProgramBuilder program = new ProgramBuilder(rank);
        Tensor input = program.input("input", MemoryClass.HOST, DType.F32, 4);
        Tensor sum = program.allocate("sum", MemoryClass.HOST, DType.F32, 4);
        Tensor result = program.output(program.allocate("result", MemoryClass.HOST, DType.F32, 4));
        Tensor other = program.output(program.allocate("other", MemoryClass.HOST, DType.F32, 4));
        program.label("layer 0");
        program.compute(new Copy(input, sum));
        program.communicate(Lane.KV, new AllReduce(new Group("tp", List.of(0, 1)), rank, sum));
        program.label("layer 1");
        program.compute(new Copy(sum, result));
        program.compute(new Copy(input, other));
        return new Trace(
                Schedule.overlapped(program.build()),
                List.of(
                        new Span(1_000_001, 1_000_001, 1_001_234, 0),
                        new Span(1_000_100, 1_001_234, 1_009_999, 1_005_000 + rank),
                        new Span(1_001_300, 1_010_007, 1_012_000, 0),
                        new Span(1_012_000, 1_012_000, 1_012_345, 0)));
    }

    /** Files in a folder: a trace of tp on two ranks and single on one. */
    static Path trace(Path folder) {
        Path file = folder.resolve("trace.json");
        try (ReportFile out = ReportFile.create(file)) {
            out.writeCompact(json -> TraceReport.write(
                    List.of(
                            new TraceReport.Run("single", List.of(trace(0))),
                            new TraceReport.Run("tp", List.of(trace(0), trace(1)))),
                    json));
        }
        return file;
    }

    static Path file(Path folder, String name, String text) {
        try {
            return Files.writeString(folder.resolve(name), text);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** A document as {@link JsonTree} reads it. */
    static Map<?, ?> tree(String text) throws IOException {
        try (JsonParser parser = new JsonFactory().createParser(text)) {
            parser.nextToken();
            return (Map<?, ?>) JsonTree.read(parser);
        }
    }
}
