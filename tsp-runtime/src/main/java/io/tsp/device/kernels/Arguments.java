package io.tsp.device.kernels;

import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_ACCUMULATE;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_CAUSAL;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_FIRST;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_INVERSE;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_KEEP_OUT_OF_RANGE;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_PANELS_GATE_UP;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_PANELS_PLAIN;

import io.tsp.ffm.generated.kernels.tsp_attention_args;
import io.tsp.ffm.generated.kernels.tsp_copy_args;
import io.tsp.ffm.generated.kernels.tsp_cross_entropy_finish_args;
import io.tsp.ffm.generated.kernels.tsp_cross_entropy_merge_args;
import io.tsp.ffm.generated.kernels.tsp_cross_entropy_update_args;
import io.tsp.ffm.generated.kernels.tsp_embedding_args;
import io.tsp.ffm.generated.kernels.tsp_gated_mlp_args;
import io.tsp.ffm.generated.kernels.tsp_pack_args;
import io.tsp.ffm.generated.kernels.tsp_rms_norm_args;
import io.tsp.ffm.generated.kernels.tsp_rope_args;
import io.tsp.op.ComputeOp.Attention;
import io.tsp.op.ComputeOp.Copy;
import io.tsp.op.ComputeOp.CrossEntropyFinish;
import io.tsp.op.ComputeOp.CrossEntropyMerge;
import io.tsp.op.ComputeOp.CrossEntropyUpdate;
import io.tsp.op.ComputeOp.Embedding;
import io.tsp.op.ComputeOp.GatedMlp;
import io.tsp.op.ComputeOp.PackPanels;
import io.tsp.op.ComputeOp.RmsNorm;
import io.tsp.op.ComputeOp.Rope;
import java.lang.foreign.MemorySegment;

/** Each op's struct of arguments, field by field. */
final class Arguments {
    private Arguments() {}

    static MemorySegment of(Attention op, Structs structs) {
        MemorySegment args = tsp_attention_args.allocate(structs.arena());
        fill(args, op, structs);
        return args;
    }

    /** Also where the struct is part of another one. */
    static void fill(MemorySegment args, Attention op, Structs structs) {
        tsp_attention_args.struct_size(args, Math.toIntExact(tsp_attention_args.sizeof()));
        structs.fill(tsp_attention_args.q(args), op.q());
        structs.fill(tsp_attention_args.k(args), op.k());
        structs.fill(tsp_attention_args.v(args), op.v());
        structs.fill(tsp_attention_args.kv_start(args), op.kvStart());
        structs.fill(tsp_attention_args.out(args), op.out());
        structs.fill(tsp_attention_args.lse(args), op.lse());
        tsp_attention_args.flags(args, TSP_CAUSAL());
        tsp_attention_args.q_chunks(args, structs.chunks(op.qChunks()));
        tsp_attention_args.k_chunks(args, structs.chunks(op.kChunks()));
        tsp_attention_args.q_chunk_count(args, op.qChunks().size());
        tsp_attention_args.k_chunk_count(args, op.kChunks().size());
        tsp_attention_args.batch(args, op.batch());
        tsp_attention_args.window(args, op.window());
        tsp_attention_args.scale(args, op.scale());
    }

    static MemorySegment of(GatedMlp op, Structs structs) {
        MemorySegment args = tsp_gated_mlp_args.allocate(structs.arena());
        tsp_gated_mlp_args.struct_size(args, Math.toIntExact(tsp_gated_mlp_args.sizeof()));
        structs.fill(tsp_gated_mlp_args.x(args), op.x());
        structs.fill(tsp_gated_mlp_args.gate_up(args), op.gateUp());
        structs.fill(tsp_gated_mlp_args.down(args), op.down());
        structs.fill(tsp_gated_mlp_args.y(args), op.y());
        structs.fill(tsp_gated_mlp_args.saved(args), op.saved());
        tsp_gated_mlp_args.flags(args, op.accumulate() ? TSP_ACCUMULATE() : 0);
        tsp_gated_mlp_args.intermediate(args, op.intermediate());
        return args;
    }

    static MemorySegment of(PackPanels op, Structs structs) {
        MemorySegment args = tsp_pack_args.allocate(structs.arena());
        tsp_pack_args.struct_size(args, Math.toIntExact(tsp_pack_args.sizeof()));
        structs.fill(tsp_pack_args.source(args), op.source());
        structs.fill(tsp_pack_args.second(args), op.second());
        structs.fill(tsp_pack_args.panels(args), op.panels());
        tsp_pack_args.layout(args, op.second() == null ? TSP_PANELS_PLAIN() : TSP_PANELS_GATE_UP());
        tsp_pack_args.first_panel(args, op.firstPanel());
        return args;
    }

