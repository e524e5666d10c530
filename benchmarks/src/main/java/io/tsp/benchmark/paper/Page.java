package io.tsp.benchmark.paper;

import java.util.List;
import java.util.Locale;

/** A page of Markdown under construction. */
final class Page {
    private static final double BYTES_PER_GIB = 1L << 30;
    private static final double BYTES_PER_MB = 1e6;

    private final StringBuilder text = new StringBuilder();

    Page(String title, String command) {
        line("# " + title);
        paragraph("Made by `" + command + "`; a test compares this page with what the command says. Nothing here was"
                + " measured.");
    }

    private void line(String line) {
        text.append(line).append('\n');
    }

    Page heading(String heading) {
        line("");
        line("## " + heading);
        return this;
    }

    Page paragraph(String paragraph) {
        line("");
        line(paragraph.strip());
        return this;
    }

    /** The first column is set left, the others right. */
    Page table(List<String> head, List<List<String>> rows) {
        line("");
        line(row(head));
        line("|---" + "|---:".repeat(head.size() - 1) + "|");
        for (List<String> cells : rows) {
            if (cells.size() != head.size()) {
                throw new IllegalArgumentException(cells.size() + " cells for " + head.size() + " columns: " + cells);
            }
            line(row(cells));
        }
        return this;
    }

    private static String row(List<String> cells) {
        return "| " + String.join(" | ", cells) + " |";
    }

    static String number(double value, int digits) {
        return String.format(Locale.ROOT, "%,." + digits + "f", value);
    }

    static String gib(double bytes) {
        return number(bytes / BYTES_PER_GIB, 1);
    }

    static String mb(double bytes) {
        return number(bytes / BYTES_PER_MB, 0);
    }

    /** Such as 128K. */
    static String tokens(long seq) {
        return seq % (1 << 20) == 0 ? (seq >> 20) + "M" : (seq >> 10) + "K";
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
