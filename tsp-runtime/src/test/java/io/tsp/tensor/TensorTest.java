package io.tsp.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that an op would touch other bytes than it says. */
class TensorTest {
    private final Slot slot = new Slot(3, "slot", MemoryClass.TRANSIENT, 240);
    private final Tensor tensor = Tensor.dense(slot, 0, DType.F32, Shape.of(3, 4, 5));

    /** Byte offsets of all elements, in row-major order of the shape. */
    private static List<Long> places(Tensor tensor) {
        List<Long> places = new ArrayList<>();
        walk(tensor, 0, tensor.byteOffset(), places);
        return places;
    }

    private static void walk(Tensor tensor, int dim, long at, List<Long> places) {
        if (dim == tensor.shape().rank()) {
            places.add(at);
            return;
        }
        for (long i = 0; i < tensor.dim(dim); i++) {
            walk(
                    tensor,
                    dim + 1,
                    at + i * tensor.strides().dim(dim) * tensor.dtype().bytes(),
                    places);
        }
    }

    @Test
    void denseTensorFillsItsBytes() {
        assertTrue(tensor.isDense());
        assertEquals(240, tensor.bytes());
        assertEquals(240, tensor.byteEnd());
        List<Long> places = places(tensor);
        for (int i = 0; i < places.size(); i++) {
            assertEquals(4L * i, places.get(i));
        }
    }

    @Test
    void sliceHasThePlacesOfItsPart() {
        for (int dim = 0; dim < 3; dim++) {
            for (long from = 0; from <= tensor.dim(dim); from++) {
                for (long count = 0; from + count <= tensor.dim(dim); count++) {
                    Tensor slice = tensor.slice(dim, from, count);
                    assertEquals(placesOfPart(dim, from, count), places(slice));
                    assertEquals(count == tensor.dim(dim) || isDense(slice), slice.isDense(), slice::toString);
                    long last = places(slice).stream()
                            .mapToLong(Long::longValue)
                            .max()
                            .orElse(slice.byteOffset() - 4);
                    assertEquals(last + 4, slice.byteEnd());
                }
            }
        }
    }

    private List<Long> placesOfPart(int dim, long from, long count) {
        List<Long> places = new ArrayList<>();
        for (long i = 0; i < 60; i++) {
            long[] index = {i / 20, i / 5 % 4, i % 5};
            if (index[dim] >= from && index[dim] < from + count) {
                places.add(4 * i);
            }
        }
        return places;
    }

    private static boolean isDense(Tensor tensor) {
        List<Long> places = places(tensor);
        for (int i = 1; i < places.size(); i++) {
            if (places.get(i) != places.get(i - 1) + tensor.dtype().bytes()) {
                return false;
            }
        }
        return true;
    }

    @Test
    void rowsAreSlicesOfTheOutermostDim() {
        assertEquals(tensor.slice(0, 1, 2), tensor.rows(1, 2));
    }

    @Test
    void reshapeKeepsPlaces() {
        assertEquals(places(tensor), places(tensor.reshape(5, 12)));
        assertEquals(places(tensor), places(tensor.reshape(60)));
        Tensor columns = tensor.reshape(6, 10).slice(1, 2, 4);
        assertEquals(places(columns), places(columns.reshape(6, 2, 2)));
        assertFalse(columns.reshape(6, 2, 2).isDense());
    }

    @Test
    void refusesReshapeThatWouldMoveElements() {
        assertThrows(IllegalArgumentException.class, () -> tensor.reshape(7, 8));
        Tensor columns = tensor.reshape(6, 10).slice(1, 2, 4);
        assertThrows(IllegalArgumentException.class, () -> columns.reshape(24));
        assertThrows(IllegalArgumentException.class, () -> columns.reshape(3, 2, 4));
    }

    @Test
    void refusesViewsBeyondTheSlot() {
        assertThrows(IllegalArgumentException.class, () -> Tensor.dense(slot, 4, DType.F32, Shape.of(60)));
        assertThrows(IllegalArgumentException.class, () -> Tensor.dense(slot, -4, DType.F32, Shape.of(2)));
        assertThrows(IllegalArgumentException.class, () -> Tensor.dense(slot, 2, DType.F32, Shape.of(2)));
        assertThrows(IllegalArgumentException.class, () -> tensor.slice(1, 3, 2));
        assertThrows(IllegalArgumentException.class, () -> tensor.slice(1, -1, 2));
        assertThrows(IllegalArgumentException.class, () -> tensor.slice(1, 2, -1));
        assertThrows(
                IllegalArgumentException.class, () -> new Tensor(slot, 0, DType.F32, Shape.of(2, 4), Shape.of(60, 1)));
    }

    @Test
    void refusesStridesWithoutUnitStep() {
        assertThrows(
                IllegalArgumentException.class, () -> new Tensor(slot, 0, DType.F32, Shape.of(2, 4), Shape.of(8, 2)));
        assertThrows(IllegalArgumentException.class, () -> new Tensor(slot, 0, DType.F32, Shape.of(2, 4), Shape.of(1)));
    }

    @Test
    void overlapsWhereExtentsMeet() {
        assertTrue(tensor.rows(0, 2).overlaps(tensor.rows(1, 1)));
        assertFalse(tensor.rows(0, 1).overlaps(tensor.rows(1, 1)));
        assertFalse(tensor.rows(1, 0).overlaps(tensor), "nothing overlaps with an empty tensor");
        assertFalse(tensor.overlaps(
                Tensor.dense(new Slot(4, "other", MemoryClass.TRANSIENT, 240), 0, DType.F32, Shape.of(3, 4, 5))));
        Tensor left = tensor.reshape(6, 10).slice(1, 0, 5);
        Tensor right = tensor.reshape(6, 10).slice(1, 5, 5);
        assertTrue(left.overlaps(right), "strided views count with what lies between their elements");
    }

    @Test
    void emptyTensorsAreDenseAndHaveNoBytes() {
        Tensor empty = tensor.rows(3, 0);
        assertTrue(empty.isDense() && empty.isEmpty());
        assertEquals(0, empty.bytes());
        assertEquals(empty.byteOffset(), empty.byteEnd());
        assertEquals(0, empty.reshape(0, 7).count());
    }

    @Test
    void rowOfOneNeedsNoStride() {
        assertTrue(tensor.rows(1, 1).slice(1, 2, 1).isDense());
    }
}
