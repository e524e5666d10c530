package io.tsp.tensor;

/** What memory is used for; one arena each, so that a report can say where the bytes are. */
public enum MemoryClass {
    PARAMETERS(true),
    GRADIENTS(true),
    OPTIMIZER(true),
    SAVED(false),
    TRANSIENT(false),
    COMMUNICATION(false),
    KV_CACHE(true),
    /** What the host writes before a run and reads after it. */
    HOST(true);

    private final boolean persistent;

    MemoryClass(boolean persistent) {
        this.persistent = persistent;
    }

    /** Whether contents outlive a run; if not, slots whose lifetimes do not meet share bytes. */
    public boolean persistent() {
        return persistent;
    }
}
