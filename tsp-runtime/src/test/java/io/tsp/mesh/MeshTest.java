package io.tsp.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.mesh.Mesh.Axis;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** A failure means that ranks look for each other in the wrong place. */
class MeshTest {
    private static final List<String> NAMES = List.of("dp", "sp", "tp");

    private static void forAll(Consumer<Mesh> claim) {
        for (int dp = 1; dp <= 3; dp++) {
            for (int sp = 1; sp <= 3; sp++) {
                for (int tp = 1; tp <= 4; tp++) {
                    claim.accept(Mesh.of(new Axis("dp", dp), new Axis("sp", sp), new Axis("tp", tp)));
                }
            }
        }
    }

    @Test
    void indicesNameEachRankOnce() {
        forAll(mesh -> {
            Set<List<Integer>> places = new HashSet<>();
            for (int rank = 0; rank < mesh.worldSize(); rank++) {
                int self = rank;
                List<Integer> place =
                        NAMES.stream().map(name -> mesh.index(self, name)).toList();
                assertTrue(places.add(place), place + " is taken twice in " + mesh);
                int expected = (place.get(0) * mesh.degree("sp") + place.get(1)) * mesh.degree("tp") + place.get(2);
                assertEquals(expected, rank);
            }
        });
    }

    @Test
    void groupsOfAnAxisCutTheWorldIntoPieces() {
        forAll(mesh -> {
            for (String name : NAMES) {
                Map<Integer, Group> groupOf = new HashMap<>();
                for (int rank = 0; rank < mesh.worldSize(); rank++) {
                    Group group = mesh.group(rank, name);
                    assertEquals(mesh.degree(name), group.size());
                    assertEquals(mesh.index(rank, name), group.indexOf(rank));
                    for (int peer : group.ranks()) {
                        assertEquals(group, groupOf.computeIfAbsent(peer, key -> group));
                    }
                }
            }
        });
    }

    @Test
    void groupsOfTwoAxesHoldAllTheirRanksInOrder() {
        forAll(mesh -> {
            for (int rank = 0; rank < mesh.worldSize(); rank++) {
                Group group = mesh.group(rank, "dp", "tp");
                assertEquals("dp+tp", group.axis());
                assertEquals(mesh.degree("dp") * mesh.degree("tp"), group.size());
                assertEquals(group.ranks().stream().sorted().toList(), group.ranks());
                for (int peer : group.ranks()) {
                    assertEquals(mesh.index(rank, "sp"), mesh.index(peer, "sp"));
                }
            }
        });
    }

    @Test
    void neighboursOnTheLastAxisAreNeighbours() {
        Mesh mesh = Mesh.of(new Axis("dp", 2), new Axis("tp", 3));
        assertEquals(new Group("tp", List.of(3, 4, 5)), mesh.group(4, "tp"));
        assertEquals(new Group("dp", List.of(1, 4)), mesh.group(4, "dp"));
        assertEquals("dp[1, 4]", mesh.group(4, "dp").toString());
    }

    @Test
    void refusesWhatIsNotThere() {
        Mesh mesh = Mesh.of(new Axis("dp", 2));
        assertThrows(IllegalArgumentException.class, () -> mesh.degree("tp"));
        assertThrows(IllegalArgumentException.class, () -> mesh.group(0, "dp").indexOf(2));
        assertThrows(IllegalArgumentException.class, () -> new Axis("tp", 0));
        Mesh huge = Mesh.of(new Axis("a", 1 << 20), new Axis("b", 1 << 20));
        assertThrows(ArithmeticException.class, huge::worldSize);
    }
}
