package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.FileProblem;
import io.tsp.checkpoint.ModelFiles;
import io.tsp.checkpoint.Printable;
import io.tsp.checkpoint.SafetensorsFile;
import io.tsp.checkpoint.StoredTensor;
import io.tsp.model.ModelException;
import io.tsp.model.Parameter.Block;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Compares the files of a checkpoint with what its manifest says of them; each refusal names the file. */
final class CheckpointAudit {
    private static final int DIGEST_FILE_BYTES = 4096;

    private final ModelFiles files;

    CheckpointAudit(ModelFiles files) {
        this.files = files;
    }

    /** The manifest, whose digest is right. */
    Manifest manifest() {
        byte[] json = read(Manifest.NAME, ManifestReader.MAX_BYTES);
        byte[] digest = read(Manifest.DIGEST_NAME, DIGEST_FILE_BYTES);
        if (!Arrays.equals(digest, Manifest.digestFile(json))) {
            throw damaged(
                    Manifest.NAME,
                    "has the SHA-256 " + Digest.of(json).hex() + " and " + Manifest.DIGEST_NAME + " says "
                            + Printable.quote(new String(digest, StandardCharsets.ISO_8859_1)));
        }
        return ManifestReader.read(files.shown(Manifest.NAME).toString(), json);
    }

    /** Exactly the files of the manifest are there, as regular files of the right length. */
    void requireListed(Manifest manifest) {
        Map<String, FileEntry> listed = new HashMap<>();
        manifest.files().forEach(entry -> listed.put(entry.name(), entry));
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(files.directory())) {
            for (Path path : entries) {
                String name = path.getFileName().toString();
                boolean known =
                        listed.containsKey(name) || name.equals(Manifest.NAME) || name.equals(Manifest.DIGEST_NAME);
                if (!known) {
                    throw damaged(name, "is not listed in " + Manifest.NAME);
                }
            }
            for (FileEntry entry : manifest.files()) {
                long bytes = Files.size(regular(entry.name()));
                if (bytes != entry.bytes()) {
                    throw damaged(
                            entry.name(), "has " + bytes + " bytes and " + Manifest.NAME + " says " + entry.bytes());
                }
            }
        } catch (IOException e) {
            throw FileProblem.unreadable(
                    ModelException.Part.FILE, files.directory().toString(), e);
        }
    }

    /** Every byte is as it was written. */
    void requireDigests(Manifest manifest) {
        for (FileEntry entry : manifest.files()) {
            try {
                String found = Digest.of(regular(entry.name())).hex();
                if (!found.equals(entry.sha256())) {
                    throw damaged(
                            entry.name(),
                            "has the SHA-256 " + found + " and " + Manifest.NAME + " says " + entry.sha256());
                }
            } catch (IOException e) {
                throw FileProblem.unreadable(
                        ModelException.Part.FILE, files.shown(entry.name()).toString(), e);
            }
        }
    }

    /** A rank's file, which holds its slices in each kind and nothing else, and is of this rank and step. */
    SafetensorsFile open(CheckpointInfo info, FileEntry entry) {
        SafetensorsFile file = SafetensorsFile.open(
                regular(entry.name()), files.shown(entry.name()).toString());
        try {
            int rank = StepNames.rank(entry.name()).orElseThrow();
            if (!file.metadata().equals(RankFile.metadata(info, rank))) {
                throw damaged(
                        entry.name(),
                        "was written by rank " + shown(file, RankFile.RANK) + " at step " + shown(file, RankFile.STEP));
            }
            requireTensors(info, entry, file.tensors());
            return file;
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    private void requireTensors(CheckpointInfo info, FileEntry entry, Map<String, StoredTensor> tensors) {
        for (Kind kind : Kind.values()) {
            for (Block slice : entry.slices()) {
                String name = kind.tensorName(slice);
                StoredTensor tensor = tensors.get(name);
                List<Long> dims = List.of(slice.rows().count(), slice.columns().count());
                if (tensor == null) {
                    throw damaged(entry.name(), "lacks the tensor " + Printable.quote(name));
                }
                if (!tensor.dims().equals(dims) || tensor.type() != RankFile.stored(info, kind)) {
                    throw damaged(
                            entry.name(),
                            "holds " + Printable.quote(name) + " as " + tensor.type() + tensor.dims() + " instead of "
                                    + RankFile.stored(info, kind) + dims);
                }
            }
        }
        if (tensors.size() != entry.slices().size() * Kind.values().length) {
            throw damaged(entry.name(), "holds tensors that " + Manifest.NAME + " does not list");
        }
    }

    /** A file's path; links are refused even where they lead to a file of the directory. */
    private Path regular(String name) {
        if (Files.isSymbolicLink(files.directory().resolve(name))) {
            throw damaged(name, "is a link");
        }
        return files.find(name).orElseThrow(() -> damaged(name, "is missing"));
    }

    private byte[] read(String name, int maxBytes) {
        regular(name);
        return files.read(name, maxBytes, ModelException.Part.FILE).orElseThrow(() -> damaged(name, "is missing"));
    }

    /** A refusal of one file. */
    ModelException damaged(String name, String what) {
        String shown = ModelFiles.isPlainName(name)
                ? files.shown(name).toString()
                : files.directory() + ": " + Printable.quote(name);
        return new ModelException(
                ModelException.Part.FILE,
                shown + " " + what + "; the checkpoint is damaged, use another one or a copy of it");
    }

    private static String shown(SafetensorsFile file, String key) {
        return Printable.quote(file.metadata().getOrDefault(key, ""));
    }
}
