package io.tsp.program;

import io.tsp.op.Access;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Slot;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/** Programs without meaning on random lanes, and plain answers to the questions that checks answer fast. */
final class RandomPrograms {
    private static final int ROWS = 4;
    private static final int COLUMNS = 6;

    private final Random random;

    RandomPrograms(long seed) {
        random = new Random(seed);
    }

    /** Copies between random blocks of random slots, about half of the slots being inputs. */
    Program next(int slotCount, int stepCount) {
        ProgramBuilder builder = new ProgramBuilder(0);
        List<Tensor> tensors = new ArrayList<>();
        for (int i = 0; i < slotCount; i++) {
            tensors.add(builder.allocate("slot " + i, MemoryClass.TRANSIENT, DType.F32, ROWS, COLUMNS));
        }
        List<Step> steps = new ArrayList<>();
        for (int i = 0; i < stepCount; i++) {
            long rows = 1L + random.nextInt(ROWS);
            long columns = 1L + random.nextInt(COLUMNS);
            Copy copy = new Copy(block(tensors, rows, columns), block(tensors, rows, columns));
            steps.add(new Step(i, Lane.values()[random.nextInt(3)], copy, "random"));
        }
        Set<Slot> inputs = new HashSet<>();
        tensors.stream().filter(tensor -> random.nextBoolean()).forEach(tensor -> inputs.add(tensor.slot()));
        return new Program(0, builder.build().slots(), steps, inputs, Set.of());
    }

    private Tensor block(List<Tensor> tensors, long rows, long columns) {
        return tensors.get(random.nextInt(tensors.size()))
                .slice(0, random.nextInt((int) (ROWS - rows) + 1), rows)
                .slice(1, random.nextInt((int) (COLUMNS - columns) + 1), columns);
    }

    /** The schedule without some of its waits. */
    Schedule thinned(Schedule schedule) {
        List<List<Integer>> waits = schedule.waits().stream()
                .map(all -> all.stream().filter(wait -> random.nextInt(8) > 0).toList())
                .toList();
        return new Schedule(schedule.program(), schedule.lanes(), waits);
    }

    /** Whether step a is finished before step b begins, for all a and b: every path, edge by edge. */
    static boolean[][] closure(Schedule schedule) {
        int steps = schedule.lanes().size();
        boolean[][] before = new boolean[steps][steps];
        for (int b = 0; b < steps; b++) {
            for (int a = 0; a < b; a++) {
                boolean edge = schedule.lanes().get(a) == schedule.lanes().get(b)
                        || schedule.waits().get(b).contains(a);
                if (edge) {
                    before[a][b] = true;
                    for (int earlier = 0; earlier < a; earlier++) {
                        before[earlier][b] |= before[earlier][a];
                    }
                }
            }
        }
        return before;
    }

    /** Whether two steps touch a byte in common that one of them writes. */
    static boolean conflict(Step a, Step b) {
        for (Access x : a.op().accesses()) {
            for (Access y : b.op().accesses()) {
                if ((x.mode().writes() || y.mode().writes()) && x.tensor().overlaps(y.tensor())) {
                    return true;
                }
            }
        }
        return false;
    }

    /** Whether all conflicting pairs are ordered. */
    static boolean isRaceFree(Schedule schedule) {
        boolean[][] before = closure(schedule);
        List<Step> steps = schedule.program().steps();
        for (int b = 0; b < steps.size(); b++) {
            for (int a = 0; a < b; a++) {
                if (!before[a][b] && conflict(steps.get(a), steps.get(b))) {
                    return false;
                }
            }
        }
        return true;
    }
}
