package io.tsp.device.conformance;

import java.util.function.Consumer;

/**
 * One thing to try, described by its name, made from a seed only when it is run.
 *
 * @param setUp fills a trial with operands, ops and expectations
 */
record Case(String name, Consumer<Trial> setUp) {
    Trial trial(long seed) {
        Trial trial = new Trial(seed ^ name.hashCode());
        setUp.accept(trial);
        return trial;
    }
}
