package io.tsp.scheme;

import com.google.common.collect.Sets;
import io.tsp.model.Parameter;
import io.tsp.model.Parameter.Block;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.PackPanels;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Brings what AdamW made of master weights to where kernels read them: gathered from the ranks that updated a part each,
 * and packed where kernels read panels.
 *
 * <p>Weights on their way to panels are gathered in one of two slots; they are packed when the next weight has been
 * updated, so that the exchange is behind that.
 */
final class NewWeights {
    private static final int SLOTS = 2;

    private final ProgramBuilder program;
    private final RankBuilder builder;
    private final Map<Block, Tensor> plain = new HashMap<>();
    private final Map<Block, Parameter> panelsOf = new HashMap<>();
    private final Map<Parameter, Tensor> slots = new HashMap<>();
    private final Map<Block, Tensor> renewed = new HashMap<>();
    private @Nullable Parameter waiting;

    /** @param shards all weights of the rank, in the order in which they will be updated */
    NewWeights(RankBuilder builder, List<RowShard> shards) {
        this.builder = builder;
        this.program = builder.program();
        for (Parameter parameter : builder.weights().parameters()) {
            if (parameter.source() instanceof Block block) {
                plain.put(block, parameter.tensor());
            } else {
                blocks(parameter).forEach(block -> panelsOf.put(block, parameter));
            }
        }
        Set<Block> known = shards.stream().map(RowShard::block).collect(Collectors.toSet());
        for (Block block : Sets.union(plain.keySet(), panelsOf.keySet())) {
            if (!known.contains(block)) {
                throw new IllegalStateException("there is no gradient of " + block);
            }
        }
        allocateSlots(shards);
    }

    private void allocateSlots(List<RowShard> shards) {
        Set<Parameter> gathered = new LinkedHashSet<>();
        for (RowShard shard : shards) {
            Parameter parameter = panelsOf.get(shard.block());
            if (parameter != null && !shard.isWhole()) {
                gathered.add(parameter);
            }
        }
        long[] largest = new long[Math.min(SLOTS, gathered.size())];
        List<Parameter> order = List.copyOf(gathered);
        for (int i = 0; i < order.size(); i++) {
            int slot = i % largest.length;
            largest[slot] = Math.max(largest[slot], count(order.get(i)));
        }
        List<Tensor> buffers = new ArrayList<>();
        for (int i = 0; i < largest.length; i++) {
            buffers.add(program.allocate("new weights " + i, MemoryClass.COMMUNICATION, builder.dtype(), largest[i]));
        }
        for (int i = 0; i < order.size(); i++) {
            slots.put(order.get(i), buffers.get(i % largest.length));
        }
    }

    /** The blocks that are packed into a parameter, in the order of the op's operands. */
    private static List<Block> blocks(Parameter parameter) {
        return switch (parameter.source()) {
            case Block block -> List.of(block);
            case Parameter.Panels panels -> List.of(new Block(panels.name(), panels.rows(), panels.columns()));
            case Parameter.GateUpPanels panels ->
                List.of(
                        new Block(panels.gate(), panels.rows(), panels.columns()),
                        new Block(panels.up(), panels.rows(), panels.columns()));
        };
    }

    private static long count(Parameter parameter) {
        return blocks(parameter).stream()
                .mapToLong(block -> block.rows().count() * block.columns().count())
                .sum();
    }

    /** This rank's part of a weight that kernels read as it is, which AdamW writes; null if they read panels. */
    @Nullable
    Tensor plain(RowShard shard) {
        Tensor weight = plain.get(shard.block());
        return weight == null ? null : shard.own(weight);
    }

    /**
     * Makes a weight new, now that AdamW has been told to update this rank's part of it.
     *
     * @param master f32, this rank's part
     */
    void renew(RowShard shard, Tensor master) {
        Tensor weight = plain.get(shard.block());
        if (weight != null) {
            gather(shard, weight);
            return;
        }
        Parameter parameter = panelsOf.get(shard.block());
        if (parameter == null) {
            throw new IllegalStateException("there is no weight " + shard.block());
        }
        renewed.put(shard.block(), shard.isWhole() ? master : gathered(parameter, shard, master));
        if (renewed.keySet().containsAll(blocks(parameter))) {
            finish();
            waiting = parameter;
        }
    }

    /** A weight in the dtype of the panels, as it was gathered. */
    private Tensor gathered(Parameter parameter, RowShard shard, Tensor master) {
        Tensor slot = slots.get(parameter);
        if (slot == null) {
            throw new IllegalStateException("there is no slot for " + shard.block());
        }
        long first = blocks(parameter).indexOf(shard.block()) * shard.count(); // gate and up are of one size
        Tensor whole = slot.rows(first, shard.count());
        // Not written by AdamW itself, which leaves it as it was if the step is skipped.
        program.compute(new Copy(master, shard.own(whole)));
        gather(shard, whole);
        return whole;
    }

    private void gather(RowShard shard, Tensor weight) {
        program.communicate(Lane.GRADS, AllGather.inPlace(shard.sharers(), shard.self(), shard.parts(weight)));
    }

    /** Packs what has not been packed yet. */
    void finish() {
        if (waiting == null) {
            return;
        }
        List<Tensor> sources = blocks(waiting).stream()
                .map(block -> source(block)
                        .reshape(block.rows().count(), block.columns().count()))
                .toList();
        Tensor second = sources.size() > 1 ? sources.get(1) : null;
        program.compute(new PackPanels(sources.getFirst(), second, waiting.tensor(), 0));
        waiting = null;
    }

    private Tensor source(Block block) {
        Tensor tensor = renewed.get(block);
        if (tensor == null) {
            throw new IllegalStateException(block + " has not been made new");
        }
        return tensor;
    }
}
