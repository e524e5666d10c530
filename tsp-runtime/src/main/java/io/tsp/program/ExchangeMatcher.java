package io.tsp.program;

import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.AllToAll;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.program.Exchanges.Channel;
import io.tsp.program.Exchanges.Member;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Proves that the exchanges of all ranks fit each other. In each channel all members run the same collectives in the
 * same order, with equal counts and dtypes; the n-th message from one rank to another is the n-th that the other
 * expects.
 */
final class ExchangeMatcher {
    private final Map<Channel, Map<Integer, List<Member>>> collectives = new LinkedHashMap<>();
    private final Map<Pair, Messages> messages = new LinkedHashMap<>();
    private final Exchanges exchanges;

    /** Indices in the channel's group. */
    private record Pair(Channel channel, int sender, int receiver) {
        @Override
        public String toString() {
            return "from rank " + rank(sender) + " to rank " + rank(receiver) + " in " + channel;
        }

        private int rank(int index) {
            return channel.group().ranks().get(index);
        }
    }

    private record Messages(List<Member> sent, List<Member> received) {
        Messages() {
            this(new ArrayList<>(), new ArrayList<>());
        }
    }

    private ExchangeMatcher(List<Schedule> schedules) {
        exchanges = new Exchanges(schedules);
    }

    static Exchanges match(List<Schedule> schedules) {
        ExchangeMatcher matcher = new ExchangeMatcher(schedules);
        for (Schedule schedule : schedules) {
            for (Step step : schedule.program().steps()) {
                if (step.op() instanceof CommunicationOp op) {
                    matcher.collect(new Member(schedule.program().rank(), step), op);
                }
            }
        }
        matcher.collectives.forEach(matcher::matchCollectives);
        matcher.messages.forEach(matcher::matchMessages);
        return matcher.exchanges;
    }

    private void collect(Member member, CommunicationOp op) {
        Channel channel = new Channel(op.group(), member.step().lane());
        if (op instanceof SendReceive hop) {
            if (hop.send() != null) {
                messages(channel, hop.self(), hop.to()).sent.add(member);
            }
            if (hop.receive() != null) {
                messages(channel, hop.from(), hop.self()).received.add(member);
            }
        } else {
            collectives
                    .computeIfAbsent(channel, key -> new LinkedHashMap<>())
                    .computeIfAbsent(member.rank(), key -> new ArrayList<>())
                    .add(member);
        }
    }

    private Messages messages(Channel channel, int sender, int receiver) {
        return messages.computeIfAbsent(new Pair(channel, sender, receiver), key -> new Messages());
    }

    private void matchCollectives(Channel channel, Map<Integer, List<Member>> ofRank) {
        List<Member> longest = Collections.max(ofRank.values(), Comparator.comparingInt(List::size));
        for (int i = 0; i < longest.size(); i++) {
            List<Member> members = new ArrayList<>();
            for (int rank : channel.group().ranks()) {
                List<Member> own = ofRank.getOrDefault(rank, List.of());
                requireSame(channel, i, longest, own, rank);
                members.add(own.get(i));
            }
            if (op(members.getFirst()) instanceof AllToAll) {
                matchPairs(members);
            }
            exchanges.add(members);
        }
    }

    private static void requireSame(Channel channel, int index, List<Member> longest, List<Member> others, int rank) {
        Member expected = longest.get(index);
        String place = " is exchange " + index + " of " + longest.size() + " in " + channel + ", but ";
        if (index >= others.size()) {
            throw new VerificationException(expected + place + "rank " + rank + " has only " + others.size());
        }
        Member found = others.get(index);
        if (!op(found).signature().equals(op(expected).signature())) {
            throw new VerificationException(expected + place + found + " is exchange " + index + " of " + others.size()
                    + ": " + op(expected).signature() + " against " + op(found).signature());
        }
    }

    private static void matchPairs(List<Member> members) {
        for (int sender = 0; sender < members.size(); sender++) {
            for (int receiver = 0; receiver < members.size(); receiver++) {
                Tensor sent = ((AllToAll) op(members.get(sender))).send().get(receiver);
                Tensor received =
                        ((AllToAll) op(members.get(receiver))).receive().get(sender);
                requireSame(members.get(sender), sent, members.get(receiver), received);
            }
        }
    }

    private void matchMessages(Pair pair, Messages both) {
        int matched = Math.min(both.sent.size(), both.received.size());
        for (int i = 0; i < matched; i++) {
            Member sender = both.sent.get(i);
            Member receiver = both.received.get(i);
            Tensor sent = Objects.requireNonNull(((SendReceive) op(sender)).send());
            Tensor received = Objects.requireNonNull(((SendReceive) op(receiver)).receive());
            requireSame(sender, sent, receiver, received);
            exchanges.add(List.of(sender, receiver));
        }
        if (both.sent.size() > matched) {
            throw new VerificationException(
                    both.sent.get(matched) + " sends message " + matched + " " + pair + ", which nobody receives");
        }
        if (both.received.size() > matched) {
            throw new VerificationException(
                    both.received.get(matched) + " waits for message " + matched + " " + pair + ", which nobody sends");
        }
    }

    private static void requireSame(Member sender, Tensor sent, Member receiver, Tensor received) {
        if (sent.dtype() != received.dtype() || sent.count() != received.count()) {
            throw new VerificationException(sender + " sends " + sent + ", but " + receiver + " expects " + received);
        }
    }

    private static CommunicationOp op(Member member) {
        return (CommunicationOp) member.step().op();
    }
}
