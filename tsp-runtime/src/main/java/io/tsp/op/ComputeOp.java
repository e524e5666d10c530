package io.tsp.op;

import io.tsp.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Work of one device. Formulas, dtypes and rounding of each op are those of the kernel of the same name in
 * {@code native/include/tsp_kernels.h}; {@link Gemm} is the vendor library's.
 *
 * <p>Letters: T token rows, h hidden size, H query heads, K key/value heads, d head dimension, V vocabulary rows.
 */
public sealed interface ComputeOp extends Op
        permits ComputeOp.Gemm,
                ComputeOp.Attention,
                ComputeOp.GatedMlp,
                ComputeOp.PackPanels,
                ComputeOp.RmsNorm,
                ComputeOp.Rope,
                ComputeOp.Embedding,
                ComputeOp.CrossEntropyUpdate,
                ComputeOp.CrossEntropyMerge,
                ComputeOp.CrossEntropyFinish,
                ComputeOp.Copy,
                TrainingOp {

    /**
     * out [M, N] (+)= the product of a and b (+ bias [N]). Accumulates in fp32; out is f32 or a's dtype.
     *
     * @param accumulate whether out is added to; then there is no bias
     */
    record Gemm(Form form, Tensor a, Tensor b, @Nullable Tensor bias, Tensor out, boolean accumulate)
            implements ComputeOp {
        /** Which of the two stand transposed in memory. */
        public enum Form {
            /** a [M, K] b [N, K]^T: activations times a weight [out, in]. */
            NT,
            /** a [M, K] b [K, N]: gradients of outputs times a weight, the gradient of inputs. */
            NN,
            /** a [K, M]^T b [K, N]: gradients of outputs and inputs, the gradient of a weight. */
            TN
        }

        public Gemm {
            int inner = form == Form.TN ? 0 : 1;
            int columns = form == Form.NT ? 0 : 1;
            if (a.dim(inner) != b.dim(1 - columns) || out.dim(0) != a.dim(1 - inner) || out.dim(1) != b.dim(columns)) {
                throw new IllegalArgumentException(
                        "gemm " + form + ": shapes do not fit: " + a + " x " + b + " -> " + out);
            }
        }

        /** out (+)= a weight^T + bias. */
        public Gemm(Tensor a, Tensor weight, @Nullable Tensor bias, Tensor out, boolean accumulate) {
            this(Form.NT, a, weight, bias, out, accumulate);
        }

        /** The dimension that is summed. */
        public long depth() {
            return a.dim(form == Form.TN ? 0 : 1);
        }

        @Override
        public String name() {
            return "gemm";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(a, b, bias).updates(accumulate, out).list();
        }
    }

    /**
     * Causal flash attention of all query chunks in one launch.
     *
     * @param q [rows, H, d]
     * @param k [rows', K, d]
     * @param v [rows', K, d]
     * @param kvStart i32 [rows]: first key that a query may see, for packed documents
     * @param out [rows, H, d]
     * @param lse f32 [rows, H], if wanted
     * @param batch sequences in each chunk
     * @param window keys that a query sees, itself included; 0 for all
     */
    record Attention(
            Tensor q,
            Tensor k,
            Tensor v,
            @Nullable Tensor kvStart,
            Tensor out,
            @Nullable Tensor lse,
            List<Chunk> qChunks,
            List<Chunk> kChunks,
            long batch,
            long window,
            float scale)
            implements ComputeOp {
        public Attention {
            qChunks = List.copyOf(qChunks);
            kChunks = List.copyOf(kChunks);
        }

        @Override
        public String name() {
            return "attention";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(q, k, v, kvStart).writes(out, lse).list();
        }
    }

    /**
     * y [T, h] (+)= (silu(x Wg^T) * (x Wu^T)) Wd^T for one shard of the intermediate features.
     *
     * @param gateUp packed panels, see {@link Panels}
     * @param down packed panels
     * @param y f32
     * @param saved [T, 2 intermediate]: where the pre-activations are kept for the backward pass, if they are
     * @param intermediate features of the shard, padded to {@link Panels#FEATURES}
     */
    record GatedMlp(
            Tensor x,
            Tensor gateUp,
            Tensor down,
            Tensor y,
            @Nullable Tensor saved,
            long intermediate,
            boolean accumulate)
            implements ComputeOp {
        @Override
        public String name() {
            return "gated-mlp";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(x, gateUp, down)
                    .updates(accumulate, y)
                    .writes(saved)
                    .list();
        }
    }

    /**
     * Packs rows of Hugging Face weights [rows, K] into the panel layout of the MLP kernels.
     *
     * @param source gate rows, or the rows of a single matrix
     * @param second up rows; makes the layout gate/up interleaved
     * @param firstPanel where the first of these rows goes, in panels
     */
    record PackPanels(Tensor source, @Nullable Tensor second, Tensor panels, long firstPanel) implements ComputeOp {
        @Override
        public String name() {
            return "pack-panels";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(source, second).writes(panels).list();
        }
    }

    /**
     * sum = x + delta; out = rms-norm(sum) * weight over the last dim. sum may be x itself.
     *
     * @param delta f32 or x's dtype; none means sum = x
     * @param sum where x + delta is kept, if it is
     */
    record RmsNorm(
            Tensor x,
            @Nullable Tensor delta,
            Tensor weight,
            @Nullable Tensor sum,
            Tensor out,
            float epsilon) implements ComputeOp {
        @Override
        public String name() {
            return "rms-norm";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(x, delta, weight).writes(sum, out).list();
        }
    }

    /**
     * Rotates x [T, heads, d] in place by positions i32 [T] and invFreq f32 [d / 2].
     *
     * @param inverse rotates back: the gradient
     */
    record Rope(Tensor x, Tensor positions, Tensor invFreq, float attentionScale, boolean inverse)
            implements ComputeOp {
        @Override
        public String name() {
            return "rope";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(positions, invFreq).updates(true, x).list();
        }
    }

    /**
     * out[t] = table[ids[t] - vocabStart].
     *
     * @param keepOutOfRange whether rows of ids outside the table are left as they are; otherwise they become zero
     */
    record Embedding(Tensor table, Tensor ids, Tensor out, long vocabStart, boolean keepOutOfRange)
            implements ComputeOp {
        @Override
        public String name() {
            return "embedding";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(table, ids)
                    .updates(keepOutOfRange, out)
                    .list();
        }
    }

    /** Online log-sum-exp of one vocabulary shard's logits f32 [T, V] into state f32 [T, 3]. */
    record CrossEntropyUpdate(Tensor logits, Tensor labels, Tensor state, long vocabStart, boolean first)
            implements ComputeOp {
        @Override
        public String name() {
            return "cross-entropy-update";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(logits, labels).updates(!first, state).list();
        }
    }

    /** Merges the states [P, T, 3] of P vocabulary shards into state [T, 3]. */
    record CrossEntropyMerge(Tensor parts, Tensor state) implements ComputeOp {
        @Override
        public String name() {
            return "cross-entropy-merge";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(parts).writes(state).list();
        }
    }

    /** totals f64 [2] = {sum of losses in nats, valid labels}. */
    record CrossEntropyFinish(Tensor state, Tensor labels, Tensor totals) implements ComputeOp {
        @Override
        public String name() {
            return "cross-entropy-finish";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(state, labels).writes(totals).list();
        }
    }

    /** target = source; strides and dtype may differ. */
    record Copy(Tensor source, Tensor target) implements ComputeOp {
        public Copy {
            if (!source.shape().equals(target.shape())) {
                throw new IllegalArgumentException("copy: shapes differ: " + source + " -> " + target);
            }
        }

        @Override
        public String name() {
            return "copy";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect().reads(source).writes(target).list();
        }
    }
}
