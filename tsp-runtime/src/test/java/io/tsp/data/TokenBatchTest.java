package io.tsp.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** A failure means that a token is trained to predict the wrong one, or attends across documents. */
class TokenBatchTest {
    @Test
    void everyTokenPredictsTheNextOfItsSequence() {
        TokenBatch batch = TokenBatch.of(2, 3, new int[] {5, 6, 7, 8, 9, 10});
        assertArrayEquals(new int[] {6, 7, -1, 9, 10, -1}, batch.labels());
        assertArrayEquals(new int[] {0, 1, 2, 0, 1, 2}, batch.positions());
        assertArrayEquals(new int[6], batch.kvStart());
        assertEquals(4, batch.labelCount());
    }

    @Test
    void documentsAreClosedToEachOther() {
        int[] ids = {1, 2, 3, 4, 5, 6, 7, 8};
        TokenBatch batch = TokenBatch.of(1, 8, ids, ids, new int[] {3, 3, 3, 9, 1, 1, 1, 1});
        assertArrayEquals(new int[] {2, 3, -1, -1, 6, 7, 8, -1}, batch.labels());
        assertArrayEquals(new int[] {0, 1, 2, 0, 0, 1, 2, 3}, batch.positions());
        assertArrayEquals(new int[] {0, 0, 0, 3, 4, 4, 4, 4}, batch.kvStart());
    }

    @Test
    void aSequenceBeginsADocumentEvenWithTheSameNumber() {
        TokenBatch batch = TokenBatch.of(2, 2, new int[] {1, 2, 3, 4}, new int[] {1, 2, 3, 4}, new int[] {7, 7, 7, 7});
        assertArrayEquals(new int[] {2, -1, 4, -1}, batch.labels());
        assertArrayEquals(new int[] {0, 0, 0, 0}, batch.kvStart());
    }

    @Test
    void labelsThatDoNotCountStayOut() {
        TokenBatch batch = TokenBatch.of(1, 4, new int[] {1, 2, 3, 4}, new int[] {1, -100, 3, -1}, new int[4]);
        assertArrayEquals(new int[] {-1, 3, -1, -1}, batch.labels());
    }

    @Test
    void oneTokenHasNothingToPredict() {
        assertEquals(0, TokenBatch.of(1, 1, new int[] {3}).labelCount());
        assertThrows(IllegalArgumentException.class, () -> TokenBatch.of(0, 4, new int[0]));
        assertThrows(IllegalArgumentException.class, () -> TokenBatch.of(1, 0, new int[0]));
        assertThrows(IllegalArgumentException.class, () -> TokenBatch.of(2, 2, new int[3]));
    }

    @Test
    void aTextIsCutWithoutLosingOrAddingATarget() {
        int[] ids = new int[23];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i + 1;
        }
        TextBatches batches = new TextBatches(ids, 2, 5);
        assertEquals(3, batches.count());
        assertArrayEquals(
                new int[] {11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
                batches.get(1).ids());
        TokenBatch last = batches.get(2);
        assertArrayEquals(new int[] {21, 22, 23, 0, 0, 0, 0, 0, 0, 0}, last.ids());
        assertArrayEquals(new int[] {22, 23, -1, -1, -1, -1, -1, -1, -1, -1}, last.labels());
        long labels = 0;
        for (int i = 0; i < batches.count(); i++) {
            labels += batches.get(i).labelCount();
        }
        // Every token but the first of each of the five sequences.
        assertEquals(23 - 5, labels);
        assertThrows(IllegalArgumentException.class, () -> new TextBatches(new int[0], 1, 1));
        assertThrows(IllegalArgumentException.class, () -> new TextBatches(ids, 0, 1));
    }
}
