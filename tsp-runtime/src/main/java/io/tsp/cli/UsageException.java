package io.tsp.cli;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Options that do not fit each other, or that nothing can be done with. The message is one sentence. */
final class UsageException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    UsageException(String message) {
        super(message);
    }

    private UsageException(@Nullable String message, Throwable cause) {
        super(message, cause);
    }

    /** Evaluates something whose arguments are the user's, so that a refusal is the user's business, too. */
    static <T> T check(Supplier<T> value) {
        try {
            return value.get();
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }

    /** Returns a number that must be 1 or more. */
    static int positive(String option, int value) {
        if (value < 1) {
            throw new UsageException(option + " must be 1 or more, not " + value);
        }
        return value;
    }
}
