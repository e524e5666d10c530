package io.tsp.comm;

/** An exchange between ranks failed. The message names the exchange, the rank, and what happened. */
public final class CommunicationException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public CommunicationException(String message) {
        super(message);
    }
}
