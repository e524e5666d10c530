package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.model.Parameter;
import io.tsp.program.ProgramBuilder;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/** The weights of a rank, and in training their gradients: made once, however often the program uses them. */
public final class RankWeights {
    private final ProgramBuilder program;
    private final DType dtype;
    private final Map<String, Tensor> weights = new LinkedHashMap<>();
    private final Map<String, Gradient> gradients = new LinkedHashMap<>();
    private final Set<Gradient> touched = new LinkedHashSet<>();
    private final List<Parameter> parameters = new ArrayList<>();

    /**
     * The gradient of some weights, f32, in Hugging Face's layout.
     *
     * @param buffer all parts, one dimension
     * @param parts which weights they belong to, {@link Parameter.Block} each
     * @param summed ranks whose gradients are to be added up, since they saw other tokens or heads
     * @param holders all ranks that hold the same weights
     */
    public record Gradient(Tensor buffer, List<Parameter> parts, Group summed, Group holders) {}

    /**
     * Who has a gradient.
     *
     * @param summed ranks whose gradients are added up
     * @param holders all ranks that hold the same weights
     */
    public record Sharing(Group summed, Group holders) {}

    RankWeights(ProgramBuilder program, DType dtype) {
        this.program = program;
        this.dtype = dtype;
    }

    /**
     * A buffer of weights.
     *
     * @param parts what fills a buffer, from its tensor
     */
    public Tensor buffer(String name, long count, Function<Tensor, List<Parameter>> parts) {
        Tensor known = weights.get(name);
        if (known != null) {
            return known;
        }
        Tensor buffer = program.input(name, MemoryClass.PARAMETERS, dtype, count);
        weights.put(name, buffer);
        parameters.addAll(parts.apply(buffer));
        return buffer;
    }

    /** A block [rows, columns] of one Hugging Face tensor. */
    public Tensor matrix(String name, Range rows, Range columns) {
        return buffer(name, rows.count() * columns.count(), buffer -> block(buffer, name, rows, columns))
                .reshape(rows.count(), columns.count());
    }

    /** A vector [n], whole. */
    public Tensor vector(String name, long n) {
        return matrix(name, new Range(0, n), new Range(0, 1)).reshape(n);
    }

    /** The gradients of some weights; see {@link Gradient}. */
    public Gradient gradient(String name, long count, Sharing sharing, Function<Tensor, List<Parameter>> parts) {
        Gradient known = gradients.get(name);
        if (known != null) {
            touched.add(known);
            return known;
        }
        Tensor buffer = program.allocate("gradient of " + name, MemoryClass.GRADIENTS, DType.F32, count);
        Gradient gradient = new Gradient(buffer, parts.apply(buffer), sharing.summed(), sharing.holders());
        gradients.put(name, gradient);
        touched.add(gradient);
        return gradient;
    }

    /** The gradient of {@link #matrix}, [rows, columns]. */
    public Tensor matrixGradient(String name, Range rows, Range columns, Sharing sharing) {
        return gradient(name, rows.count() * columns.count(), sharing, buffer -> block(buffer, name, rows, columns))
                .buffer()
                .reshape(rows.count(), columns.count());
    }

    /** The gradient of {@link #vector}, [n]. */
    public Tensor vectorGradient(String name, long n, Sharing sharing) {
        return matrixGradient(name, new Range(0, n), new Range(0, 1), sharing).reshape(n);
    }

    private static List<Parameter> block(Tensor buffer, String name, Range rows, Range columns) {
        return List.of(
                new Parameter(buffer.reshape(rows.count(), columns.count()), new Parameter.Block(name, rows, columns)));
    }

    /** What fills all weights. */
    public List<Parameter> parameters() {
        return List.copyOf(parameters);
    }

    /** Gradients that were asked for since the last call, in the order of their first use. */
    List<Gradient> takeTouched() {
        List<Gradient> taken = List.copyOf(touched);
        touched.clear();
        return taken;
    }

    Collection<Gradient> gradients() {
        return List.copyOf(gradients.values());
    }
}
