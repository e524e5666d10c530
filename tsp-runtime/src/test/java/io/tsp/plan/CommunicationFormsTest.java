package io.tsp.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.model.ModelConfig;
import io.tsp.model.RopeConfig;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllReduce;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.program.Program;
import io.tsp.scheme.ForwardRequest;
import io.tsp.scheme.Recompute;
import io.tsp.scheme.Scheme;
import io.tsp.scheme.TrainingRequest;
import io.tsp.scheme.tpsp.TpSpScheme;
import io.tsp.tensor.DType;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Elements that each rank receives for a layer, counted from programs, against the closed forms of the literature (the
 * TSP paper, Megatron, Ulysses). A failure means that a scheme moves more or less than it says.
 *
 * <p>Letters: D ranks, W = (2 + 2 / g + 3 F) h^2 weights of a layer, A = B S h, g query heads for each key/value head,
 * F = 4. Counts are times D, so that all are whole. What the literature leaves out is written down where it comes up:
 * gradients of the two norms (h each), and what is gathered again because it was not kept.
 */
class CommunicationFormsTest {
    /** So that 8 ranks share whole panels of the MLP's weights. */
    private static final long H = 512;

    private static final long F = 4;
    private static final long BATCH = 2;
    private static final long SEQ = 64;
    private static final long A = BATCH * SEQ * H;

    /** @param kv key/value heads of 8 */
    record Case(Scheme scheme, int kv) {
        @Override
        public String toString() {
            return scheme.name() + " on " + scheme.mesh().worldSize() + " ranks, " + kv + " key/value heads";
        }

        long degree() {
            return scheme.mesh().worldSize();
        }

        /** B S h / g: keys, or values, of all tokens. */
        long keys() {
            return A * kv / 8;
        }

        long weights() {
            return (2 + 3 * F) * H * H + 2 * H * H * kv / 8;
        }
    }

    static Stream<Case> cases() {
        return Stream.of(2, 4, 8)
                .flatMap(degree -> Schemes.all(degree, 1).stream())
                .flatMap(scheme -> Stream.of(8, 4, 2).map(kv -> new Case(scheme, kv)))
                // With fewer heads than ranks some ranks hold the same head, and the forms say nothing of it.
                .filter(one -> one.degree() <= one.kv);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void forwardMovesWhatFormSays(Case one) {
        long expected = forward(one);
        for (int rank = 0; rank < one.degree(); rank++) {
            assertEquals(expected, one.degree() * forwardLayer(one, rank), one + ", rank " + rank);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardMovesWhatFormSays(Case one) {
        long expected = backward(one);
        for (int rank = 0; rank < one.degree(); rank++) {
            long step = trainingLayer(one, rank);
            assertEquals(expected, one.degree() * (step - forwardLayer(one, rank)), one + ", rank " + rank);
        }
    }

    private static long forward(Case one) {
        long others = one.degree() - 1;
        return switch (one.scheme.name()) {
            case "tsp", "fsdp+sp" -> others * (one.weights() + 2 * one.keys());
            case "ulysses" -> others * (one.weights() + (2 * A + 2 * one.keys()) / one.degree());
            default -> {
                TpSpScheme scheme = (TpSpScheme) one.scheme;
                yield 4 * A * (scheme.tp() - 1) + 2 * one.keys() * (scheme.sp() - 1);
            }
        };
    }

    private static long backward(Case one) {
        long others = one.degree() - 1;
        long norms = 2 * 2 * H;
        return switch (one.scheme.name()) {
            case "tsp", "fsdp+sp" -> others * (2 * one.weights() + 4 * one.keys() + norms);
            case "ulysses" ->
                // Queries, keys, values and outputs change hands once more, besides their gradients: they are not kept.
                others * (2 * one.weights() + (4 * A + 4 * one.keys()) / one.degree() + norms);
            default -> backward((TpSpScheme) one.scheme, one, norms);
        };
    }

    private static long backward(TpSpScheme scheme, Case one, long norms) {
        long tp = scheme.tp() - 1;
        long sp = scheme.sp() - 1;
        // With regions, inputs of sub-layers are gathered once more: only the region is kept.
        long activations = (scheme.regions() ? 6 : 4) * A * tp;
        long normsOfRegions = scheme.regions() ? norms * tp : 0;
        return activations + normsOfRegions + sp * (4 * one.keys() + 2 * one.weights() + norms * scheme.tp());
    }

    private static long forwardLayer(Case one, int rank) {
        return received(one.scheme.forward(request(one, 3), rank).program())
                - received(one.scheme.forward(request(one, 2), rank).program());
    }

    private static long trainingLayer(Case one, int rank) {
        return received(training(one, 3, rank)) - received(training(one, 2, rank));
    }

    private static Program training(Case one, int layers, int rank) {
        TrainingRequest request =
                new TrainingRequest(request(one, layers), 1, Recompute.SELECTIVE, DType.F32, false, false);
        return one.scheme.training(request, rank).model().program();
    }

    private static ForwardRequest request(Case one, int layers) {
        ModelConfig config = new ModelConfig(
                "llama",
                (int) H,
                (int) (F * H),
                layers,
                8,
                one.kv,
                (int) H / 8,
                64,
                1e-5f,
                4096,
                false,
                false,
                false,
                0,
                0,
                new RopeConfig(10_000, new RopeConfig.None()));
        return new ForwardRequest(config, DType.BF16, BATCH, SEQ, false, false);
    }

    private static long received(Program program) {
        return program.steps().stream()
                .mapToLong(step -> step.op() instanceof CommunicationOp op ? received(op) : 0)
                .sum();
    }

    private static long received(CommunicationOp op) {
        int others = op.group().size() - 1;
        return switch (op) {
            case Broadcast broadcast ->
                broadcast.self() == broadcast.root() ? 0 : broadcast.buffer().count();
            case AllGather gather -> count(gather.parts()) - gather.own().count();
            case ReduceScatter scatter ->
                others * scatter.parts().get(op.self()).count();
            case AllReduce reduce -> {
                long twice = 2 * others * reduce.buffer().count();
                assertEquals(0, twice % (others + 1), "not a whole number of elements");
                yield twice / (others + 1);
            }
            case AllToAll exchange ->
                count(exchange.receive()) - exchange.receive().get(op.self()).count();
            case SendReceive hop -> hop.receive() == null ? 0 : hop.receive().count();
        };
    }

    private static long count(List<Tensor> tensors) {
        return tensors.stream().mapToLong(Tensor::count).sum();
    }
}
