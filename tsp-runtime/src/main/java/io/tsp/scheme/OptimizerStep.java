package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.model.Parameter.Block;
import io.tsp.op.CommunicationOp.AllGather;
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
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The end of a step: the norm of all gradients, clipping, AdamW on what the rank keeps, and the weights made new. */
final class OptimizerStep {
    private final RankBuilder builder;
    private final ProgramBuilder program;
    private final Group world;
    private final TrainingRequest request;
    private final Group alone;
    private final Tensor hyper;
    private final Tensor clip;

    OptimizerStep(RankBuilder builder, Group world, TrainingRequest request) {
        this.builder = builder;
        this.program = builder.program();
        this.world = world;
        this.request = request;
        alone = new Group("self", List.of(program.rank()));
        hyper = program.input("optimizer", MemoryClass.HOST, DType.F32, AdamW.HYPER_COUNT);
        clip = program.output(program.allocate("clip", MemoryClass.HOST, DType.F32, 3));
    }

    Update write(List<GradientPart> gradients) {
        program.label("gradient norm");
        program.compute(new Clip(squares(gradients), hyper, clip));
        program.label("optimizer");
        List<RowShard> shards = gradients.stream().map(this::shard).toList();
        NewWeights weights = new NewWeights(builder, shards);
        List<State> states = new ArrayList<>();
        for (int i = 0; i < shards.size(); i++) {
            RowShard shard = shards.get(i);
            State state = state(shard, gradients.get(i).owner());
            states.add(state);
            update(state, shard.own(gradients.get(i).tensor()), weights.plain(shard));
            weights.renew(shard, state.parameter());
        }
        weights.finish();
        return new Update(hyper, clip, leaving(), states);
    }

    /** What of a weight is this rank's to update. */
    private RowShard shard(GradientPart gradient) {
        Group sharers = request.shardOptimizer() ? gradient.holders() : alone;
        return new RowShard(gradient.block(), sharers, sharers.indexOf(program.rank()));
    }

    private void update(State state, Tensor gradient, @Nullable Tensor weight) {
        program.compute(new AdamW(
                state.parameter(),
                gradient,
                state.first(),
                state.second(),
                weight,
                hyper,
                clip,
                decays(state.block())));
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

    /** @param owner whether the rank would save the weight if all that hold it kept all of its state */
    private State state(RowShard shard, boolean owner) {
        Block block = shard.ownBlock();
        long count = block.rows().count() * block.columns().count();
        DType moments = request.moments();
        Tensor master = program.input("master of " + block.name(), MemoryClass.OPTIMIZER, DType.F32, count);
        Tensor first = program.input("first moment of " + block.name(), MemoryClass.OPTIMIZER, moments, count);
        Tensor second = program.input("second moment of " + block.name(), MemoryClass.OPTIMIZER, moments, count);
        return new State(block, master, first, second, owner || request.shardOptimizer());
    }

    /** Neither norms nor biases, which are vectors. */
    private static boolean decays(Block block) {
        return !block.columns().equals(new Range(0, 1));
    }

    private static Tensor flat(Tensor tensor) {
        return tensor.reshape(tensor.count());
    }
}
