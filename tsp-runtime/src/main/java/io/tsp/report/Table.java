package io.tsp.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Text in aligned columns under a heading of two lines. The first column is set left, the others right. */
public final class Table {
    private static final String GAP = "  ";

    private final List<List<String>> head;
    private final List<Row> rows = new ArrayList<>();

    /** @param note free text in place of the cells that are missing */
    private record Row(List<String> cells, String note) {}

    /**
     * @param upper upper line of the heading, one text for each column
     * @param lower lower line of the heading
     */
    public Table(List<String> upper, List<String> lower) {
        if (upper.size() != lower.size()) {
            throw new IllegalArgumentException("headings of " + upper.size() + " and " + lower.size() + " columns");
        }
        head = List.of(List.copyOf(upper), List.copyOf(lower));
    }

    /** Adds a row with a cell for each column. */
    public void row(String... cells) {
        if (cells.length != head.getFirst().size()) {
            throw new IllegalArgumentException(
                    cells.length + " cells for " + head.getFirst().size() + " columns");
        }
        rows.add(new Row(List.copyOf(Arrays.asList(cells)), ""));
    }

    /** Adds a row of a few cells and a text that takes the place of the others. */
    public void note(String text, String... cells) {
        rows.add(new Row(List.copyOf(Arrays.asList(cells)), text));
    }

    /** All lines; the first two are the heading. */
    public List<String> lines() {
        int[] widths = widths();
        List<String> lines = new ArrayList<>();
        head.forEach(cells -> lines.add(line(cells, widths, "")));
        rows.forEach(row -> lines.add(line(row.cells, widths, row.note)));
        return lines;
    }

    private int[] widths() {
        int[] widths = new int[head.getFirst().size()];
        head.forEach(cells -> widen(widths, cells));
        rows.forEach(row -> widen(widths, row.cells));
        return widths;
    }

    private static void widen(int[] widths, List<String> cells) {
        for (int i = 0; i < cells.size(); i++) {
            widths[i] = Math.max(widths[i], cells.get(i).length());
        }
    }

    private static String line(List<String> cells, int[] widths, String note) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < cells.size(); i++) {
            String padding = " ".repeat(widths[i] - cells.get(i).length());
            line.append(i == 0 ? "" : GAP).append(i == 0 ? cells.get(i) + padding : padding + cells.get(i));
        }
        if (!note.isEmpty()) {
            line.append(GAP).append(note);
        }
        return line.toString().stripTrailing();
    }
}
