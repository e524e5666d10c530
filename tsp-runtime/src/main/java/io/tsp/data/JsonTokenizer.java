package io.tsp.data;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import com.google.common.hash.Hashing;
import io.tsp.checkpoint.ModelFiles;
import io.tsp.checkpoint.Printable;
import io.tsp.model.ModelException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/** {@code tokenizer.json} read by Hugging Face's own library. Nothing is downloaded and nobody is called. */
final class JsonTokenizer implements TextTokenizer {
    static final String NAME = "tokenizer.json";

    /** The largest published ones have 35 MB. */
    private static final int MAX_BYTES = 128 << 20;

    private final HuggingFaceTokenizer tokenizer;
    private final String file;
    private final String identity;
    private final int vocabulary;
    private final int before;
    private final int after;

    private JsonTokenizer(HuggingFaceTokenizer tokenizer, String file, String identity, int vocabulary) {
        this.tokenizer = tokenizer;
        this.file = file;
        this.identity = identity;
        this.vocabulary = vocabulary;
        // What stands around a text does not depend on it; an empty one would not say which stands on which side.
        long[] special = tokenizer.encode("a").getSpecialTokenMask();
        this.before = leading(special, 0, 1);
        this.after = Math.min(leading(special, special.length - 1, -1), special.length - before);
    }

    static JsonTokenizer open(ModelFiles files, int vocabulary) {
        String file = files.shown(NAME).toString();
        byte[] json = files.read(NAME, MAX_BYTES, ModelException.Part.FILE)
                .orElseThrow(() -> new ModelException(ModelException.Part.FILE, "there is no file " + file));
        loadLibrary();
        // Left to itself the library cuts a text after 512 tokens.
        Map<String, String> options = Map.of("truncation", "false", "padding", "false", "addSpecialTokens", "true");
        try {
            HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(json), options);
            return new JsonTokenizer(
                    tokenizer, file, Hashing.sha256().hashBytes(json).toString(), vocabulary);
        } catch (IOException | RuntimeException e) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    file + " is not a tokenizer that can be used (" + Printable.quote(String.valueOf(e.getMessage()))
                            + "); download it again",
                    e);
        }
    }

    @Override
    public int[] encode(String text, boolean begins, boolean ends) {
        long[] whole = wholeIds(text);
        long[] ids = Arrays.copyOfRange(whole, begins ? 0 : before, whole.length - (ends ? 0 : after));
        for (long id : ids) {
            if (id < 0 || id >= vocabulary) {
                throw new ModelException(
                        ModelException.Part.FILE,
                        file + " gives token id " + id + " but the model has a vocabulary of " + vocabulary
                                + "; download tokenizer and weights of the same model");
            }
        }
        return Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
    }

    /** Without the tokenizer's own method, which takes as long again to make strings and offsets of every token. */
    private long[] wholeIds(String text) {
        long encoding = TokenizersLibrary.LIB.encode(tokenizer.getHandle(), text, true);
        try {
            return TokenizersLibrary.LIB.getTokenIds(encoding);
        } finally {
            TokenizersLibrary.LIB.deleteEncoding(encoding);
        }
    }

    @Override
    public String decode(int[] ids) {
        return tokenizer.decode(Arrays.stream(ids).asLongStream().toArray(), true);
    }

    @Override
    public int vocabulary() {
        return vocabulary;
    }

    @Override
    public String identity() {
        return identity;
    }

    @Override
    public void close() {
        tokenizer.close();
    }

    /** Special tokens in a row, from one end of a text towards the other. */
    private static int leading(long[] special, int from, int step) {
        int count = 0;
        for (int i = from; i >= 0 && i < special.length && special[i] != 0; i += step) {
            count++;
        }
        return count;
    }

    /**
     * The native part lies in the jar; the properties keep the library from fetching another and from reporting use.
     */
    private static void loadLibrary() {
        System.setProperty("RUST_FLAVOR", "cpu");
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
        try {
            if (!Files.isWritable(Path.of(System.getProperty("user.home")))) {
                // Its own choice then is a folder of a known name that every user of the machine can write.
                System.setProperty(
                        "DJL_CACHE_DIR",
                        Files.createTempDirectory("tsp-tokenizers").toString());
            }
            LibUtils.checkStatus();
        } catch (IOException | RuntimeException | LinkageError e) {
            throw new IllegalStateException(
                    "the tokenizers library cannot be loaded (" + e.getMessage() + "); give token ids instead of text",
                    e);
        }
    }
}
