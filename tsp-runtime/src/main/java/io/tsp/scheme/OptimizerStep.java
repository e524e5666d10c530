package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.model.Parameter;
import io.tsp.model.Parameter.Block;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.ComputeOp.PackPanels;
import io.tsp.op.TrainingOp.AdamW;
import io.tsp.op.TrainingOp.Clip;
import io.tsp.op.TrainingOp.SquareSum;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.TrainingProgram.GradientPart;
import io.tsp.scheme.TrainingProgram.State;
import io.tsp.scheme.TrainingProgram.Update;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** The end of a step: the norm of all gradients, clipping, AdamW on what the rank holds, and the weights made new. */
final class OptimizerStep {
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final Group world;
    private final DType moments;
    private final Tensor hyper;
    private final Tensor clip;
    private final Map<Block, Tensor> masters = new HashMap<>();

    OptimizerStep(RankBuilder builder, Group world, DType moments) {
        this.builder = builder;
        this.program = builder.program();
        this.world = world;
        this.moments = moments;
        hyper = program.input("optimizer", MemoryClass.HOST, DType.F32, AdamW.HYPER_COUNT);
        clip = program.output(program.allocate("clip", MemoryClass.HOST, DType.F32, 3));
    }

    Update write(List<GradientPart> gradients) {
        program.label("gradient norm");
        program.compute(new Clip(squares(gradients), hyper, clip));
        program.label("optimizer");
        Map<Block, Tensor> plain = new HashMap<>();
        for (Parameter parameter : builder.weights().parameters()) {
            if (parameter.source() instanceof Block block) {
                plain.put(block, parameter.tensor());
            }
        }
        List<State> states = new ArrayList<>();
        for (GradientPart gradient : gradients) {
            State state = state(gradient);
            states.add(state);
            Tensor weight = plain.get(gradient.block());
            program.compute(new AdamW(
                    flat(state.parameter()),
                    flat(gradient.tensor()),
                    flat(state.first()),
                    flat(state.second()),
                    weight == null ? null : flat(weight),
                    hyper,
                    clip,
                    decays(gradient.block())));
        }
        builder.weights().parameters().forEach(this::pack);
        return new Update(hyper, clip, leaving(), states);
    }

    /** The sum of squares of each rank's gradients, those it owns, in the order of ranks. */
    private Tensor squares(List<GradientPart> gradients) {
        Tensor squares = program.allocate("squared norms", MemoryClass.COMMUNICATION, DType.F64, world.size());
        Tensor own = squares.rows(program.rank(), 1);
        boolean first = true;
        for (GradientPart gradient : gradients) {
            if (gradient.owner()) {
                program.compute(new SquareSum(flat(gradient.tensor()), own, !first));
                first = false;
            }
        }
        if (first) {
            program.compute(new SquareSum(flat(gradients.getFirst().tensor()).rows(0, 0), own, false));
        }
        gather(squares);
        return squares;
    }

    private Tensor leaving() {
        Tensor leaving = program.input("leaving", MemoryClass.COMMUNICATION, DType.F32, world.size());
        gather(leaving);
        return program.output(leaving);
    }

    /** One element from each rank. */
    private void gather(Tensor elements) {
        List<Tensor> each = IntStream.range(0, world.size())
                .mapToObj(rank -> elements.rows(rank, 1))
                .toList();
        program.communicate(Lane.GRADS, AllGather.inPlace(world, program.rank(), each));
    }

    private State state(GradientPart gradient) {
        String name = gradient.block().name();
        Tensor like = gradient.tensor();
        Tensor master = program.input("master of " + name, MemoryClass.OPTIMIZER, DType.F32, like.count());
        Tensor first = program.input("first moment of " + name, MemoryClass.OPTIMIZER, moments, like.count());
        Tensor second = program.input("second moment of " + name, MemoryClass.OPTIMIZER, moments, like.count());
        masters.put(gradient.block(), master);
        return new State(gradient.block(), master, first, second, gradient.owner());
    }

    /** Neither norms nor biases, which are vectors. */
    private static boolean decays(Block block) {
        return !block.columns().equals(new Range(0, 1));
    }

    /** Weights that kernels read in panels are packed from their new masters. */
    private void pack(Parameter parameter) {
        switch (parameter.source()) {
            case Block _ -> {}
            case Parameter.Panels panels -> {
                Block block = new Block(panels.name(), panels.rows(), panels.columns());
                program.compute(new PackPanels(master(block), null, parameter.tensor(), 0));
            }
            case Parameter.GateUpPanels panels -> {
                Block gate = new Block(panels.gate(), panels.rows(), panels.columns());
                Block up = new Block(panels.up(), panels.rows(), panels.columns());
                program.compute(new PackPanels(master(gate), master(up), parameter.tensor(), 0));
            }
        }
    }

    private Tensor master(Block block) {
        Tensor master = masters.get(block);
        if (master == null) {
            throw new IllegalStateException("there is no gradient of " + block);
        }
        return master.reshape(block.rows().count(), block.columns().count());
    }

    private static Tensor flat(Tensor tensor) {
        return tensor.reshape(tensor.count());
    }
}
