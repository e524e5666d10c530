package io.tsp.program;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.scheme.tsp.TspScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A failure means that ranks with different programs take them for the same, or the other way round. */
class ProgramTest {
    private final Program program =
            World.of(new TspScheme(3, 1), Requests.plain()).schedule(1).program();

    private static Program small(Lane lane, String label, String name, DType dtype, long count) {
        ProgramBuilder builder = new ProgramBuilder(0).label(label);
        Tensor a = builder.input(name, MemoryClass.HOST, dtype, count + 1);
        Tensor b = builder.allocate("b", MemoryClass.TRANSIENT, dtype, 8);
        builder.compute(new Copy(a.rows(0, count), b.rows(0, count)));
        builder.communicate(lane, new AllReduce(new Group("g", List.of(0, 1)), 0, b));
        return builder.build();
    }

    @Test
    void hashIsTheSameForTheSameRequest() {
        Program again =
                World.of(new TspScheme(3, 1), Requests.plain()).schedule(1).program();
        assertEquals(program.hash(), again.hash());
        assertEquals(64, program.hash().length());
    }

    /** Another process has other identity hash codes and another order of sets; this is what it must come to. */
    @Test
    void hashIsTheSameInEveryProcess() {
        assertEquals(
                "90691dac64869391a70cedf914b47626291ec185953171d4db321a86eb2241d2",
                small(Lane.KV, "label", "a", DType.F32, 3).hash());
    }

    @Test
    void hashDiffersWhereProgramsDiffer() {
        Set<String> hashes = new HashSet<>();
        hashes.add(small(Lane.KV, "label", "a", DType.F32, 3).hash());
        hashes.add(small(Lane.GRADS, "label", "a", DType.F32, 3).hash());
        hashes.add(small(Lane.KV, "other", "a", DType.F32, 3).hash());
        hashes.add(small(Lane.KV, "label", "c", DType.F32, 3).hash());
        hashes.add(small(Lane.KV, "label", "a", DType.I32, 3).hash());
        hashes.add(small(Lane.KV, "label", "a", DType.F32, 4).hash());
        assertEquals(6, hashes.size());
    }

    @Test
    void hashSeesEveryStepAndSlot() {
        Set<String> hashes = new HashSet<>(Set.of(program.hash()));
        List<Step> steps = new ArrayList<>(program.steps());
        steps.removeLast();
        hashes.add(new Program(1, program.slots(), steps, program.inputs(), program.outputs()).hash());
        List<Slot> slots = new ArrayList<>(program.slots());
        Slot last = slots.removeLast();
        hashes.add(new Program(1, slots, program.steps(), program.inputs(), program.outputs()).hash());
        slots.add(new Slot(last.id(), last.name(), last.memoryClass(), last.bytes() + 1));
        hashes.add(new Program(1, slots, program.steps(), program.inputs(), program.outputs()).hash());
        assertEquals(4, hashes.size());
    }

    @Test
    void hashSeesRankInputsAndOutputs() {
        Set<String> hashes = new HashSet<>(Set.of(program.hash()));
        hashes.add(new Program(2, program.slots(), program.steps(), program.inputs(), program.outputs()).hash());
        hashes.add(new Program(1, program.slots(), program.steps(), Set.of(), program.outputs()).hash());
        hashes.add(new Program(1, program.slots(), program.steps(), program.inputs(), Set.of()).hash());
        assertEquals(4, hashes.size());
    }

    /** Text alone would not tell two slots of one name apart, nor two strides. */
    @Test
    void hashSeesSlotsOfOneNameAndStrides() {
        Set<String> hashes = new HashSet<>();
        for (int from = 0; from < 2; from++) {
            for (long columns = 2; columns < 4; columns++) {
                ProgramBuilder builder = new ProgramBuilder(0);
                List<Tensor> sources = List.of(
                        builder.input("twin", MemoryClass.HOST, DType.F32, 6),
                        builder.input("twin", MemoryClass.HOST, DType.F32, 6));
                Tensor target = builder.allocate("target", MemoryClass.TRANSIENT, DType.F32, 2, 1);
                Tensor source = sources.get(from).rows(0, 2 * columns).reshape(2, columns);
                builder.compute(new Copy(source.slice(1, 0, 1), target));
                hashes.add(builder.build().hash());
            }
        }
        assertEquals(4, hashes.size());
    }

    @Test
    void builderLeavesOutWhatChangesNothing() {
        ProgramBuilder builder = new ProgramBuilder(0);
        Tensor empty = builder.allocate("empty", MemoryClass.TRANSIENT, DType.F32, 0, 4);
        Tensor some = builder.input("some", MemoryClass.HOST, DType.F32, 4);
        builder.compute(new Copy(empty, empty));
        builder.communicate(Lane.KV, new AllReduce(new Group("g", List.of(0, 1)), 0, empty));
        builder.communicate(Lane.KV, new AllReduce(new Group("alone", List.of(0)), 0, some));
        assertTrue(builder.build().steps().isEmpty());
    }

    @Test
    void keepsInputsOutputsAndPersistentMemory() {
        ProgramBuilder builder = new ProgramBuilder(0);
        Slot input = builder.input("i", MemoryClass.TRANSIENT, DType.F32, 1).slot();
        Slot output = builder.output(builder.allocate("o", MemoryClass.TRANSIENT, DType.F32, 1))
                .slot();
        Slot parameter =
                builder.allocate("p", MemoryClass.PARAMETERS, DType.F32, 1).slot();
        Slot scratch =
                builder.allocate("s", MemoryClass.TRANSIENT, DType.F32, 1).slot();
        Program built = builder.build();
        assertTrue(built.keeps(input) && built.keeps(output) && built.keeps(parameter));
        assertTrue(!built.keeps(scratch));
    }
}
