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
public sealed interface ComputeOp extends Op {

    /**
     * out [M, N] (+)= a [M, K] weight [N, K]^T + bias [N]. Accumulates in fp32; out is f32 or a's dtype.
     *
     * @param accumulate whether out is added to; then there is no bias
     */
    record Gemm(Tensor a, Tensor weight, @Nullable Tensor bias, Tensor out, boolean accumulate) implements ComputeOp {
        public Gemm {
            if (a.dim(1) != weight.dim(1) || out.dim(0) != a.dim(0) || out.dim(1) != weight.dim(0)) {
                throw new IllegalArgumentException("gemm: shapes do not fit: " + a + " x " + weight + "^T -> " + out);
            }
        }

        @Override
        public String name() {
            return "gemm";
        }

        @Override
        public List<Access> accesses() {
            return Access.collect()
                    .reads(a, weight, bias)
                    .updates(accumulate, out)
                    .list();
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
     * @param intermediate features of the shard, padded to {@link Panels#FEATURES}
     */
    record GatedMlp(Tensor x, Tensor gateUp, Tensor down, Tensor y, long intermediate, boolean accumulate)
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

    /** Rotates x [T, heads, d] in place by positions i32 [T] and invFreq f32 [d / 2]. */
    record Rope(Tensor x, Tensor positions, Tensor invFreq, float attentionScale) implements ComputeOp {
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

    /** Sizes of the panel layout, in elements; see {@code tsp_pack_args}. */
    final class Panels {
        /** Columns of a panel. */
        public static final long COLUMNS = 64;
        /** Intermediate features of a gate/up panel: half its columns; shards are padded to a multiple. */
        public static final long FEATURES = 32;

        private Panels() {}

        /** Elements of the packed gate/up matrices of features rows each, of hidden columns. */
        public static long gateUpCount(long features, long hidden) {
            return Math.ceilDiv(features, FEATURES) * COLUMNS * Math.ceilDiv(hidden, 2) * 2;
        }

        /** Elements of a packed down matrix [hidden, features]. */
        public static long downCount(long features, long hidden) {
            return Math.ceilDiv(hidden, COLUMNS) * COLUMNS * pad(features);
        }

        /** Features padded to whole panels. */
        public static long pad(long features) {
            return Math.ceilDiv(features, FEATURES) * FEATURES;
        }
    }
}
