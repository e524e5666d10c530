package io.tsp.device.kernels;

import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_ACCUMULATE;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_ACCUMULATE_WEIGHT;
import static io.tsp.ffm.generated.kernels.tsp_kernels_h.TSP_DECAY;

import io.tsp.ffm.generated.kernels.tsp_adamw_args;
import io.tsp.ffm.generated.kernels.tsp_attention_backward_args;
import io.tsp.ffm.generated.kernels.tsp_clip_args;
import io.tsp.ffm.generated.kernels.tsp_column_sum_args;
import io.tsp.ffm.generated.kernels.tsp_cross_entropy_backward_args;
import io.tsp.ffm.generated.kernels.tsp_embedding_backward_args;
import io.tsp.ffm.generated.kernels.tsp_gated_mlp_backward_args;
import io.tsp.ffm.generated.kernels.tsp_rms_norm_backward_args;
import io.tsp.ffm.generated.kernels.tsp_square_sum_args;
import io.tsp.ffm.generated.kernels.tsp_sum_args;
import io.tsp.op.TrainingOp.AdamW;
import io.tsp.op.TrainingOp.AttentionBackward;
import io.tsp.op.TrainingOp.Clip;
import io.tsp.op.TrainingOp.ColumnSum;
import io.tsp.op.TrainingOp.CrossEntropyBackward;
import io.tsp.op.TrainingOp.EmbeddingBackward;
import io.tsp.op.TrainingOp.GatedMlpBackward;
import io.tsp.op.TrainingOp.RmsNormBackward;
import io.tsp.op.TrainingOp.SquareSum;
import io.tsp.op.TrainingOp.Sum;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The structs of arguments of the ops that only training needs, field by field. */
final class TrainingArguments {
    private TrainingArguments() {}

    static MemorySegment of(AttentionBackward op, Structs structs) {
        MemorySegment args = tsp_attention_backward_args.allocate(structs.arena());
        tsp_attention_backward_args.struct_size(args, Math.toIntExact(tsp_attention_backward_args.sizeof()));
        structs.fill(tsp_attention_backward_args.dout(args), op.dOut());
        structs.fill(tsp_attention_backward_args.dq(args), op.dQ());
        structs.fill(tsp_attention_backward_args.dk(args), op.dK());
        structs.fill(tsp_attention_backward_args.dv(args), op.dV());
        Arguments.fill(tsp_attention_backward_args.forward(args), op.forward(), structs);
        tsp_attention_backward_args.flags(args, op.accumulate() ? TSP_ACCUMULATE() : 0);
        return args;
    }

    static MemorySegment of(GatedMlpBackward op, Structs structs) {
        MemorySegment args = tsp_gated_mlp_backward_args.allocate(structs.arena());
        tsp_gated_mlp_backward_args.struct_size(args, Math.toIntExact(tsp_gated_mlp_backward_args.sizeof()));
        structs.fill(tsp_gated_mlp_backward_args.x(args), op.x());
        structs.fill(tsp_gated_mlp_backward_args.gate_up(args), op.gateUp());
        structs.fill(tsp_gated_mlp_backward_args.down(args), op.down());
        structs.fill(tsp_gated_mlp_backward_args.dy(args), op.dY());
        structs.fill(tsp_gated_mlp_backward_args.saved(args), op.saved());
        structs.fill(tsp_gated_mlp_backward_args.hidden(args), op.hidden());
        structs.fill(tsp_gated_mlp_backward_args.dgate(args), op.dGate());
        structs.fill(tsp_gated_mlp_backward_args.dup(args), op.dUp());
        structs.fill(tsp_gated_mlp_backward_args.dx(args), op.dX());
        tsp_gated_mlp_backward_args.flags(args, op.accumulate() ? TSP_ACCUMULATE() : 0);
        tsp_gated_mlp_backward_args.intermediate(args, op.intermediate());
        return args;
    }

    static MemorySegment of(RmsNormBackward op, Structs structs) {
        MemorySegment args = tsp_rms_norm_backward_args.allocate(structs.arena());
        tsp_rms_norm_backward_args.struct_size(args, Math.toIntExact(tsp_rms_norm_backward_args.sizeof()));
        structs.fill(tsp_rms_norm_backward_args.x(args), op.x());
        structs.fill(tsp_rms_norm_backward_args.weight(args), op.weight());
        structs.fill(tsp_rms_norm_backward_args.dout(args), op.dOut());
        structs.fill(tsp_rms_norm_backward_args.dx(args), op.dX());
        structs.fill(tsp_rms_norm_backward_args.rounded(args), op.rounded());
        structs.fill(tsp_rms_norm_backward_args.dweight(args), op.dWeight());
        tsp_rms_norm_backward_args.flags(
                args, (op.accumulate() ? TSP_ACCUMULATE() : 0) | (op.accumulateWeight() ? TSP_ACCUMULATE_WEIGHT() : 0));
        tsp_rms_norm_backward_args.epsilon(args, op.epsilon());
        return args;
    }

