package io.tsp.evaluate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tsp.model.Presets;
import io.tsp.plan.Schemes;
import io.tsp.scheme.ForwardRequest;
import io.tsp.tensor.DType;
import io.tsp.tensor.MemoryClass;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A failure means that a run begins which ends for want of memory, or that one is refused for which there is enough. */
class MemoryNeedTest {
    private static final long PLENTY = 1L << 50;

    /** Three ranks; for each the host keeps 1000 bytes. */
    private static MemoryNeed need() {
        MemoryNeed plain = ForwardPlan.of(
                        Schemes.of("tsp", 3, 1), new ForwardRequest(Presets.of("tiny"), DType.F32, 1, 64, false, false))
                .memory();
        return new MemoryNeed(plain.scheme(), plain.dtype(), plain.programs(), List.of(), List.of(1000L, 1000L, 1000L));
    }

    private static long bytes(List<Integer> ranks) {
        return need().plannedBytes(ranks).values().stream()
                .mapToLong(Long::longValue)
                .sum();
    }

    @Test
    void ranksOnTheCpuShareTheHost() {
        long all = bytes(List.of(0, 1, 2));
        assertTrue(
                need().shortage(List.of(0, 1, 2), AvailableMemory.ofHost(all)).isEmpty());
        String text = need().shortage(List.of(0, 1, 2), AvailableMemory.ofHost(all - 1))
                .orElseThrow();
        assertTrue(text.contains("for its 3 ranks here"), text);
    }

    @Test
    void ranksOnAGpuShareIt() {
        long first = bytes(List.of(0, 2)) - 2000;
        long second = bytes(List.of(1)) - 1000;
        List<Integer> ranks = List.of(0, 1, 2);
        assertTrue(need().shortage(ranks, new AvailableMemory(3000, List.of(first, second)))
                .isEmpty());
        String text = need().shortage(ranks, new AvailableMemory(3000, List.of(first - 1, second)))
                .orElseThrow();
        assertTrue(text.contains("for its 2 ranks on GPU 0"), text);
        text = need().shortage(ranks, new AvailableMemory(3000, List.of(first, second - 1)))
                .orElseThrow();
        assertTrue(text.contains("for its rank on GPU 1"), text);
        text = need().shortage(ranks, new AvailableMemory(2999, List.of(first, second)))
                .orElseThrow();
        assertTrue(text.contains("for its 3 ranks here (host"), text);
        assertThrows(
                InsufficientMemoryException.class,
                () -> need().requireFits(ranks, new AvailableMemory(PLENTY, List.of(0L, PLENTY))));
    }

    @Test
    void schemesThatAreLoadedTogetherNeedTheSum() {
        long first = bytes(List.of(0, 2)) - 2000;
        long second = bytes(List.of(1)) - 1000;
        List<MemoryNeed> two = List.of(need(), need());
        assertTrue(MemoryNeed.fitTogether(two, new AvailableMemory(6000, List.of(2 * first, 2 * second))));
        assertFalse(MemoryNeed.fitTogether(two, new AvailableMemory(6000, List.of(2 * first - 1, PLENTY))));
        assertFalse(MemoryNeed.fitTogether(two, new AvailableMemory(5999, List.of(PLENTY, PLENTY))));
        assertFalse(MemoryNeed.fitTogether(two, AvailableMemory.ofHost(2 * bytes(List.of(0, 1, 2)) - 1)));
    }

    /** Programs of readers take the parameters of the first. */
    @Test
    void readersAddWhatTheyDoNotBorrow() {
        MemoryNeed plain = need();
        MemoryNeed both =
                new MemoryNeed(plain.scheme(), plain.dtype(), plain.programs(), List.of(plain), List.of(0L, 0L, 0L));
        long parameters = plain.plannedBytes(List.of(0)).get(MemoryClass.PARAMETERS);
        long all = both.plannedBytes(List.of(0)).values().stream()
                .mapToLong(Long::longValue)
                .sum();
        assertEquals(2 * bytes(List.of(0)) - 1000 - parameters, all);
    }
}
