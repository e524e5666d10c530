package io.tsp.op;

import io.tsp.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Work of one device that only training needs: gradients and the optimizer. Formulas, dtypes and rounding of each op are
 * those of the kernel of the same name in {@code native/include/tsp_training.h}.
 *
 * <p>Letters as in {@link ComputeOp}. A gradient is named after what it is the gradient of: dX.
 */
public sealed interface TrainingOp extends ComputeOp {

    /**
     * dQ, dK and dV of an attention launch.
     *
     * @param forward the launch, with its log-sum-exp
     * @param dOut [rows, H, d]
     * @param dQ [rows, H, d]
     * @param dK f32 [rows', K, d]
     * @param dV f32 [rows', K, d]
     * @param accumulate whether dK and dV are added to
     */
    record AttentionBackward(
            ComputeOp.Attention forward, Tensor dOut, Tensor dQ, Tensor dK, Tensor dV, boolean accumulate)
            implements TrainingOp {
        public AttentionBackward {
            if (forward.lse() == null) {
                throw new IllegalArgumentException("attention-backward: the log-sum-exp of " + forward + " is missing");
            }
        }

        @Override
        public String name() {
            return "attention-backward";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(forward.q(), forward.k(), forward.v(), forward.kvStart(), forward.out(), forward.lse(), dOut)
                    .writes(dQ)
                    .updates(accumulate, dK)
                    .updates(accumulate, dV)
                    .list();
        }
    }

    /**
     * Gradients of a gated MLP but those of its weights: dWg = dGate^T x, dWu = dUp^T x, dWd = dY^T hidden follow from
     * what it leaves. f is the shard's features, padded.
     *
     * @param dY [T, h] of x's dtype
     * @param saved [T, 2 f]: what the forward pass kept; recomputed if it did not
     * @param hidden [T, f]: silu(gate) * up
     * @param dGate [T, f]
     * @param dUp [T, f]
     * @param dX f32 [T, h]
     */
    record GatedMlpBackward(
            Tensor x,
            Tensor gateUp,
            Tensor down,
            Tensor dY,
            @Nullable Tensor saved,
            Tensor hidden,
            Tensor dGate,
            Tensor dUp,
            Tensor dX,
            long intermediate,
            boolean accumulate)
            implements TrainingOp {
        @Override
        public String name() {
            return "gated-mlp-backward";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(x, gateUp, down, dY, saved)
                    .writes(hidden, dGate, dUp)
                    .updates(accumulate, dX)
                    .list();
        }
    }

    /**
     * dX and dWeight of an RMSNorm over the last dim.
     *
     * @param x what the norm read
     * @param dOut f32 or x's dtype
     * @param dX f32 or x's dtype; may be dOut
     * @param rounded where dX is kept in x's dtype too, if it is
     * @param dWeight f32 [n]
     * @param accumulate whether dX, f32, is added to
     * @param accumulateWeight whether dWeight is added to
     */
    record RmsNormBackward(
            Tensor x,
            Tensor weight,
            Tensor dOut,
            Tensor dX,
            @Nullable Tensor rounded,
            Tensor dWeight,
            float epsilon,
            boolean accumulate,
            boolean accumulateWeight)
            implements TrainingOp {
        @Override
        public String name() {
            return "rms-norm-backward";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(x, weight, dOut)
                    .updates(accumulate, dX)
                    .writes(rounded)
                    .updates(accumulateWeight, dWeight)
                    .list();
        }
    }

    /** dTable [V, n] f32 (+)= rows of dOut, each at its id; ids outside the table are left out. */
    record EmbeddingBackward(Tensor dOut, Tensor ids, Tensor dTable, long vocabStart, boolean accumulate)
            implements TrainingOp {
        @Override
        public String name() {
            return "embedding-backward";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(dOut, ids).updates(accumulate, dTable).list();
        }
    }

    /**
     * dLogits = (softmax(logits) - one-hot(labels)) * scale for one vocabulary shard.
     *
     * @param state f32 [T, 3] of all shards
     * @param scale f32 [1]: what one label weighs in the loss
     * @param dLogits [T, V], f32 or bf16; may be logits
     */
    record CrossEntropyBackward(
            Tensor logits, Tensor labels, Tensor state, Tensor scale, Tensor dLogits, long vocabStart)
            implements TrainingOp {
        @Override
        public String name() {
            return "cross-entropy-backward";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(logits, labels, state, scale)
                    .writes(dLogits)
                    .list();
        }
    }

    /** out f32 [n] (+)= the sum of x's rows [T, n]: the gradient of a bias. */
    record ColumnSum(Tensor x, Tensor out, boolean accumulate) implements TrainingOp {
        @Override
        public String name() {
            return "column-sum";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(x).updates(accumulate, out).list();
        }
    }

    /** target = sources added up in this order, in fp32, rounded once. All dense; target may be one of the sources. */
    record Sum(List<Tensor> sources, Tensor target) implements TrainingOp {
        public Sum {
            sources = List.copyOf(sources);
            for (Tensor source : sources) {
                if (source.count() != target.count() || source.dtype() != target.dtype()) {
                    throw new IllegalArgumentException("sum: operands differ: " + source + " -> " + target);
                }
            }
        }

        @Override
        public String name() {
            return "sum";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(sources.toArray(Tensor[]::new))
                    .writes(target)
                    .list();
        }
    }

    /** out f64 [1] (+)= the sum of squares of x f32. */
    record SquareSum(Tensor x, Tensor out, boolean accumulate) implements TrainingOp {
        @Override
        public String name() {
            return "square-sum";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(x).updates(accumulate, out).list();
        }
    }

    /**
     * clip f32 [3] = {factor on gradients, whether Inf or NaN was found, norm}.
     *
     * @param squares f64 [parts]
     * @param hyper see {@link AdamW}
     */
    record Clip(Tensor squares, Tensor hyper, Tensor clip) implements TrainingOp {
        @Override
        public String name() {
            return "clip";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(squares, hyper).writes(clip).list();
        }
    }

    /**
     * One step of AdamW (arXiv 1711.05101), unless clip says that Inf or NaN was found.
     *
     * @param parameter f32 [n], the master weight
     * @param first first moment, f32 or bf16
     * @param second second moment, f32 or bf16
     * @param rounded the weight that kernels read, if it is another tensor
     * @param hyper f32 [8]: learning rate, beta1, beta2, epsilon, weight decay, both bias corrections, largest norm
     * @param clip see {@link Clip}
     * @param decay whether weight decay applies
     */
    record AdamW(
            Tensor parameter,
            Tensor grad,
            Tensor first,
            Tensor second,
            @Nullable Tensor rounded,
            Tensor hyper,
            Tensor clip,
            boolean decay)
            implements TrainingOp {
        /** Elements of hyper. */
        public static final int HYPER_COUNT = 8;

        @Override
        public String name() {
            return "adamw";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(grad, hyper, clip)
                    .updates(true, parameter)
                    .updates(true, first)
                    .updates(true, second)
                    .writes(rounded)
                    .list();
        }
    }
}
