package io.tsp.launch;

import java.time.Duration;

/** A rank's way to the others: rank 0 is where all come, the others have a connection to it. */
interface Link {
    /** Comes to a meeting. */
    void come(Frame.Come come);

    /** Tells all others that it is over. */
    void announce(Frame.Failed failed);

    /** Does what is due: says that this rank is there, and looks who is not. */
    void tick();

    /** Goes; waits for the peers to let go, so that last words arrive. */
    void leave(Duration patience);
}
