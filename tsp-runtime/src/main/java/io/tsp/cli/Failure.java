package io.tsp.cli;

import io.tsp.checkpoint.StorageException;
import io.tsp.comm.CommunicationException;
import io.tsp.comm.RanksDisagreeException;
import io.tsp.cost.ProfileException;
import io.tsp.device.DeadlineException;
import io.tsp.device.Device;
import io.tsp.evaluate.InsufficientMemoryException;
import io.tsp.evaluate.NumericException;
import io.tsp.ffm.GpuException;
import io.tsp.ffm.GpuOutOfMemoryException;
import io.tsp.ffm.NativeException;
import io.tsp.ffm.NativeLibraryException;
import io.tsp.ffm.Status;
import io.tsp.launch.LaunchException;
import io.tsp.model.ModelException;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What is said when something failed.
 *
 * @param sentence what, where, and what to do
 */
record Failure(ExitCode code, String sentence) {

    /** The first cause that has a code of its own decides; the words are those of the exception that was thrown. */
    static Failure of(Throwable thrown) {
        return Stream.iterate(thrown, cause -> cause != null, Throwable::getCause)
                .map(Failure::code)
                .flatMap(Optional::stream)
                .findFirst()
                .map(code -> new Failure(code, String.valueOf(thrown.getMessage())))
                .orElseGet(() -> new Failure(ExitCode.INTERNAL, internal(thrown)));
    }

    private static Optional<ExitCode> code(Throwable thrown) {
        return Optional.ofNullable(
                switch (thrown) {
                    case UsageException _,
                            InsufficientMemoryException _,
                            Device.OutOfMemoryException _,
                            GpuOutOfMemoryException _ -> ExitCode.USAGE;
                    case ModelException e ->
                        e.part() == ModelException.Part.CONFIG ? ExitCode.MODEL_CONFIG : ExitCode.MODEL_FILE;
                    case ProfileException _ -> ExitCode.MODEL_CONFIG;
                    case CommunicationException _ -> ExitCode.PEER_LOST;
                    case LaunchException e -> code(e.reason());
                    case DeadlineException _ -> ExitCode.DEADLINE;
                    case RanksDisagreeException _ -> ExitCode.RANKS_DISAGREE;
                    case StorageException _ -> ExitCode.STORAGE;
                    case NumericException _ -> ExitCode.NUMERIC;
                    case GpuException _ -> ExitCode.INTERNAL;
                    case NativeLibraryException _, UnsupportedDeviceException _ -> ExitCode.LIBRARY;
                    case NativeException e when isUnsupported(e.status()) -> ExitCode.LIBRARY;
                    default -> null;
                });
    }

    private static ExitCode code(LaunchException.Reason reason) {
        return switch (reason) {
            case SETTINGS -> ExitCode.USAGE;
            case DEADLINE -> ExitCode.DEADLINE;
            case PEER_LOST -> ExitCode.PEER_LOST;
            case RANKS_DISAGREE -> ExitCode.RANKS_DISAGREE;
        };
    }

    private static boolean isUnsupported(Status status) {
        return status == Status.UNSUPPORTED || status == Status.ABI_MISMATCH;
    }

    private static String internal(Throwable thrown) {
        if (thrown instanceof OutOfMemoryError
                && String.valueOf(thrown.getMessage()).contains("direct buffer")) {
            return "Java may not use more memory outside its heap (" + thrown.getMessage()
                    + "); allow more with the environment variable JDK_JAVA_OPTIONS=-XX:MaxDirectMemorySize=64t";
        }
        if (thrown instanceof OutOfMemoryError) {
            return "the Java heap is full (" + thrown.getMessage()
                    + "); give it more with the environment variable JDK_JAVA_OPTIONS=-Xmx8g";
        }
        return "internal error: " + thrown + "; run again with --debug and report what it shows";
    }
}
