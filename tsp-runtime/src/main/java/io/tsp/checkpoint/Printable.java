package io.tsp.checkpoint;

/** Text out of an untrusted file as it may stand in a message. */
public final class Printable {
    private static final int MAX_CHARS = 120;

    private Printable() {}

    /** The text in double quotes, with everything that could move a terminal's cursor escaped, and cut where long. */
    public static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        int end = Math.min(text.length(), MAX_CHARS);
        text.substring(0, end).codePoints().forEach(c -> append(quoted, c));
        quoted.append('"');
        if (end < text.length()) {
            quoted.append("... (").append(text.length()).append(" characters)");
        }
        return quoted.toString();
    }

    private static void append(StringBuilder quoted, int codePoint) {
        if (codePoint == '"' || codePoint == '\\') {
            quoted.append('\\').append((char) codePoint);
        } else if (isInvisible(codePoint)) {
            quoted.append(String.format("\\u%04x", codePoint));
        } else {
            quoted.appendCodePoint(codePoint);
        }
    }

    private static boolean isInvisible(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED -> true;
            default -> false;
        };
    }
}
