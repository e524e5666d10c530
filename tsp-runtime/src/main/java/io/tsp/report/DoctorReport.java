package io.tsp.report;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What was found out about a machine, as lines and as JSON. */
public record DoctorReport(List<Section> sections) {

    /** How much a finding matters. */
    public enum Level {
        OK,
        /** Worth knowing; nothing has to be done. */
        NOTE,
        /** Something is slower, or may go wrong. */
        WARNING,
        /** Something that every run needs is not there. */
        ERROR
    }

    /**
     * One thing that was looked at.
     *
     * @param advice what to do; empty if nothing
     */
    public record Finding(String name, Level level, String value, String advice) {
        public static Finding ok(String name, String value) {
            return new Finding(name, Level.OK, value, "");
        }

        public static Finding note(String name, String value, String advice) {
            return new Finding(name, Level.NOTE, value, advice);
        }

        public static Finding warning(String name, String value, String advice) {
            return new Finding(name, Level.WARNING, value, advice);
        }

        public static Finding error(String name, String value, String advice) {
            return new Finding(name, Level.ERROR, value, advice);
        }
    }

    /** Findings of one kind. */
    public record Section(String name, List<Finding> findings) {
        public Section {
            findings = List.copyOf(findings);
        }
    }

    public DoctorReport {
        sections = List.copyOf(sections);
    }

    /** Findings of a level. */
    public long count(Level level) {
        return findings().stream().filter(finding -> finding.level == level).count();
    }

    private List<Finding> findings() {
        return sections.stream().flatMap(section -> section.findings.stream()).toList();
    }

    /** For a terminal: a heading for each section, a line for each finding, its advice below it. */
    public List<String> lines() {
        int width = findings().stream()
                .mapToInt(finding -> finding.name.length())
                .max()
                .orElse(0);
        List<String> lines = new ArrayList<>();
        for (Section section : sections) {
            lines.add(section.name);
            for (Finding finding : section.findings) {
                String mark = finding.level.name().toLowerCase(Locale.ROOT);
                String name = finding.name + " ".repeat(width - finding.name.length());
                lines.add(String.format(Locale.ROOT, "  %-7s  %s  %s", mark, name, finding.value));
                if (!finding.advice.isEmpty()) {
                    lines.add(" ".repeat(2 + 7 + 2 + width + 2) + "-> " + finding.advice);
                }
            }
        }
        return lines;
    }

    /** With stable names. */
    public void write(JsonGenerator json) throws IOException {
        Json.begin(json);
        json.writeBooleanField("usable", count(Level.ERROR) == 0);
        json.writeNumberField("warnings", count(Level.WARNING));
        json.writeArrayFieldStart("sections");
        for (Section section : sections) {
            json.writeStartObject();
            json.writeStringField("name", section.name);
            json.writeArrayFieldStart("findings");
            for (Finding finding : section.findings) {
                json.writeStartObject();
                json.writeStringField("name", finding.name);
                json.writeStringField("level", finding.level.name().toLowerCase(Locale.ROOT));
                json.writeStringField("value", finding.value);
                json.writeStringField("advice", finding.advice);
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
