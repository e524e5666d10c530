package io.tsp.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** A failure means that shards overlap, leave something out, or are more uneven than they have to be. */
class RangeTest {
    @Test
    void partsCoverEverythingOnceAndDifferByOne() {
        for (long total = 0; total <= 40; total++) {
            for (int parts = 1; parts <= 12; parts++) {
                long next = 0;
                for (int i = 0; i < parts; i++) {
                    Range part = Range.part(total, parts, i);
                    assertEquals(next, part.from());
                    assertTrue(part.count() == total / parts || part.count() == Math.ceilDiv(total, parts));
                    assertEquals(part.count() == 0, part.isEmpty());
                    next = part.to();
                }
                assertEquals(total, next);
            }
        }
    }

    @Test
    void partsOfUnitsBeginAtUnits() {
        for (long total = 0; total <= 40; total++) {
            for (long unit = 1; unit <= 9; unit++) {
                for (int parts = 1; parts <= 6; parts++) {
                    long next = 0;
                    for (int i = 0; i < parts; i++) {
                        Range part = Range.part(total, unit, parts, i);
                        assertEquals(next, part.from());
                        assertTrue(part.from() % unit == 0 || part.isEmpty(), part + " of units of " + unit);
                        next = part.to();
                    }
                    assertEquals(total, next);
                }
            }
        }
    }

    @Test
    void refusesOverflowInsteadOfWrongParts() {
        assertThrows(ArithmeticException.class, () -> Range.part(Long.MAX_VALUE / 2, 8, 7));
    }

    @Test
    void refusesWhatIsNoRange() {
        assertThrows(IllegalArgumentException.class, () -> new Range(3, 2));
        assertThrows(IllegalArgumentException.class, () -> new Range(-1, 2));
    }
}
