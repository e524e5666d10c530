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
        List<Integer> ranks = new ArrayList<>();
        List<String> moving = List.of(names);
        for (int other = 0; other < worldSize(); other++) {
            if (sameOutside(rank, other, moving)) {
                ranks.add(other);
            }
        }
        return new Group(String.join("+", names), ranks);
    }

    private boolean sameOutside(int rank, int other, List<String> moving) {
        for (Axis axis : axes) {
            if (!moving.contains(axis.name()) && index(rank, axis.name()) != index(other, axis.name())) {
                return false;
            }
        }
        return true;
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
