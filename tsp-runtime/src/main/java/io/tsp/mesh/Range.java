package io.tsp.mesh;

/** The integers from (inclusive) to to (exclusive). */
public record Range(long from, long to) {
    public Range {
        if (from < 0 || to < from) {
            throw new IllegalArgumentException("not a range: [" + from + ", " + to + ")");
        }
    }

    public long count() {
        return to - from;
    }

    public boolean isEmpty() {
        return to == from;
    }

    /** Part index of parts nearly equal parts of 0..total; where it does not divide, sizes differ by one. */
    public static Range part(long total, int parts, int index) {
        return new Range(Math.multiplyExact(total, index) / parts, Math.multiplyExact(total, index + 1L) / parts);
    }

    /** The same, in whole units; the last unit may be cut off by total. */
    public static Range part(long total, long unit, int parts, int index) {
        Range units = part(Math.ceilDiv(total, unit), parts, index);
        return new Range(Math.min(total, units.from * unit), Math.min(total, units.to * unit));
    }

    @Override
    public String toString() {
        return "[" + from + ", " + to + ")";
    }
}
