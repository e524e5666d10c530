package io.tsp.train;

/** Told what happens in training, in order, on the thread that trains. */
public interface TrainingListener {
    /** A step is done, with the evaluation and the sample that were due after it. */
    void stepped(StepReport report);

    /** A checkpoint is being written; it is durable when training ends or the next one begins. */
    void saving(long step);
}
