package io.tsp.data;

import io.tsp.checkpoint.ModelFiles;
import io.tsp.model.ModelException;

/** Text to token ids and back. */
public interface TextTokenizer extends AutoCloseable {
    /** Ids of a text, with the special tokens that the model expects around one. */
    default int[] encode(String text) {
        return encode(text, true, true);
    }

    /**
     * Ids of a piece of a text. Where the pieces of a text are cut at places that the tokenizer does not join over, their
     * ids in a row are those of the text.
     *
     * @param begins whether the text begins with this piece, so that what the model expects before a text belongs here
     * @param ends whether the text ends with this piece, so that what the model expects after a text belongs here
     */
    int[] encode(String text, boolean begins, boolean ends);

    /** The text of ids; special tokens are left out. */
    String decode(int[] ids);

    /** Ids are below it. */
    int vocabulary();

    /** Equal where a text becomes the same ids: the SHA-256 of {@code tokenizer.json} in hex, or "bytes". */
    String identity();

    @Override
    void close();

    /**
     * The tokenizer of a model directory: its {@code tokenizer.json}, or bytes if there is none.
     *
     * @param vocabulary rows of the model's embedding
     * @throws ModelException (FILE) if the file cannot be used, or there is none and 256 bytes do not fit the
     *     vocabulary
     */
    static TextTokenizer open(ModelFiles files, int vocabulary) {
        return files.find(JsonTokenizer.NAME)
                .<TextTokenizer>map(path -> JsonTokenizer.open(files, vocabulary))
                .orElseGet(() -> bytes(vocabulary));
    }

    /**
     * UTF-8 bytes as ids.
     *
     * @throws ModelException (FILE) if the vocabulary is smaller than 256
     */
    static TextTokenizer bytes(int vocabulary) {
        return new ByteTokenizer(vocabulary);
    }
}