    static MemorySegment of(EmbeddingBackward op, Structs structs) {
        MemorySegment args = tsp_embedding_backward_args.allocate(structs.arena());
        tsp_embedding_backward_args.struct_size(args, Math.toIntExact(tsp_embedding_backward_args.sizeof()));
        structs.fill(tsp_embedding_backward_args.dout(args), op.dOut());
        structs.fill(tsp_embedding_backward_args.ids(args), op.ids());
        structs.fill(tsp_embedding_backward_args.dtable(args), op.dTable());
        tsp_embedding_backward_args.flags(args, op.accumulate() ? TSP_ACCUMULATE() : 0);
        tsp_embedding_backward_args.vocab_start(args, op.vocabStart());
        return args;
    }

    static MemorySegment of(CrossEntropyBackward op, Structs structs) {
        MemorySegment args = tsp_cross_entropy_backward_args.allocate(structs.arena());
        tsp_cross_entropy_backward_args.struct_size(args, Math.toIntExact(tsp_cross_entropy_backward_args.sizeof()));
        structs.fill(tsp_cross_entropy_backward_args.logits(args), op.logits());
        structs.fill(tsp_cross_entropy_backward_args.labels(args), op.labels());
        structs.fill(tsp_cross_entropy_backward_args.state(args), op.state());
        structs.fill(tsp_cross_entropy_backward_args.scale(args), op.scale());
        structs.fill(tsp_cross_entropy_backward_args.dlogits(args), op.dLogits());
        tsp_cross_entropy_backward_args.vocab_start(args, op.vocabStart());
        return args;
    }

    static MemorySegment of(ColumnSum op, Structs structs) {
        MemorySegment args = tsp_column_sum_args.allocate(structs.arena());
        tsp_column_sum_args.struct_size(args, Math.toIntExact(tsp_column_sum_args.sizeof()));
        structs.fill(tsp_column_sum_args.x(args), op.x());
        structs.fill(tsp_column_sum_args.out(args), op.out());
        tsp_column_sum_args.flags(args, op.accumulate() ? TSP_ACCUMULATE() : 0);
        return args;
    }

    static MemorySegment of(SquareSum op, Structs structs) {
        MemorySegment args = tsp_square_sum_args.allocate(structs.arena());
        tsp_square_sum_args.struct_size(args, Math.toIntExact(tsp_square_sum_args.sizeof()));
        structs.fill(tsp_square_sum_args.x(args), op.x());
        structs.fill(tsp_square_sum_args.out(args), op.out());
        tsp_square_sum_args.flags(args, op.accumulate() ? TSP_ACCUMULATE() : 0);
        return args;
    }

    static MemorySegment of(Clip op, Structs structs) {
        MemorySegment args = tsp_clip_args.allocate(structs.arena());
        tsp_clip_args.struct_size(args, Math.toIntExact(tsp_clip_args.sizeof()));
        structs.fill(tsp_clip_args.squares(args), op.squares());
        structs.fill(tsp_clip_args.hyper(args), op.hyper());
        structs.fill(tsp_clip_args.clip(args), op.clip());
        return args;
    }

    static MemorySegment of(AdamW op, Structs structs) {
        MemorySegment args = tsp_adamw_args.allocate(structs.arena());
        tsp_adamw_args.struct_size(args, Math.toIntExact(tsp_adamw_args.sizeof()));
        structs.fill(tsp_adamw_args.parameter(args), op.parameter());
        structs.fill(tsp_adamw_args.grad(args), op.grad());
        structs.fill(tsp_adamw_args.first(args), op.first());
        structs.fill(tsp_adamw_args.second(args), op.second());
        structs.fill(tsp_adamw_args.rounded(args), op.rounded());
        structs.fill(tsp_adamw_args.hyper(args), op.hyper());
        structs.fill(tsp_adamw_args.clip(args), op.clip());
        tsp_adamw_args.flags(args, op.decay() ? TSP_DECAY() : 0);
        return args;
    }

    static MemorySegment of(Sum op, Structs structs) {
        MemorySegment args = tsp_sum_args.allocate(structs.arena());
        tsp_sum_args.struct_size(args, Math.toIntExact(tsp_sum_args.sizeof()));
        MemorySegment sources =
                structs.arena().allocate(ValueLayout.ADDRESS, op.sources().size());
        for (int i = 0; i < op.sources().size(); i++) {
            sources.setAtIndex(
                    ValueLayout.ADDRESS, i, structs.address(op.sources().get(i)));
        }
        tsp_sum_args.dtype(args, Structs.dtype(op.target().dtype()));
        tsp_sum_args.sources(args, sources);
        tsp_sum_args.target(args, structs.address(op.target()));
        tsp_sum_args.count(args, op.target().count());
        tsp_sum_args.source_count(args, op.sources().size());
        return args;
    }
}
