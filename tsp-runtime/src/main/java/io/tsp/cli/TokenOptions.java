package io.tsp.cli;

import io.tsp.data.TextBatches;
import io.tsp.data.TokenBatch;
import io.tsp.data.TokenFile;
import io.tsp.model.ModelConfig;
import io.tsp.model.ModelException;
import io.tsp.scheme.ForwardRequest;
import io.tsp.tensor.DType;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which tokens, and how many at a time. */
final class TokenOptions {
    private static final int MAX_DEFAULT_SEQ = 2048;
    private static final String LICENCE = "apache-license-2.0.txt";

    @Option(
            names = "--tokens",
            paramLabel = "FILE",
            description =
                    "Token ids in a safetensors file: int64 input_ids [B, S], optionally labels and document_ids.")
    private @Nullable Path tokens;

    @Option(
            names = "--text",
            paramLabel = "FILE",
            description =
                    "UTF-8 text; the model's tokenizer.json cuts it, or its bytes are the tokens if there is none.")
    private @Nullable Path text;

    @Option(names = "--batch", paramLabel = "B", description = "Sequences of a step. Default: 1.")
    private @Nullable Integer batch;

    @Option(
            names = "--seq",
            paramLabel = "S",
            description = "Tokens of a sequence. Default: 2048, or less if model or text are shorter.")
    private @Nullable Integer seq;

    /** What to read if the user names no file. */
    enum Otherwise {
        REFUSE,
        LICENCE
    }

    /** @throws ModelException if the file cannot be read or does not fit the model */
    Input read(OpenModel model, Otherwise otherwise) {
        requireSizes();
        if (tokens != null) {
            TokenBatch file = TokenFile.read(tokens, model.config().vocab());
            return new Input(tokens.toString(), file.batch(), file.seq(), file.batch(), 1, _ -> file);
        }
        if (text != null) {
            return batches(text.toString(), read(text), model);
        }
        if (otherwise == Otherwise.REFUSE) {
            throw new UsageException("there is nothing to read; give --text FILE or --tokens FILE");
        }
        return batches("the Apache License", licence(), model);
    }

    /** Sizes alone, for a device that computes nothing. */
    ForwardRequest shape(ModelConfig config, DType dtype) {
        if (tokens != null || text != null) {
            throw new UsageException("in simulated time no tokens are read; give --batch and --seq instead of "
                    + (tokens == null ? "--text" : "--tokens"));
        }
        requireSizes();
        long length = seq == null ? Math.min(MAX_DEFAULT_SEQ, config.maxPositions()) : seq;
        return new ForwardRequest(config, dtype, batch == null ? 1 : batch, length, false, false);
    }

    private void requireSizes() {
        if (tokens != null && text != null) {
            throw new UsageException("--tokens and --text are two inputs; give only one of them");
        }
        if (tokens != null && (batch != null || seq != null)) {
            throw new UsageException(
                    "--tokens says itself how many sequences there are and how long they are; leave out "
                            + (batch == null ? "--seq" : "--batch"));
        }
        UsageException.positive("--batch", batch == null ? 1 : batch);
        UsageException.positive("--seq", seq == null ? 1 : seq);
    }

    private Input batches(String name, String content, OpenModel model) {
        int[] ids = model.encode(content);
        if (ids.length == 0) {
            throw new ModelException(ModelException.Part.FILE, name + " has no tokens; name a longer text");
        }
        int rows = batch == null ? 1 : batch;
        long shortest = Math.min(MAX_DEFAULT_SEQ, Math.min(model.config().maxPositions(), ids.length));
        int length = seq == null ? (int) shortest : seq;
        if ((long) rows * length > Integer.MAX_VALUE / 2) {
            throw new UsageException(
                    "--batch " + rows + " times --seq " + length + " are more than 2^30 tokens; ask for less");
        }
        TextBatches batches = new TextBatches(ids, rows, length);
        return new Input(name, rows, length, Math.ceilDiv(ids.length, length), batches.count(), batches::get);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (NoSuchFileException e) {
            throw new ModelException(ModelException.Part.FILE, "there is no file " + file + "; name a text", e);
        } catch (IOException e) {
            String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
            throw new ModelException(
                    ModelException.Part.FILE,
                    file + " cannot be read as UTF-8 text (" + reason + "); convert it or choose another one",
                    e);
        }
    }

    private static String licence() {
        try (InputStream stream = TokenOptions.class.getResourceAsStream(LICENCE)) {
            if (stream == null) {
                throw new IllegalStateException("the build has lost its resource " + LICENCE);
            }
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException("the resource " + LICENCE + " cannot be read", e);
        }
    }
}
