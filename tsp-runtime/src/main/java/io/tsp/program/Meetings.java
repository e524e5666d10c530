package io.tsp.program;

import io.tsp.mesh.Group;
import io.tsp.op.CommunicationOp;
import io.tsp.op.CommunicationOp.SendReceive;
import io.tsp.program.Exchanges.Member;
import io.tsp.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which steps of some ranks meet. Unlike {@link ExchangeMatcher} it proves little and needs not all ranks of the world:
 * a member that is not there is taken to come when those that are there do.
 */
final class Meetings {
    /**
     * Steps that meet.
     *
     * @param members those that are there
     */
    record Meeting(Key key, List<Member> members) {
        CommunicationOp op(int member) {
            return (CommunicationOp) members.get(member).step().op();
        }
    }

    /** The n-th of a channel; for messages the channel is one from a sender to a receiver, else both are -1. */
    record Key(int group, Lane lane, int sender, int receiver, int ordinal) {}

    private final Map<Group, Integer> groups = new HashMap<>();
    private final IdentityHashMap<Group, Integer> sameGroups = new IdentityHashMap<>();
    private final Map<Key, Meeting> meetings = new LinkedHashMap<>();
    private final List<Integer> present;

    private Meetings(List<Integer> present) {
        this.present = present;
    }

    /** @throws VerificationException if members that are there do not fit each other */
    static List<Meeting> of(List<Schedule> schedules) {
        List<Integer> present =
                schedules.stream().map(schedule -> schedule.program().rank()).toList();
        Meetings meetings = new Meetings(present);
        schedules.forEach(meetings::collect);
        meetings.meetings.values().forEach(meetings::requireComplete);
        return List.copyOf(meetings.meetings.values());
    }

    private void collect(Schedule schedule) {
        Map<Key, Integer> counts = new HashMap<>();
        for (Step step : schedule.program().steps()) {
            if (step.op() instanceof CommunicationOp op) {
                Member member = new Member(schedule.program().rank(), step);
                int group = sameGroups.computeIfAbsent(
                        op.group(), same -> groups.computeIfAbsent(same, key -> groups.size()));
                if (!(op instanceof SendReceive hop)) {
                    join(new Key(group, step.lane(), -1, -1, 0), counts, member);
                    continue;
                }
                if (hop.send() != null) {
                    join(new Key(group, step.lane(), hop.self(), hop.to(), 0), counts, member);
                }
                if (hop.receive() != null) {
                    join(new Key(group, step.lane(), hop.from(), hop.self(), 0), counts, member);
                }
            }
        }
    }

    private void join(Key channel, Map<Key, Integer> counts, Member member) {
        int ordinal = counts.merge(channel, 1, Integer::sum) - 1;
        Key key = new Key(channel.group, channel.lane, channel.sender, channel.receiver, ordinal);
        Meeting meeting = meetings.computeIfAbsent(key, unused -> new Meeting(key, new ArrayList<>()));
        if (!meeting.members.isEmpty()) {
            requireSame(meeting.members.getFirst(), member, key);
        }
        meeting.members.add(member);
    }

    private static void requireSame(Member first, Member other, Key key) {
        CommunicationOp a = (CommunicationOp) first.step().op();
        CommunicationOp b = (CommunicationOp) other.step().op();
        boolean same = key.sender >= 0
                ? messageBytes(a, key) == messageBytes(b, key)
                : a.signature().equals(b.signature());
        if (!same) {
            throw new VerificationException(first + " meets " + other + ", but " + a + " does not fit " + b);
        }
    }

    /** Bytes of the message that a hop sends or receives. */
    static long messageBytes(CommunicationOp op, Key key) {
        SendReceive hop = (SendReceive) op;
        Tensor tensor = hop.self() == key.sender ? hop.send() : hop.receive();
        return tensor == null ? -1 : tensor.bytes();
    }

    private void requireComplete(Meeting meeting) {
        Group group = meeting.op(0).group();
        List<Integer> expected = meeting.key.sender < 0
                ? group.ranks()
                : List.of(group.ranks().get(meeting.key.sender), group.ranks().get(meeting.key.receiver));
        List<Integer> found = meeting.members.stream().map(Member::rank).toList();
        for (int rank : expected) {
            if (present.contains(rank) && !found.contains(rank)) {
                throw new VerificationException(meeting.members.getFirst() + " waits for rank " + rank
                        + ", which never comes to this exchange");
            }
        }
    }
}
