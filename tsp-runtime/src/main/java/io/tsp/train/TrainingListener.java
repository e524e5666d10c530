package io.tsp.train;

/** Told what happens in training, in order, on the thread that trains. */
@FunctionalInterface
public interface TrainingListener {
    /** A step is done, with the evaluation and the sample that were due after it. */
    void stepped(StepReport report);
}
