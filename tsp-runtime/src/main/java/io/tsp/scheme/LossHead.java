package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.mesh.TokenPlacement;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.CrossEntropyFinish;
import io.tsp.op.ComputeOp.CrossEntropyMerge;
import io.tsp.op.ComputeOp.CrossEntropyUpdate;
import io.tsp.op.ComputeOp.Gemm;
import io.tsp.op.ComputeOp.Gemm.Form;
import io.tsp.op.TrainingOp.CrossEntropyBackward;
import io.tsp.program.Lane;
import io.tsp.program.ProgramBuilder;
import io.tsp.scheme.ForwardProgram.LogitsPiece;
import io.tsp.scheme.ForwardProgram.TokenKind;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The output projection and the cross-entropy of a rank's rows, one vocabulary shard after the other with an online
 * log-sum-exp (arXiv 1805.02867): logits exist only for a block of rows and a shard at a time, unless they are asked
 * for.
 */
public final class LossHead {
    /** Bytes of logits that exist at a time. */
    private static final long BLOCK_BYTES = 32L << 20;

    private final ProgramBuilder program;
    private final Tensor normed;
    private final Tensor labels;
    private final Tensor state;
    private final Tensor scratch;
    private final Tensor roundedScratch;
    private final @Nullable Tensor logits;
    private final Range vocab;
    private final RankBuilder builder;
    private @Nullable Tensor totals;
    private boolean first = true;

    /**
     * What the head leaves behind.
     *
     * @param totals see {@link ForwardProgram}
     * @param logits see {@link ForwardProgram}
     */
    public record Result(Tensor totals, List<LogitsPiece> logits) {}

    /** Which part of the logits each rank of the world computes. */
    public record LogitsPart(TokenPlacement tokens, Range vocab) {}

    /**
     * @param normed [T, h], the normed final hidden states of the builder's tokens
     * @param vocab the part of the vocabulary that this rank computes logits for
     * @param shard rows of the largest vocabulary shard
     */
    public LossHead(RankBuilder builder, Tensor normed, Range vocab, long shard) {
        this.builder = builder;
        this.program = builder.program();
        this.normed = normed;
        this.vocab = vocab;
        long rows = normed.dim(0);
        labels = builder.tokenInput(TokenKind.LABELS, List.of(builder.tokens()));
        state = builder.activation("cross-entropy state", DType.F32, rows, 3);
        logits = builder.request().logits()
                ? program.allocate("logits", MemoryClass.HOST, DType.F32, rows, vocab.count())
                : null;
        long blockRows = Math.clamp(BLOCK_BYTES / Math.max(1, shard * DType.F32.bytes()), 1, Math.max(1, rows));
        boolean needed = logits == null || builder.training() != null;
        scratch = builder.activation("logits block", DType.F32, needed ? blockRows : 0, shard);
        roundedScratch = builder.training() == null || builder.dtype() == DType.F32
                ? scratch
                : builder.activation("gradient of logits block", builder.dtype(), blockRows, shard);
    }

    /** Takes one vocabulary shard, weight [shard rows, h], into account. */
    public void accumulate(Tensor weight, Range shard) {
        long rows = normed.dim(0);
        long step = logits == null ? scratch.dim(0) : Math.max(1, rows);
        for (long from = 0; from < rows; from += step) {
            long count = Math.min(step, rows - from);
            Tensor block = logits == null
                    ? block(scratch, count, shard)
                    : logits.rows(from, count).slice(1, shard.from() - vocab.from(), shard.count());
            program.compute(new Gemm(normed.rows(from, count), weight, null, block, false));
            program.compute(new CrossEntropyUpdate(
                    block, labels.rows(from, count), state.rows(from, count), shard.from(), first));
        }
        first &= shard.isEmpty();
    }

    private static Tensor block(Tensor scratch, long rows, Range shard) {
        return scratch.reshape(scratch.count()).rows(0, rows * shard.count()).reshape(rows, shard.count());
    }

