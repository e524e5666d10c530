package io.tsp.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** A failure means that sizes of memory are computed wrongly. */
class ShapeTest {
    @Test
    void countsElements() {
        assertEquals(24, Shape.of(2, 3, 4).count());
        assertEquals(0, Shape.of(2, 0, 4).count());
        assertEquals(4, Shape.of(2, 3, 4).last());
        assertEquals(3, Shape.of(2, 3, 4).rank());
    }

    @Test
    void refusesWhatKernelsCannotTake() {
        assertThrows(IllegalArgumentException.class, Shape::of);
        assertThrows(IllegalArgumentException.class, () -> Shape.of(1, 1, 1, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> Shape.of(2, -1));
    }

    @Test
    void refusesCountsBeyondLong() {
        assertThrows(
                ArithmeticException.class, () -> Shape.of(1L << 32, 1L << 32).count());
    }

    @Test
    void denseStridesAreRowMajor() {
        assertEquals(Shape.of(12, 4, 1), Shape.of(2, 3, 4).denseStrides());
        assertEquals(Shape.of(4, 4, 1), Shape.of(2, 0, 4).denseStrides());
    }

    @Test
    void isAValue() {
        assertEquals(Shape.of(2, 3), Shape.of(2, 3));
        assertEquals(Shape.of(2, 3).hashCode(), Shape.of(2, 3).hashCode());
        assertNotEquals(Shape.of(2, 3), Shape.of(3, 2));
        assertEquals(Shape.of(2, 5), Shape.of(2, 3).with(1, 5));
        assertEquals("[2, 3]", Shape.of(2, 3).toString());
    }

    @Test
    void doesNotShareTheCallersArray() {
        long[] dims = {2, 3};
        Shape shape = Shape.of(dims);
        dims[0] = 7;
        assertEquals(2, shape.dim(0));
    }
}
