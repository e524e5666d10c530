package io.tsp.checkpoint;

import io.tsp.model.ModelException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The files of a model directory. Names may come from untrusted files: a name is a single path element, and what it
 * leads to is a regular file whose real path lies in the directory. One exception: Hugging Face's cache keeps a model
 * as {@code models--X/snapshots/REVISION/NAME -> ../../blobs/HASH}, so a link of exactly this form is followed.
 */
public final class ModelFiles {
    private static final Pattern CACHE_LINK = Pattern.compile("\\.\\./\\.\\./blobs/[0-9a-f]{40}([0-9a-f]{24})?");
    private static final int MAX_NAME_CHARS = 255;

    private final Path directory;
    private final Path shown;

    private ModelFiles(Path directory, Path shown) {
        this.directory = directory;
        this.shown = shown;
    }

    /**
     * A model directory.
     *
     * @throws ModelException (FILE) if it is not a directory that can be read
     */
    public static ModelFiles in(Path directory) {
        try {
            if (!Files.isDirectory(directory)) {
                throw new ModelException(
                        ModelException.Part.FILE,
                        directory + " is not a directory; name a directory with config.json and model.safetensors");
            }
            return new ModelFiles(directory.toRealPath(), directory);
        } catch (IOException e) {
            throw FileProblem.unreadable(ModelException.Part.FILE, directory.toString(), e);
        }
    }

    /** The directory as the user named it. */
    public Path directory() {
        return shown;
    }

    /** The path of a file as it is named in messages; nothing is checked. */
    public Path shown(String name) {
        return shown.resolve(name);
    }

    /**
     * The real path of a file, or empty if there is none of this name.
     *
     * @throws ModelException (FILE) if the name, or what it leads to, is not allowed
     */
    public Optional<Path> find(String name) {
        if (!isPlainName(name)) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    shown + " cannot have a file named " + Printable.quote(name)
                            + ", name a file that lies in the directory itself");
        }
        Path entry = directory.resolve(name);
        if (!Files.exists(entry, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        try {
            Path real = entry.toRealPath();
            if (!real.startsWith(directory) && !isCacheLink(entry, real)) {
                throw new ModelException(
                        ModelException.Part.FILE,
                        shown(name) + " leads out of the model directory, to " + Printable.quote(real.toString())
                                + "; copy the file into the directory");
            }
            if (!Files.isRegularFile(real, LinkOption.NOFOLLOW_LINKS)) {
                throw new ModelException(
                        ModelException.Part.FILE, shown(name) + " is not a regular file; replace it by one");
            }
            return Optional.of(real);
        } catch (NoSuchFileException e) {
            throw new ModelException(
                    ModelException.Part.FILE, shown(name) + " is a link to a file that does not exist; download it", e);
        } catch (IOException e) {
            throw FileProblem.unreadable(ModelException.Part.FILE, shown(name).toString(), e);
        }
    }

    /**
     * The content of a small file, or empty if there is none of this name.
     *
     * @param maxBytes a longer file is refused
     * @throws ModelException of the given part
     */
    public Optional<byte[]> read(String name, int maxBytes, ModelException.Part part) {
        Optional<Path> path = find(name);
        if (path.isEmpty()) {
            return Optional.empty();
        }
        try (InputStream in = Files.newInputStream(path.get())) {
            byte[] bytes = in.readNBytes(maxBytes);
            if (in.read() >= 0) {
                throw new ModelException(
                        part,
                        shown(name) + " is longer than the " + maxBytes + " bytes allowed for it; download it again");
            }
            return Optional.of(bytes);
        } catch (IOException e) {
            throw FileProblem.unreadable(part, shown(name).toString(), e);
        }
    }

    /** Whether a name is a single path element, on any operating system, that can be printed. */
    public static boolean isPlainName(String name) {
        return !name.isEmpty()
                && name.length() <= MAX_NAME_CHARS
                && !name.equals(".")
                && !name.equals("..")
                && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || Character.isISOControl(c));
    }

    private boolean isCacheLink(Path entry, Path real) throws IOException {
        if (!Files.isSymbolicLink(entry)
                || !CACHE_LINK.matcher(Files.readSymbolicLink(entry).toString()).matches()) {
            return false;
        }
        // The blob itself must not lead further.
        Path blobs = directory.resolve("../../blobs").toRealPath();
        return blobs.equals(real.getParent());
    }
}
