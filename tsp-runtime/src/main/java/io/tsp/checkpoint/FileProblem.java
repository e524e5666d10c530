package io.tsp.checkpoint;

import io.tsp.model.ModelException;
import java.io.IOException;

/** The sentences in which unusable files are reported. */
public final class FileProblem {
    private FileProblem() {}

    /** Wrong bytes at a known place. */
    public static ModelException at(ModelException.Part part, String file, long offset, String what) {
        String cure = part == ModelException.Part.CONFIG
                ? "correct it or download it again"
                : "the file is damaged or not in the format that its name says, download it again";
        return new ModelException(part, file + ", byte " + offset + ": " + what + "; " + cure);
    }

    /** The operating system's refusal. */
    public static ModelException unreadable(ModelException.Part part, String file, IOException cause) {
        String reason = cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
        return new ModelException(
                part,
                file + " cannot be read (" + reason.replace(file + ": ", "") + "); check its permissions and the disk",
                cause);
    }
}
