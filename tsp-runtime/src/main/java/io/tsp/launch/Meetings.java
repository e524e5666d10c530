package io.tsp.launch;

import io.tsp.launch.Frame.Come;
import io.tsp.tensor.SystemClock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Rank 0's knowledge of who has come to which meeting. */
final class Meetings {
    private final int size;
    private final Map<Key, Meeting> open = new HashMap<>();

    private record Key(String what, List<Integer> ranks, long sequence) {}

    /** One who has come and waits for an answer. */
    private record Member(Come come, long endNanos, Consumer<Frame> answer) {}

    private static final class Meeting {
        private final @Nullable Member[] members;
        private final boolean[] told;

        Meeting(int size) {
            members = new Member[size];
            told = new boolean[size];
        }

        boolean isComplete() {
            return Arrays.stream(members).allMatch(member -> member != null);
        }

        List<Member> present() {
            List<Member> present = new ArrayList<>();
            for (Member member : members) {
                if (member != null) {
                    present.add(member);
                }
            }
            return present;
        }
    }

    /** @param size number of all ranks */
    Meetings(int size) {
        this.size = size;
    }

    /**
     * Somebody has come; the last one makes all answers.
     *
     * @throws IllegalArgumentException if the sender is not who it says, or has come already
     */
    void come(int sender, Come come, Consumer<Frame> answer) {
        requirePlausible(sender, come);
        Meeting meeting;
        synchronized (this) {
            Key key = new Key(come.what(), List.copyOf(come.ranks()), come.sequence());
            meeting = open.computeIfAbsent(key, _ -> new Meeting(come.ranks().size()));
            if (meeting.members[come.index()] != null) {
                throw new IllegalArgumentException("a second coming to " + come.what());
            }
            long patience = TimeUnit.MILLISECONDS.toNanos(come.patienceMillis());
            meeting.members[come.index()] = new Member(come, SystemClock.nanos() + patience, answer);
            if (!meeting.isComplete()) {
                return;
            }
            open.remove(key);
        }
        List<Member> members = meeting.present();
        List<byte[]> values =
                members.stream().map(member -> member.come.value()).toList();
        members.forEach(member -> member.answer.accept(new Frame.Met(member.come.id(), values)));
    }

    private void requirePlausible(int sender, Come come) {
        List<Integer> ranks = come.ranks();
        boolean plausible = come.index() < ranks.size()
                && ranks.get(come.index()) == sender
                && ranks.stream().allMatch(rank -> rank < size)
                && new HashSet<>(ranks).size() == ranks.size()
                && come.patienceMillis() >= 0;
        if (!plausible) {
            throw new IllegalArgumentException("rank " + sender + " cannot come as number " + come.index()
                    + " of ranks " + ranks + " to " + come.what());
        }
    }

    /** Tells those whose patience is at an end who is missing. */
    void expire() {
        long now = SystemClock.nanos();
        List<Runnable> answers = new ArrayList<>();
        synchronized (this) {
            for (Meeting meeting : open.values()) {
                for (Member member : meeting.present()) {
                    int index = member.come.index();
                    if (member.endNanos - now <= 0 && !meeting.told[index]) {
                        meeting.told[index] = true;
                        List<Integer> missing = missing(meeting, member.come.ranks());
                        answers.add(() -> member.answer.accept(new Frame.Missed(member.come.id(), missing)));
                    }
                }
            }
        }
        answers.forEach(Runnable::run);
    }

    private static List<Integer> missing(Meeting meeting, List<Integer> ranks) {
        return IntStream.range(0, ranks.size())
                .filter(i -> meeting.members[i] == null)
                .mapToObj(ranks::get)
                .toList();
    }
}
