package io.tsp.evaluate;

import io.tsp.program.Cluster;
import io.tsp.program.Session;
import io.tsp.program.Trace;
import io.tsp.scheme.Scheme;
import java.util.List;

/** What schemes are compared at: the same step on the same model and tokens. */
public interface Workload {
    /** A scheme's step, before anything is allocated. */
    Plan plan(Scheme scheme);

    /** The programs of all ranks. */
    interface Plan {
        MemoryNeed memory();

        /** Loads the weights; the cluster stays the caller's. */
        Loaded load(Cluster cluster);
    }

    /** A step that can be run any number of times. */
    interface Loaded extends AutoCloseable {
        Outcome run();

        Session session();

        @Override
        void close();
    }

    /**
     * What a run gives.
     *
     * @param numbers what must be equal under all schemes, but for rounding, in the first run after loading
     */
    record Outcome(List<Double> numbers, List<Trace> traces) {
        public Outcome {
            numbers = List.copyOf(numbers);
            traces = List.copyOf(traces);
        }
    }
}
