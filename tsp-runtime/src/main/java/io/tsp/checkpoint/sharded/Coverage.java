package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.Printable;
import io.tsp.mesh.Range;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter.Block;
import io.tsp.model.WeightShapes;
import io.tsp.tensor.Shape;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.TreeMap;

/** Whether slices are a model: every element of every weight in exactly one of them. */
final class Coverage {
    private Coverage() {}

    /** What is wrong with the slices of these files, if anything is. */
    static Optional<String> problem(ModelConfig config, List<FileEntry> files) {
        Map<String, Shape> shapes = WeightShapes.of(config);
        Map<String, List<Block>> slices = new LinkedHashMap<>();
        for (FileEntry file : files) {
            for (Block slice : file.slices()) {
                slices.computeIfAbsent(slice.name(), name -> new ArrayList<>()).add(slice);
            }
        }
        for (Map.Entry<String, List<Block>> entry : slices.entrySet()) {
            Shape shape = shapes.get(entry.getKey());
            if (shape == null) {
                return Optional.of("a model of its config.json has no weight " + Printable.quote(entry.getKey()));
            }
            Optional<String> problem = problem(shape, entry.getValue());
            if (problem.isPresent()) {
                return problem;
            }
        }
        return shapes.keySet().stream()
                .filter(name -> !slices.containsKey(name))
                .findFirst()
                .map(name -> "no slice holds anything of " + name);
    }

    /** Slices inside the shape that do not overlap and have as many elements as it: so they leave no hole. */
    private static Optional<String> problem(Shape shape, List<Block> slices) {
        long rows = shape.dim(0);
        long columns = shape.rank() == 1 ? 1 : shape.last();
        for (Block slice : slices) {
            if (slice.rows().to() > rows || slice.columns().to() > columns) {
                return Optional.of("the slice " + described(slice) + " lies outside its shape " + shape);
            }
        }
        Optional<String> overlap = overlap(slices);
        if (overlap.isPresent()) {
            return overlap;
        }
        long covered = 0;
        for (Block slice : slices) {
            covered += slice.rows().count() * slice.columns().count();
        }
        if (covered == shape.count()) {
            return Optional.empty();
        }
        return Optional.of(
                "the slices of " + slices.getFirst().name() + " hold " + covered + " elements of its " + shape.count());
    }

    /** Moves down the rows with the slices that cross the current one, sorted by column. */
    private static Optional<String> overlap(List<Block> slices) {
        List<Block> sorted = new ArrayList<>(slices);
        sorted.sort(Comparator.comparingLong(slice -> slice.rows().from()));
        PriorityQueue<Block> byEnd = new PriorityQueue<>(
                Comparator.comparingLong(slice -> slice.rows().to()));
        TreeMap<Long, Block> crossing = new TreeMap<>();
        for (Block slice : sorted) {
            while (!byEnd.isEmpty()
                    && byEnd.element().rows().to() <= slice.rows().from()) {
                crossing.remove(byEnd.remove().columns().from());
            }
            Range columns = slice.columns();
            Map.Entry<Long, Block> left = crossing.lowerEntry(columns.to());
            if (left != null && left.getValue().columns().to() > columns.from()) {
                return Optional.of(
                        "the slices " + described(left.getValue()) + " and " + described(slice) + " overlap");
            }
            crossing.put(columns.from(), slice);
            byEnd.add(slice);
        }
        return Optional.empty();
    }

    private static String described(Block slice) {
        return Printable.quote(slice.name()) + " rows " + slice.rows() + " columns " + slice.columns();
    }
}
