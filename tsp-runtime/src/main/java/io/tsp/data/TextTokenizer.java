package io.tsp.data;

import io.tsp.checkpoint.ModelFiles;
import io.tsp.model.ModelException;

/** Text to token ids and back. */
public interface TextTokenizer extends AutoCloseable {
    /** Ids of a text, with the special tokens that the model expects around one. */
    int[] encode(String text);

    /** The text of ids; special tokens are left out. */
    String decode(int[] ids);

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
