package io.tsp.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that rows of activations are taken for other tokens than they are. */
class TokenPlacementTest {
    private static List<String> rows(TokenPlacement placement) {
        List<String> rows = new ArrayList<>();
        placement.forEach((row, sequence, token) -> {
            assertEquals(rows.size(), row);
            rows.add(sequence + ":" + token);
        });
        return rows;
    }

    @Test
    void rowsAreChunksOfOneSequenceAfterTheOther() {
        TokenPlacement placement = new TokenPlacement(new Range(1, 3), List.of(new Range(0, 2), new Range(5, 6)));
        assertEquals(3, placement.tokensPerSequence());
        assertEquals(6, placement.rows());
        assertEquals(List.of("1:0", "1:1", "1:5", "2:0", "2:1", "2:5"), rows(placement));
    }

    @Test
    void noSequencesAndNoTokensAreNoRows() {
        TokenPlacement nobody = new TokenPlacement(new Range(1, 1), List.of(new Range(0, 2)));
        TokenPlacement nothing = new TokenPlacement(new Range(0, 4), List.of(new Range(2, 2), new Range(3, 3)));
        assertEquals(0, nobody.rows());
        assertEquals(List.of(), rows(nobody));
        assertEquals(0, nothing.rows());
        assertEquals(List.of(), rows(nothing));
    }

    @Test
    void allRanksTogetherHoldEveryTokenOnce() {
        for (int degree = 1; degree <= 5; degree++) {
            List<String> all = new ArrayList<>();
            for (int rank = 0; rank < degree; rank++) {
                all.addAll(rows(new TokenPlacement(new Range(0, 2), Zigzag.chunks(7, degree, rank))));
            }
            assertEquals(14, all.size());
            assertEquals(14, all.stream().distinct().count());
        }
    }
}
