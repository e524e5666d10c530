package io.tsp.program;

import io.tsp.op.Access;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllGather;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.Broadcast;
import io.tsp.op.CommunicationOp.ReduceScatter;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.tensor.Tensor;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Proves of each exchange what one rank alone can know: that group, place in the group, root, peers and number of parts
 * fit each other, that operands are dense and apart, and that the exchanges of a channel run in program order. Whether
 * the members fit each other is {@link ExchangeMatcher}'s question.
 */
final class CommunicationCheck {
    private final Schedule schedule;
    private final HappensBefore order;
    private final int worldSize;
    private final Map<Exchanges.Channel, Step> lastOfChannel = new HashMap<>();

    private CommunicationCheck(Schedule schedule, HappensBefore order, int worldSize) {
        this.schedule = schedule;
        this.order = order;
        this.worldSize = worldSize;
    }

    static void check(Schedule schedule, HappensBefore order, int worldSize) {
        CommunicationCheck check = new CommunicationCheck(schedule, order, worldSize);
        for (Step step : schedule.program().steps()) {
            if (step.op() instanceof CommunicationOp op) {
                check.group(step, op);
                check.indices(step, op);
                check.parts(step, op);
                check.operands(step, op);
                check.channelOrder(step, op);
            }
        }
    }

    private void group(Step step, CommunicationOp op) {
        List<Integer> ranks = op.group().ranks();
        require(new HashSet<>(ranks).size() == ranks.size(), step, "group %s has a rank twice", op.group());
        for (int rank : ranks) {
            boolean exists = rank >= 0 && rank < worldSize;
            require(exists, step, "group %s has a rank outside the world of %s ranks", op.group(), worldSize);
        }
        int index = ranks.indexOf(schedule.program().rank());
        require(index >= 0, step, "group %s does not contain the rank", op.group());
        require(
                index == op.self(),
                step,
                "it is member %s of %s, but takes itself for %s",
                index,
                op.group(),
                op.self());
    }

    private void indices(Step step, CommunicationOp op) {
        if (op instanceof Broadcast broadcast) {
            requireMember(step, op, "root", broadcast.root());
        } else if (op instanceof SendReceive hop) {
            if (hop.send() != null) {
                requirePeer(step, op, "receiver", hop.to());
            }
            if (hop.receive() != null) {
                requirePeer(step, op, "sender", hop.from());
            }
        }
    }

    private void requirePeer(Step step, CommunicationOp op, String role, int index) {
        requireMember(step, op, role, index);
        require(index != op.self(), step, "its %s is the rank itself", role);
    }

    private void requireMember(Step step, CommunicationOp op, String role, int index) {
        boolean exists = index >= 0 && index < op.group().size();
        require(exists, step, "its %s is member %s of %s, which does not exist", role, index, op.group());
    }

    private void parts(Step step, CommunicationOp op) {
        if (op instanceof AllGather gather) {
            requireOneEach(step, op, "parts", gather.parts());
            Tensor own = gather.own();
            Tensor place = gather.parts().get(op.self());
            boolean fits = own.dtype() == place.dtype() && own.count() == place.count();
            require(fits, step, "its own tensor %s does not fit its part %s", own, place);
        } else if (op instanceof ReduceScatter scatter) {
            requireOneEach(step, op, "parts", scatter.parts());
        } else if (op instanceof AllToAll exchange) {
            requireOneEach(step, op, "tensors to send", exchange.send());
            requireOneEach(step, op, "tensors to receive", exchange.receive());
        }
    }

    private void requireOneEach(Step step, CommunicationOp op, String what, List<Tensor> tensors) {
        int members = op.group().size();
        boolean fits = tensors.size() == members;
        require(fits, step, "it has %s %s for the %s members of %s", tensors.size(), what, members, op.group());
    }

    /** Peers read what this rank posts while it writes what it receives, so the two must not meet. */
    private void operands(Step step, CommunicationOp op) {
        List<Access> accesses = op.accesses();
        for (int i = 0; i < accesses.size(); i++) {
            Tensor tensor = accesses.get(i).tensor();
            require(tensor.isDense(), step, "operand %s is not dense", tensor);
            for (int j = 0; j < i; j++) {
                Tensor other = accesses.get(j).tensor();
                boolean written = accesses.get(i).mode().writes()
                        || accesses.get(j).mode().writes();
                boolean apart = !written || !tensor.overlaps(other);
                require(apart, step, "operands %s and %s overlap, and one of them is written", other, tensor);
            }
        }
    }

    /** Transports match exchanges by counting them per channel, so lanes must not reorder a channel. */
    private void channelOrder(Step step, CommunicationOp op) {
        Exchanges.Channel channel = new Exchanges.Channel(op.group(), step.lane());
        Step previous = lastOfChannel.put(channel, step);
        boolean ordered = previous == null || order.ordered(previous.index(), step.index());
        require(ordered, step, "it comes behind step %s in %s, but no wait orders the two", previous, channel);
    }

    private void require(boolean condition, Step step, String defect, @Nullable Object... arguments) {
        if (!condition) {
            throw VerificationException.at(schedule.program().rank(), step, defect.formatted(arguments));
        }
    }
}
