package io.tsp.program;

import io.tsp.mesh.Group;
import java.util.ArrayList;
import java.util.List;

/** Which steps of which ranks meet. Made by {@link ExchangeMatcher}. */
final class Exchanges {
    /** Within a channel exchanges match by counting: the n-th of one member is the n-th of every other. */
    record Channel(Group group, Lane lane) {
        @Override
        public String toString() {
            return group + " on lane " + lane;
        }
    }

    /** A rank's part in an exchange. */
    record Member(int rank, Step step) {
        @Override
        public String toString() {
            return VerificationException.step(rank, step);
        }
    }

    /** None of the members' steps is finished before all have begun. */
    record Exchange(int id, List<Member> members) {}

    private final List<List<List<Exchange>>> ofStep = new ArrayList<>();
    private int count;

    Exchanges(List<Schedule> schedules) {
        for (Schedule schedule : schedules) {
            List<List<Exchange>> none = new ArrayList<>();
            schedule.program().steps().forEach(step -> none.add(List.of()));
            ofStep.add(none);
        }
    }

    /** Says that steps meet. */
    void add(List<Member> members) {
        Exchange exchange = new Exchange(count++, List.copyOf(members));
        for (Member member : members) {
            List<List<Exchange>> ofRank = ofStep.get(member.rank());
            List<Exchange> all = new ArrayList<>(ofRank.get(member.step().index()));
            all.add(exchange);
            ofRank.set(member.step().index(), List.copyOf(all));
        }
    }

    int count() {
        return count;
    }

    /** The exchanges of a step: none for work of one rank, two for a hop that sends and receives. */
    List<Exchange> of(int rank, int step) {
        return ofStep.get(rank).get(step);
    }
}
