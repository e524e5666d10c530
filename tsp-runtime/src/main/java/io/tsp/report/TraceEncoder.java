package io.tsp.report;

import com.fasterxml.jackson.core.JsonGenerator;
import io.tsp.report.TraceColumns.Category;
import io.tsp.report.TraceColumns.Lane;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntToLongFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A trace as the page holds it: a JSON index of runs, ranks and lanes, and the numbers of all lanes one after the other
 * as variable-length integers, column by column. For each lane: starts (each minus the one before), durations, indices
 * of names, categories; then starts and durations of waits for peers. After the lanes of a rank: starts, durations and
 * kinds of its stalls. {@code timeline-data.js} reads it.
 */
final class TraceEncoder {
    /** As {@link TraceReport} names processes. */
    private static final Pattern RANK = Pattern.compile("(.+) rank (\\d{1,9})");

    private static final int PAYLOAD_BITS = 7;
    private static final int MORE = 1 << PAYLOAD_BITS;

    private final TraceColumns columns;
    private final Map<String, List<Rank>> runs = new LinkedHashMap<>();

    private record Rank(long number, List<LaneSlices> lanes, List<Stalls.Stall> stalls) {}

    private record LaneSlices(String name, int[] slices, int[] waits) {}

    TraceEncoder(TraceColumns columns) {
        this.columns = columns;
        int[][] slicesByLane = columns.slicesByLane();
        columns.processes().forEach((process, lanes) -> {
            Matcher name = RANK.matcher(columns.processName(process));
            boolean ours = name.matches();
            Rank rank = rank(ours ? Long.parseLong(name.group(2)) : process, lanes, slicesByLane);
            if (!rank.lanes.isEmpty()) {
                runs.computeIfAbsent(ours ? name.group(1) : "all processes", _ -> new ArrayList<>())
                        .add(rank);
            }
        });
    }

    private Rank rank(long number, List<Lane> lanes, int[][] slicesByLane) {
        List<LaneSlices> filled = new ArrayList<>();
        for (Lane lane : lanes) {
            int[] all = slicesByLane[lane.index()];
            if (all.length > 0) {
                filled.add(new LaneSlices(columns.laneName(lane), some(all, false), some(all, true)));
            }
        }
        return new Rank(number, filled, Stalls.of(columns, lanes, slicesByLane));
    }

    private int[] some(int[] slices, boolean waits) {
        return Arrays.stream(slices)
                .filter(slice -> (columns.category(slice) == Category.WAIT) == waits)
                .toArray();
    }

    /** Members of the index. */
    void writeIndex(JsonGenerator json) throws IOException {
        json.writeFieldName("names");
        JsonTree.write(json, columns.names());
        json.writeArrayFieldStart("runs");
        for (Map.Entry<String, List<Rank>> run : runs.entrySet()) {
            json.writeStartObject();
            json.writeStringField("name", run.getKey());
            json.writeArrayFieldStart("ranks");
            for (Rank rank : run.getValue()) {
                writeIndex(rank, json);
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static void writeIndex(Rank rank, JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeNumberField("rank", rank.number);
        json.writeArrayFieldStart("lanes");
        for (LaneSlices lane : rank.lanes) {
            json.writeStartObject();
            json.writeStringField("name", lane.name);
            json.writeNumberField("slices", lane.slices.length);
            json.writeNumberField("waits", lane.waits.length);
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeNumberField("stalls", rank.stalls.size());
        json.writeEndObject();
    }

    /** Writes the numbers. */
    void writeNumbers(OutputStream out) throws IOException {
        for (List<Rank> ranks : runs.values()) {
            for (Rank rank : ranks) {
                for (LaneSlices lane : rank.lanes) {
                    writeTimes(lane.slices, out);
                    writeAll(lane.slices, columns::name, out);
                    writeAll(lane.slices, slice -> columns.category(slice).ordinal(), out);
                    writeTimes(lane.waits, out);
                }
                writeStalls(rank.stalls, out);
            }
        }
    }

    private void writeTimes(int[] slices, OutputStream out) throws IOException {
        long before = 0;
        for (int slice : slices) {
            write(columns.start(slice) - before, out);
            before = columns.start(slice);
        }
        writeAll(slices, columns::duration, out);
    }

    private static void writeAll(int[] slices, IntToLongFunction column, OutputStream out) throws IOException {
        for (int slice : slices) {
            write(column.applyAsLong(slice), out);
        }
    }

    private static void writeStalls(List<Stalls.Stall> stalls, OutputStream out) throws IOException {
        long before = 0;
        for (Stalls.Stall stall : stalls) {
            write(stall.start() - before, out);
            before = stall.start();
        }
        for (Stalls.Stall stall : stalls) {
            write(stall.end() - stall.start(), out);
        }
        for (Stalls.Stall stall : stalls) {
            write(stall.forPeers() ? 1 : 0, out);
        }
    }

    private static void write(long value, OutputStream out) throws IOException {
        long rest = value;
        while (rest >= MORE) {
            out.write(((int) rest & (MORE - 1)) | MORE);
            rest >>>= PAYLOAD_BITS;
        }
        out.write((int) rest);
    }
}