    static MemorySegment of(RmsNorm op, Structs structs) {
        MemorySegment args = tsp_rms_norm_args.allocate(structs.arena());
        tsp_rms_norm_args.struct_size(args, Math.toIntExact(tsp_rms_norm_args.sizeof()));
        structs.fill(tsp_rms_norm_args.x(args), op.x());
        structs.fill(tsp_rms_norm_args.delta(args), op.delta());
        structs.fill(tsp_rms_norm_args.weight(args), op.weight());
        structs.fill(tsp_rms_norm_args.sum(args), op.sum());
        structs.fill(tsp_rms_norm_args.out(args), op.out());
        tsp_rms_norm_args.epsilon(args, op.epsilon());
        return args;
    }

    static MemorySegment of(Rope op, Structs structs) {
        MemorySegment args = tsp_rope_args.allocate(structs.arena());
        tsp_rope_args.struct_size(args, Math.toIntExact(tsp_rope_args.sizeof()));
        structs.fill(tsp_rope_args.x(args), op.x());
        structs.fill(tsp_rope_args.positions(args), op.positions());
        structs.fill(tsp_rope_args.inv_freq(args), op.invFreq());
        tsp_rope_args.attention_scale(args, op.attentionScale());
        tsp_rope_args.flags(args, op.inverse() ? TSP_INVERSE() : 0);
        return args;
    }

    static MemorySegment of(Embedding op, Structs structs) {
        MemorySegment args = tsp_embedding_args.allocate(structs.arena());
        tsp_embedding_args.struct_size(args, Math.toIntExact(tsp_embedding_args.sizeof()));
        structs.fill(tsp_embedding_args.table(args), op.table());
        structs.fill(tsp_embedding_args.ids(args), op.ids());
        structs.fill(tsp_embedding_args.out(args), op.out());
        tsp_embedding_args.flags(args, op.keepOutOfRange() ? TSP_KEEP_OUT_OF_RANGE() : 0);
        tsp_embedding_args.vocab_start(args, op.vocabStart());
        return args;
    }

    static MemorySegment of(CrossEntropyUpdate op, Structs structs) {
        MemorySegment args = tsp_cross_entropy_update_args.allocate(structs.arena());
        tsp_cross_entropy_update_args.struct_size(args, Math.toIntExact(tsp_cross_entropy_update_args.sizeof()));
        structs.fill(tsp_cross_entropy_update_args.logits(args), op.logits());
        structs.fill(tsp_cross_entropy_update_args.labels(args), op.labels());
        structs.fill(tsp_cross_entropy_update_args.state(args), op.state());
        tsp_cross_entropy_update_args.flags(args, op.first() ? TSP_FIRST() : 0);
        tsp_cross_entropy_update_args.vocab_start(args, op.vocabStart());
        return args;
    }

    static MemorySegment of(CrossEntropyMerge op, Structs structs) {
        MemorySegment args = tsp_cross_entropy_merge_args.allocate(structs.arena());
        tsp_cross_entropy_merge_args.struct_size(args, Math.toIntExact(tsp_cross_entropy_merge_args.sizeof()));
        structs.fill(tsp_cross_entropy_merge_args.parts(args), op.parts());
        structs.fill(tsp_cross_entropy_merge_args.state(args), op.state());
        return args;
    }

    static MemorySegment of(CrossEntropyFinish op, Structs structs) {
        MemorySegment args = tsp_cross_entropy_finish_args.allocate(structs.arena());
        tsp_cross_entropy_finish_args.struct_size(args, Math.toIntExact(tsp_cross_entropy_finish_args.sizeof()));
        structs.fill(tsp_cross_entropy_finish_args.state(args), op.state());
        structs.fill(tsp_cross_entropy_finish_args.labels(args), op.labels());
        structs.fill(tsp_cross_entropy_finish_args.totals(args), op.totals());
        return args;
    }

    static MemorySegment of(Copy op, Structs structs) {
        MemorySegment args = tsp_copy_args.allocate(structs.arena());
        tsp_copy_args.struct_size(args, Math.toIntExact(tsp_copy_args.sizeof()));
        structs.fill(tsp_copy_args.source(args), op.source());
        structs.fill(tsp_copy_args.target(args), op.target());
        return args;
    }
}