    /**
     * The gradients through one vocabulary shard, whose logits are computed again.
     *
     * @param dNormed f32 [T, h], added to unless first
     * @param gradient f32 [shard rows, h], of the weight
     */
    public void backward(
            Tensor weight, Range shard, Tensor dNormed, boolean first, Tensor gradient, boolean accumulate) {
        long rows = normed.dim(0);
        long from = 0;
        do {
            long count = Math.min(scratch.dim(0), rows - from);
            Tensor block = block(scratch, count, shard);
            Tensor dLogits = block(roundedScratch, count, shard);
            Tensor x = normed.rows(from, count);
            program.compute(new Gemm(x, weight, null, block, false));
            program.compute(new CrossEntropyBackward(
                    block,
                    labels.rows(from, count),
                    state.rows(from, count),
                    builder.labelWeight(),
                    dLogits,
                    shard.from()));
            program.compute(new Gemm(Form.NN, dLogits, weight, null, dNormed.rows(from, count), !first));
            program.compute(new Gemm(Form.TN, dLogits, x, null, gradient, accumulate || from > 0));
            from += count;
        } while (from < rows);
    }

    /** Merges the states of ranks that hold the same tokens and different parts of the vocabulary. */
    public void merge(Group group) {
        if (group.size() == 1) {
            return;
        }
        int self = group.indexOf(program.rank());
        Tensor parts = program.allocate(
                "cross-entropy states", MemoryClass.COMMUNICATION, DType.F32, group.size(), normed.dim(0), 3);
        Tensor flat = parts.reshape(parts.count());
        long count = state.count();
        List<Tensor> each = IntStream.range(0, group.size())
                .mapToObj(i -> flat.rows(i * count, count))
                .toList();
        program.compute(new Copy(state.reshape(count), each.get(self)));
        program.communicate(Lane.KV, AllGather.inPlace(group, self, each));
        program.compute(new CrossEntropyMerge(parts, state));
    }

    /**
     * Ends the pass: totals of the ranks that hold different tokens, and the logits on rank 0.
     *
     * @param replicas ranks that together hold every token once, this one among them
     * @param parts the part of the logits that each rank of the world computes
     */
    public Result finish(Group replicas, int worldSize, IntFunction<LogitsPart> parts) {
        Tensor totals = totals(replicas.size());
        Tensor current = totals.rows((long) builder.microbatch() * replicas.size(), replicas.size());
        int self = replicas.indexOf(program.rank());
        List<Tensor> each = IntStream.range(0, replicas.size())
                .mapToObj(i -> current.rows(i, 1).reshape(2))
                .toList();
        program.compute(new CrossEntropyFinish(state, labels, each.get(self)));
        program.communicate(Lane.COPY, AllGather.inPlace(replicas, self, each));
        first = true;
        return new Result(totals, logits == null ? List.of() : collect(logits, worldSize, parts));
    }

    /** Room for those of all microbatches. */
    private Tensor totals(int replicas) {
        if (totals == null) {
            long rows = (long) builder.inputs().microbatches() * replicas;
            totals = program.output(program.allocate("totals", MemoryClass.HOST, DType.F64, rows, 2));
        }
        return totals;
    }

    private List<LogitsPiece> collect(Tensor mine, int worldSize, IntFunction<LogitsPart> parts) {
        Group world = new Group("world", IntStream.range(0, worldSize).boxed().toList());
        program.output(mine);
        if (program.rank() != 0) {
            program.communicate(Lane.COPY, new SendReceive(world, program.rank(), 0, mine, 0, null));
            return List.of();
        }
        List<LogitsPiece> pieces = new ArrayList<>();
        pieces.add(new LogitsPiece(mine, parts.apply(0).tokens(), parts.apply(0).vocab()));
        for (int rank = 1; rank < worldSize; rank++) {
            LogitsPart part = parts.apply(rank);
            Tensor piece = program.output(program.allocate(
                    "logits of rank " + rank,
                    MemoryClass.HOST,
                    DType.F32,
                    part.tokens().rows(),
                    part.vocab().count()));
            program.communicate(Lane.COPY, new SendReceive(world, 0, 0, null, rank, piece));
            pieces.add(new LogitsPiece(piece, part.tokens(), part.vocab()));
        }
        return pieces;
    }
}
