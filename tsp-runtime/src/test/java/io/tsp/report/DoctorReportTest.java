package io.tsp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.report.DoctorReport.Finding;
import io.tsp.report.DoctorReport.Level;
import io.tsp.report.DoctorReport.Section;
import java.io.IOException;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that what doctor found out is not shown as users and scripts know it. */
class DoctorReportTest {
    private static final DoctorReport REPORT = new DoctorReport(List.of(
            new Section("machine", List.of(Finding.ok("memory", "8 GiB"))),
            new Section(
                    "environment",
                    List.of(Finding.warning("KMP_AFFINITY", "=x", "unset it"), Finding.error("lib", "gone", "")))));

    @Test
    void namesAndValuesAreAlignedAndAdviceStandsBelow() {
        assertEquals("""
                machine
                  ok       memory        8 GiB
                environment
                  warning  KMP_AFFINITY  =x
                                         -> unset it
                  error    lib           gone
                """, String.join("\n", REPORT.lines()) + "\n");
        assertEquals(1, REPORT.count(Level.WARNING));
    }

    @Test
    void jsonNamesAreStable() throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            REPORT.write(json);
        }
        assertEquals("""
                {"schemaVersion":1,"usable":false,"warnings":1,"sections":[{"name":"machine","findings":[\
                {"name":"memory","level":"ok","value":"8 GiB","advice":""}]},{"name":"environment","findings":[\
                {"name":"KMP_AFFINITY","level":"warning","value":"=x","advice":"unset it"},\
                {"name":"lib","level":"error","value":"gone","advice":""}]}]}""", text.toString());
    }
}
