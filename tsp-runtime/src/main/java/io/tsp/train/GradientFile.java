package io.tsp.train;

import io.tsp.checkpoint.SafetensorsWriter;
import io.tsp.checkpoint.SafetensorsWriter.Declaration;
import io.tsp.checkpoint.StoredType;
import io.tsp.mesh.Range;
import io.tsp.model.Parameter.Block;
import io.tsp.model.WeightShapes;
import io.tsp.scheme.TrainingProgram.GradientPart;
import io.tsp.tensor.Shape;
import io.tsp.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The gradients of a whole model by Hugging Face name, f32, put together from the ranks that own the parts. Rows are
 * written as they are read: no gradient is ever whole on the host.
 */
public final class GradientFile implements AutoCloseable {
    private static final int BUFFER_BYTES = 8 << 20;

    private final SafetensorsWriter writer;
    private final Map<String, Shape> shapes;

    /** A part of a tensor and the rank that owns it. */
    private record Part(int rank, Block block, Tensor tensor) {}

    private GradientFile(SafetensorsWriter writer, Map<String, Shape> shapes) {
        this.writer = writer;
        this.shapes = shapes;
    }

    /**
     * Begins a file.
     *
     * @throws io.tsp.checkpoint.StorageException if it cannot be made
     */
    public static GradientFile create(Path file, TrainingPlan plan, Map<String, String> metadata) {
        Map<String, Shape> shapes = WeightShapes.of(plan.request().forward().config());
        List<Declaration> declarations = new ArrayList<>();
        shapes.forEach((name, shape) -> {
            List<Long> dims = new ArrayList<>();
            for (int i = 0; i < shape.rank(); i++) {
                dims.add(shape.dim(i));
            }
            declarations.add(new Declaration(name, StoredType.F32, dims));
        });
        return new GradientFile(SafetensorsWriter.create(file, metadata, declarations), shapes);
    }

    /** Writes the gradients of the last step; all ranks live in this process. */
    public void write(TrainingRunner runner) {
        shapes.forEach((name, shape) -> write(runner, name, shape, parts(runner, name)));
        writer.commit();
    }

    private static List<Part> parts(TrainingRunner runner, String name) {
        List<Part> parts = new ArrayList<>();
        for (int rank : runner.session().localRanks()) {
            for (GradientPart part : runner.plan().programs().get(rank).gradients()) {
                if (part.owner()
                        && part.block().name().equals(name)
                        && !part.tensor().isEmpty()) {
                    parts.add(new Part(rank, part.block(), part.tensor()));
                }
            }
        }
        return parts;
    }

    private void write(TrainingRunner runner, String name, Shape shape, List<Part> parts) {
        long rows = shape.dim(0);
        long columns = shape.rank() == 1 ? 1 : shape.dim(1);
        long step = Math.max(1, BUFFER_BYTES / (columns * Float.BYTES));
        for (long from = 0; from < rows; from += step) {
            Range band = new Range(from, Math.min(rows, from + step));
            ByteBuffer values = ByteBuffer.allocate(Math.toIntExact(band.count() * columns * Float.BYTES))
                    .order(ByteOrder.LITTLE_ENDIAN);
            long filled = 0;
            for (Part part : parts) {
                filled += copy(runner, part, band, columns, values);
            }
            if (filled != band.count() * columns) {
                throw new IllegalStateException("ranks own " + filled + " elements of rows " + band + " of " + name
                        + ", which has " + band.count() * columns);
            }
            writer.write(name, values.clear());
        }
    }

    /** Copies the part's rows of a band, each to its place; returns how many elements. */
    private static long copy(TrainingRunner runner, Part part, Range band, long columns, ByteBuffer target) {
        Block block = part.block();
        long first = Math.max(band.from(), block.rows().from());
        long last = Math.min(band.to(), block.rows().to());
        if (first >= last) {
            return 0;
        }
        long width = block.columns().count();
        Tensor matrix = part.tensor().reshape(block.rows().count(), width);
        ByteBuffer source =
                runner.read(part.rank(), matrix.rows(first - block.rows().from(), last - first));
        int rowBytes = Math.toIntExact(width * Float.BYTES);
        for (long row = first; row < last; row++) {
            long place = (row - band.from()) * columns + block.columns().from();
            source.limit(source.position() + rowBytes);
            target.position(Math.toIntExact(place * Float.BYTES)).put(source);
        }
        return (last - first) * width;
    }

    @Override
    public void close() {
        writer.close();
    }
}
