package io.tsp.data;

import io.tsp.model.ModelException;
import java.nio.charset.StandardCharsets;

/** The 256 byte values as tokens, without special ones. */
final class ByteTokenizer implements TextTokenizer {
    private static final int BYTE_VALUES = 256;

    private final int vocabulary;

    ByteTokenizer(int vocabulary) {
        if (vocabulary < BYTE_VALUES) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    "there is no tokenizer.json, and a vocabulary of " + vocabulary
                            + " cannot hold the 256 bytes; add tokenizer.json to the model or give token ids");
        }
        this.vocabulary = vocabulary;
    }

    @Override
    public int[] encode(String text, boolean begins, boolean ends) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] ids = new int[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            ids[i] = Byte.toUnsignedInt(bytes[i]);
        }
        return ids;
    }

    /** Ids that are not bytes, of a vocabulary larger than 256, and broken UTF-8 show as replacement characters. */
    @Override
    public String decode(int[] ids) {
        byte[] bytes = new byte[ids.length];
        for (int i = 0; i < ids.length; i++) {
            // 0xff never occurs in UTF-8.
            bytes[i] = ids[i] < BYTE_VALUES ? (byte) ids[i] : (byte) 0xff;
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    @Override
    public int vocabulary() {
        return vocabulary;
    }

    @Override
    public String identity() {
        return "bytes";
    }

    @Override
    public void close() {}
}
