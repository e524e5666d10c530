package io.tsp.program;

import io.tsp.program.Exchanges.Member;
import io.tsp.program.Meetings.Meeting;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The steps of some ranks as one graph. A step begins when the one before it on its lane and those it waits for are
 * finished; a step of an exchange is finished when its meetings are; a meeting begins when all its members have.
 */
final class StepGraph {
    final List<Schedule> schedules;
    final List<Meeting> meetings;
    /** Number of each rank's first step. */
    private final int[] first;
    /** What each step waits for. */
    final int[] dependencies;
    /** Who waits for each step. */
    final int[][] followers;
    /** Meetings of each step. */
    final int[][] meetingsOf;
    /** Steps of each meeting. */
    final int[][] members;
    /** Which of two meetings that could begin at the same time goes first: the same in every replica. */
    final int[] precedence;

    StepGraph(List<Schedule> schedules) {
        this.schedules = List.copyOf(schedules);
        meetings = Meetings.of(schedules);
        first = new int[schedules.size() + 1];
        Map<Integer, Integer> firstOfRank = new HashMap<>();
        for (int i = 0; i < schedules.size(); i++) {
            first[i + 1] = first[i] + schedules.get(i).lanes().size();
            firstOfRank.put(schedules.get(i).program().rank(), first[i]);
        }
        int steps = first[schedules.size()];
        dependencies = new int[steps];
        List<List<Integer>> following = lists(steps);
        for (int i = 0; i < schedules.size(); i++) {
            addWaits(i, following);
        }
        followers = arrays(following);
        List<List<Integer>> met = lists(steps);
        List<List<Integer>> membersOf = lists(meetings.size());
        for (int meeting = 0; meeting < meetings.size(); meeting++) {
            for (Member member : meetings.get(meeting).members()) {
                int step = firstOfRank.getOrDefault(member.rank(), 0)
                        + member.step().index();
                met.get(step).add(meeting);
                membersOf.get(meeting).add(step);
            }
        }
        meetingsOf = arrays(met);
        members = arrays(membersOf);
        precedence = precedence(meetings);
    }

    private static int[] precedence(List<Meeting> meetings) {
        int[] order = IntStream.range(0, meetings.size())
                .boxed()
                .sorted(Comparator.comparing(
                        meetings::get,
                        Comparator.comparing((Meeting meeting) -> meeting.key().lane())
                                .thenComparingInt(StepGraph::firstStep)
                                .thenComparingInt(
                                        meeting -> meeting.members().getFirst().rank())))
                .mapToInt(Integer::intValue)
                .toArray();
        int[] precedence = new int[order.length];
        for (int i = 0; i < order.length; i++) {
            precedence[order[i]] = i;
        }
        return precedence;
    }

    private static int firstStep(Meeting meeting) {
        return meeting.members().stream()
                .mapToInt(member -> member.step().index())
                .min()
                .orElse(0);
    }

    private void addWaits(int rank, List<List<Integer>> following) {
        Schedule schedule = schedules.get(rank);
        Map<Lane, Integer> last = new EnumMap<>(Lane.class);
        for (int step = 0; step < schedule.lanes().size(); step++) {
            Integer before = last.put(schedule.lanes().get(step), step);
            if (before != null) {
                follow(rank, before, step, following);
            }
            for (int wait : schedule.waits().get(step)) {
                follow(rank, wait, step, following);
            }
        }
    }

    private void follow(int rank, int earlier, int step, List<List<Integer>> following) {
        following.get(first[rank] + earlier).add(first[rank] + step);
        dependencies[first[rank] + step]++;
    }

    private static List<List<Integer>> lists(int count) {
        List<List<Integer>> lists = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            lists.add(new ArrayList<>(2));
        }
        return lists;
    }

    private static int[][] arrays(List<List<Integer>> lists) {
        return lists.stream()
                .map(list -> list.stream().mapToInt(Integer::intValue).toArray())
                .toArray(int[][]::new);
    }

    int steps() {
        return dependencies.length;
    }

    /** Number of a step of the rank at a place of the schedules. */
    int number(int rank, int step) {
        return first[rank] + step;
    }
}
