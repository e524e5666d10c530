package io.tsp.mesh;

import java.util.ArrayList;
import java.util.List;

/**
 * The arrangement of all ranks as a grid of named axes, outermost first: rank = (index on axis 0) * ... + (index on the
 * last axis). Neighbours on the last axis have neighbouring ranks, which launchers put on one node.
 */
public record Mesh(List<Axis> axes) {

    /**
     * One direction of the grid.
     *
     * @param degree how many ranks stand along it, at least 1
     */
    public record Axis(String name, int degree) {
        public Axis {
            if (degree < 1) {
                throw new IllegalArgumentException("axis " + name + " needs a degree of at least 1, got " + degree);
            }
        }
    }

    public Mesh {
        axes = List.copyOf(axes);
    }

    public static Mesh of(Axis... axes) {
        return new Mesh(List.of(axes));
    }

    /** Number of ranks. */
    public int worldSize() {
        return axes.stream().mapToInt(Axis::degree).reduce(1, Math::multiplyExact);
    }

    public int degree(String axis) {
        return axes.get(find(axis)).degree();
    }

    /** Where a rank stands on an axis. */
    public int index(int rank, String axis) {
        return rank / stride(find(axis)) % degree(axis);
    }

    /** All ranks that differ from this one only along the given axes, in rank order. */
    public Group group(int rank, String... names) {
        List<String> moving = List.of(names);
        List<Integer> ranks = List.of(0);
        for (int i = 0; i < axes.size(); i++) {
            Axis axis = axes.get(i);
            int stride = stride(i);
            boolean moves = moving.contains(axis.name());
            int own = rank / stride % axis.degree();
            int first = moves ? 0 : own;
            int last = moves ? axis.degree() - 1 : own;
            List<Integer> further = new ArrayList<>();
            for (int base : ranks) {
                for (int index = first; index <= last; index++) {
                    further.add(base + index * stride);
                }
            }
            ranks = further;
        }
        return new Group(String.join("+", names), ranks);
    }

    private int find(String name) {
        for (int i = 0; i < axes.size(); i++) {
            if (axes.get(i).name().equals(name)) {
                return i;
            }
        }
        throw new IllegalArgumentException("there is no axis " + name + " in " + axes);
    }

    private int stride(int axis) {
        int stride = 1;
        for (int i = axis + 1; i < axes.size(); i++) {
            stride *= axes.get(i).degree();
        }
        return stride;
    }
}
