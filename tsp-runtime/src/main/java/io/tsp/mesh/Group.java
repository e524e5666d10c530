package io.tsp.mesh;

import java.util.List;

/**
 * The ranks that communicate along one axis, in order of their index on it.
 *
 * @param axis the axis' name, or several joined by '+'
 * @param ranks world ranks
 */
public record Group(String axis, List<Integer> ranks) {
    public Group {
        ranks = List.copyOf(ranks);
    }

    public int size() {
        return ranks.size();
    }

    /** Index of a world rank in this group. */
    public int indexOf(int rank) {
        int index = ranks.indexOf(rank);
        if (index < 0) {
            throw new IllegalArgumentException("rank " + rank + " is not in group " + this);
        }
        return index;
    }

    @Override
    public String toString() {
        return axis + ranks;
    }
}
