package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
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
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that a drawn trace lies about what happened when. */
class TraceReportTest {
    /** A copy, then an exchange whose peer comes late, in times that do not fit whole microseconds. */
    private static Trace trace(int rank) {
        ProgramBuilder program = new ProgramBuilder(rank);
        Tensor input = program.input("input", MemoryClass.HOST, DType.F32, 4);
        Tensor sum = program.output(program.allocate("sum", MemoryClass.HOST, DType.F32, 4));
        program.label("layer 0");
        program.compute(new Copy(input, sum));
        program.communicate(Lane.KV, new AllReduce(new Group("tp", List.of(0, 1)), rank, sum));
        return new Trace(
                Schedule.overlapped(program.build()),
                List.of(
                        new Span(1_000_001, 1_000_001, 1_001_234, 0),
                        new Span(1_000_100, 1_001_234, 1_009_999, 1_005_000)));
    }

    private static String written(TraceReport.Run... runs) throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            TraceReport.write(List.of(runs), json);
        }
        return text.toString();
    }

    @Test
    void stepsWaitsAndBytesAreWritten() throws IOException {
        String expected = """
                {"displayTimeUnit":"ms","traceEvents":[\
                {"ph":"M","name":"process_name","pid":1,"tid":0,"args":{"name":"tp rank 0"}},\
                {"ph":"M","name":"thread_name","pid":1,"tid":1,"args":{"name":"COMPUTE"}},\
                {"ph":"M","name":"thread_name","pid":1,"tid":3,"args":{"name":"KV"}},\
                {"ph":"X","name":"layer 0: copy","cat":"compute","pid":1,"tid":1,"ts":0.000,"dur":1.233,\
                "args":{"step":0,"op":"copy","bytesRead":16,"bytesWritten":16,"waitedMicros":0.000}},\
                {"ph":"X","name":"layer 0: all-reduce","cat":"communication","pid":1,"tid":3,"ts":1.233,"dur":8.765,\
                "args":{"step":1,"op":"all-reduce","bytesRead":16,"bytesWritten":16,"waitedMicros":1.134,\
                "group":"tp[0, 1]","bytesSent":16,"peersArrivedMicros":4.999}},\
                {"ph":"X","name":"waits for peers","cat":"wait","pid":1,"tid":3,"ts":1.233,"dur":3.766}]}""";
        assertEquals(expected, written(new TraceReport.Run("tp", List.of(trace(0)))));
    }

    @Test
    void everyRankOfEveryRunIsAProcess() throws IOException {
        String text = written(
                new TraceReport.Run("tp", List.of(trace(0), trace(1))), new TraceReport.Run("sp", List.of(trace(0))));
        assertTrue(text.contains("\"pid\":1,\"tid\":0,\"args\":{\"name\":\"tp rank 0\"}"), text);
        assertTrue(text.contains("\"pid\":2,\"tid\":0,\"args\":{\"name\":\"tp rank 1\"}"), text);
        assertTrue(text.contains("\"pid\":3,\"tid\":0,\"args\":{\"name\":\"sp rank 0\"}"), text);
    }
}
