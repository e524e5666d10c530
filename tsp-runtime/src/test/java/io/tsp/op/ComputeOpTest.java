package io.tsp.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.CrossEntropyFinish;
import io.tsp.op.ComputeOp.CrossEntropyMerge;
import io.tsp.op.ComputeOp.CrossEntropyUpdate;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.PackPanels;
import io.tsp.op.ComputeOp.RmsNorm;
import io.tsp.op.ComputeOp.Rope;
import io.tsp.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that an op touches memory that nobody orders or keeps alive for it. */
class ComputeOpTest {
    private final Tensors tensors = new Tensors();
    private final Tensor x = tensors.f32("x", 4, 6);
    private final Tensor w = tensors.f32("w", 8, 6);
    private final Tensor bias = tensors.f32("bias", 8);
    private final Tensor y = tensors.f32("y", 4, 8);

    @Test
    void gemmReadsItsOutputOnlyToAddToIt() {
        assertEquals("READ x, READ w, READ bias, WRITE y", Tensors.accesses(new Gemm(x, w, bias, y, false)));
        assertEquals("READ x, READ w, ACCUMULATE y", Tensors.accesses(new Gemm(x, w, null, y, true)));
    }

    @Test
    void gatedMlpReadsItsOutputOnlyToAddToIt() {
        Tensor gateUp = tensors.f32("gateUp", 64);
        Tensor down = tensors.f32("down", 64);
        assertEquals(
                "READ x, READ gateUp, READ down, WRITE y",
                Tensors.accesses(new GatedMlp(x, gateUp, down, y, null, 32, false)));
        assertEquals(
                "READ x, READ gateUp, READ down, ACCUMULATE y",
                Tensors.accesses(new GatedMlp(x, gateUp, down, y, null, 32, true)));
    }

    @Test
    void attentionReadsOptionalOperandsIfThereAreAny() {
        Tensor k = tensors.f32("k", 4, 1, 8);
        Tensor v = tensors.f32("v", 4, 1, 8);
        Tensor q = tensors.f32("q", 4, 1, 8);
        Tensor out = tensors.f32("out", 4, 1, 8);
        Tensor start = tensors.f32("start", 4);
        Tensor lse = tensors.f32("lse", 4, 1);
        List<Chunk> chunks = List.of(new Chunk(0, 4, 4, 0));
        assertEquals(
                "READ q, READ k, READ v, WRITE out",
                Tensors.accesses(new Attention(q, k, v, null, out, null, chunks, chunks, 1, 0, 1)));
        assertEquals(
                "READ q, READ k, READ v, READ start, WRITE out, WRITE lse",
                Tensors.accesses(new Attention(q, k, v, start, out, lse, chunks, chunks, 1, 0, 1)));
    }

    @Test
    void normKeepsTheSumWhereItIsAsked() {
        assertEquals("READ x, READ bias, WRITE y", Tensors.accesses(new RmsNorm(x, null, bias, null, y, 1e-5f)));
        assertEquals(
                "READ x, READ w, READ bias, WRITE x, WRITE y", Tensors.accesses(new RmsNorm(x, w, bias, x, y, 1e-5f)));
    }

    @Test
    void ropeTurnsInPlace() {
        assertEquals("READ bias, READ w, ACCUMULATE x", Tensors.accesses(new Rope(x, bias, w, 1, false)));
    }

    @Test
    void embeddingThatKeepsRowsNeedsWhatTheyHold() {
        assertEquals("READ w, READ bias, WRITE y", Tensors.accesses(new Embedding(w, bias, y, 0, false)));
        assertEquals("READ w, READ bias, ACCUMULATE y", Tensors.accesses(new Embedding(w, bias, y, 0, true)));
    }

    @Test
    void crossEntropyStartsAfresh() {
        assertEquals("READ y, READ bias, WRITE x", Tensors.accesses(new CrossEntropyUpdate(y, bias, x, 0, true)));
        assertEquals("READ y, READ bias, ACCUMULATE x", Tensors.accesses(new CrossEntropyUpdate(y, bias, x, 0, false)));
        assertEquals("READ y, WRITE x", Tensors.accesses(new CrossEntropyMerge(y, x)));
        assertEquals("READ x, READ bias, WRITE y", Tensors.accesses(new CrossEntropyFinish(x, bias, y)));
    }

    @Test
    void copiesReadOneAndWriteTheOther() {
        assertEquals("READ x, WRITE w", Tensors.accesses(new Copy(x, w.rows(0, 4))));
        assertEquals("READ x, READ w, WRITE y", Tensors.accesses(new PackPanels(x, w, y, 0)));
        assertEquals("READ x, WRITE y", Tensors.accesses(new PackPanels(x, null, y, 0)));
    }

    @Test
    void refusesShapesThatDoNotFit() {
        assertThrows(IllegalArgumentException.class, () -> new Gemm(x, w, null, x, false));
        assertThrows(IllegalArgumentException.class, () -> new Gemm(y, w, null, y, false));
        assertThrows(IllegalArgumentException.class, () -> new Gemm(x.rows(0, 3), w, null, y, false));
        assertThrows(IllegalArgumentException.class, () -> new Copy(x, w));
    }

    @Test
    void isEmptyIfItWritesNothing() {
        assertTrue(new Gemm(x.rows(0, 0), w, null, y.rows(0, 0), false).isEmpty());
        assertTrue(new Copy(x.rows(2, 0), w.rows(1, 0)).isEmpty());
        assertFalse(new Gemm(x.slice(1, 0, 0), w.slice(1, 0, 0), null, y, false).isEmpty(), "it writes zeros");
    }

    @Test
    void panelsArePaddedToWholeOnes() {
        assertEquals(0, Panels.pad(0));
        assertEquals(32, Panels.pad(1));
        assertEquals(64, Panels.pad(33));
        assertEquals(2 * 64 * 34, Panels.gateUpCount(33, 33));
        assertEquals(128 * 64, Panels.downCount(33, 65));
    }
}
