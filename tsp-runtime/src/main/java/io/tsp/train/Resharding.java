package io.tsp.train;

import io.tsp.checkpoint.sharded.CheckpointInfo;
import io.tsp.checkpoint.sharded.CheckpointStore;
import io.tsp.checkpoint.sharded.Kind;
import io.tsp.checkpoint.sharded.RankState;
import io.tsp.model.ModelConfig;
import io.tsp.model.Parameter.Block;
import io.tsp.model.WeightSource;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingProgram;
import io.tsp.scheme.TrainingProgram.State;
import io.tsp.scheme.TrainingRequest;
import io.tsp.tensor.DType;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Writes weights and what an optimizer keeps as a checkpoint whose files are cut as the ranks of a scheme own them. Values
 * are copied row by row: no rank's part is ever whole in memory, and no kernel runs.
 *
 * @param weights as f32
 * @param first first moments; null for an optimizer that has not begun, the other one, too
 * @param second second moments
 */
public record Resharding(
        ModelConfig config,
        WeightSource weights,
        @Nullable WeightSource first,
        @Nullable WeightSource second) {

    /**
     * Writes a checkpoint.
     *
     * @param state see {@link CheckpointInfo#state}
     * @param files what lies beside the weights
     */
    public void save(
            CheckpointStore store,
            Scheme scheme,
            long step,
            DType dtype,
            DType moments,
            SortedMap<String, String> state,
            Map<String, byte[]> files) {
        // Who owns what does not depend on the size of a step.
        ForwardRequest smallest = new ForwardRequest(config, dtype, 1, 1, false, false);
        TrainingPlan plan =
                TrainingPlan.of(scheme, new TrainingRequest(smallest, 1, Recompute.SELECTIVE, moments, true, false));
        List<RankState> ranks = IntStream.range(0, plan.ranks())
                .<RankState>mapToObj(
                        rank -> new Part(rank, owned(plan.programs().get(rank)), moments))
                .toList();
        CheckpointInfo info = new CheckpointInfo(step, scheme.name(), plan.ranks(), dtype, moments, state);
        store.save(info, files, ranks, Duration.ZERO);
    }

    private static List<Block> owned(TrainingProgram program) {
        TrainingProgram.Update update = program.update();
        return update == null
                ? List.of()
                : update.states().stream()
                        .filter(owned -> owned.owner() && !owned.parameter().isEmpty())
                        .map(State::block)
                        .toList();
    }

    private final class Part implements RankState {
        private final int rank;
        private final List<Block> blocks;
        private final DType moments;

        Part(int rank, List<Block> blocks, DType moments) {
            this.rank = rank;
            this.blocks = blocks;
            this.moments = moments;
        }

        @Override
        public int rank() {
            return rank;
        }

        @Override
        public List<Block> blocks() {
            return blocks;
        }

        @Override
        public void read(Kind kind, Block block, long firstRow, long rows, ByteBuffer target) {
            WeightSource source = switch (kind) {
                case PARAMETER -> weights;
                case FIRST -> first;
                case SECOND -> second;
            };
            long columns = block.columns().count();
            DType dtype = kind == Kind.PARAMETER ? DType.F32 : moments;
            if (source == null) {
                target.put(new byte[Math.toIntExact(rows * columns * dtype.bytes())]);
            } else {
                source.read(
                        block.name(),
                        block.rows().from() + firstRow,
                        rows,
                        block.columns().from(),
                        columns,
                        dtype,
                        target);
            }
        }
    }
}
