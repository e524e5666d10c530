package io.tsp.scheme;

import io.tsp.mesh.TokenPlacement;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardProgram.TokenInput;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What the host knows of each token. With several microbatches the host writes those of all at once, and the program
 * copies one microbatch after the other to where the ops read.
 */
final class MicrobatchInputs {
    private final ProgramBuilder program;
    private final int microbatches;
    private final List<TokenInput> inputs = new ArrayList<>();
    private final List<Tensor> current = new ArrayList<>();
    private int microbatch;

    MicrobatchInputs(ProgramBuilder program, int microbatches) {
        this.program = program;
        this.microbatches = microbatches;
    }

    /** One i32 for each token of some placements, of the microbatch that is being written down. */
    Tensor add(TokenKind kind, List<TokenPlacement> placements) {
        String name = kind.name().toLowerCase(Locale.ROOT);
        long rows = placements.stream().mapToLong(TokenPlacement::rows).sum();
        Tensor all = program.input(name, MemoryClass.HOST, DType.I32, microbatches * rows);
        inputs.add(new TokenInput(kind, all, placements));
        Tensor tensor =
                microbatches == 1 ? all : program.allocate("current " + name, MemoryClass.TRANSIENT, DType.I32, rows);
        current.add(tensor);
        return tensor;
    }

    /** What follows is microbatch index; all inputs have been added. */
    void begin(int index) {
        microbatch = index;
        if (microbatches == 1) {
            return;
        }
        program.label("microbatch " + index);
        for (int i = 0; i < inputs.size(); i++) {
            Tensor target = current.get(i);
            program.compute(new Copy(inputs.get(i).tensor().rows(index * target.count(), target.count()), target));
        }
    }

    int current() {
        return microbatch;
    }

    int microbatches() {
        return microbatches;
    }

    List<TokenInput> all() {
        return inputs;
    }
}
