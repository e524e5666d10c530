package io.tsp.data;

import io.tsp.checkpoint.Printable;
import io.tsp.checkpoint.SafetensorsFile;
import io.tsp.checkpoint.StoredTensor;
import io.tsp.checkpoint.StoredType;
import io.tsp.model.ModelException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Tokens in a safetensors file: {@code input_ids} [B, S], optionally {@code labels} [B, S] (unshifted, -100 where a
 * token does not count; input_ids if absent) and {@code document_ids} [B, S] (equal within a document), int64 or
 * int32.
 */
public final class TokenFile implements AutoCloseable {
    /** The label that Hugging Face and PyTorch leave out of the loss. */
    private static final int IGNORED = -100;

    private static final int PIECE_BYTES = 1 << 16;

    private final SafetensorsFile file;
    private final int vocabulary;

    private TokenFile(SafetensorsFile file, int vocabulary) {
        this.file = file;
        this.vocabulary = vocabulary;
    }

    /**
     * Reads the whole file as one batch.
     *
     * @param vocabulary ids and labels must be below it
     * @throws ModelException (FILE) naming file, tensor and byte if anything in it is not as described
     */
    public static TokenBatch read(Path path, int vocabulary) {
        try (TokenFile tokens = new TokenFile(SafetensorsFile.open(path), vocabulary)) {
            return tokens.read();
        }
    }

    @Override
    public void close() {
        file.close();
    }

    private TokenBatch read() {
        StoredTensor input = file.tensors().get("input_ids");
        if (input == null) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    file.name() + " has no tensor input_ids; write the token ids [B, S] under this name");
        }
        requireTokens(input, input.dims());
        int batch = Math.toIntExact(input.dims().get(0));
        int seq = Math.toIntExact(input.dims().get(1));
        int[] ids = values(input, new Range(0, vocabulary - 1L), "a token id from 0 to " + (vocabulary - 1));
        StoredTensor stored = file.tensors().get("labels");
        int[] labels = stored == null ? ids : labels(stored, input.dims());
        return TokenBatch.of(batch, seq, ids, labels, documents(input.dims(), seq));
    }

    private int[] labels(StoredTensor stored, List<Long> dims) {
        requireTokens(stored, dims);
        String allowed = "-100 or a token id from 0 to " + (vocabulary - 1);
        return values(stored, new Range(IGNORED, vocabulary - 1L), allowed);
    }

    private int[] documents(List<Long> dims, int seq) {
        StoredTensor stored = file.tensors().get("document_ids");
        if (stored == null) {
            return new int[Math.toIntExact(dims.get(0) * seq)];
        }
        requireTokens(stored, dims);
        String allowed = "a document number from -2^31 to 2^31 - 1";
        int[] documents = values(stored, new Range(Integer.MIN_VALUE, Integer.MAX_VALUE), allowed);
        Set<Integer> seen = new HashSet<>();
        for (int i = 0; i < documents.length; i++) {
            if (i % seq == 0) {
                seen.clear();
            }
            boolean starts = i % seq == 0 || documents[i] != documents[i - 1];
            if (starts && !seen.add(documents[i])) {
                throw wrong(stored, i, documents[i], "one run per document in a sequence");
            }
        }
        return documents;
    }

    private void requireTokens(StoredTensor tensor, List<Long> dims) {
        boolean whole = tensor.type() == StoredType.I64 || tensor.type() == StoredType.I32;
        boolean batch = dims.size() == 2 && dims.get(0) > 0 && dims.get(1) > 0;
        if (!whole || !batch || !tensor.dims().equals(dims)) {
            throw new ModelException(
                    ModelException.Part.FILE,
                    file.name() + ", byte " + tensor.declaredAt() + ": " + tensor.name() + " is " + tensor.type() + " "
                            + tensor.dims() + "; write it as I64 or I32 of shape "
                            + (batch ? dims : "[B, S] with at least one token"));
        }
        if (tensor.bytes() / tensor.type().bytes() > Integer.MAX_VALUE - 8) {
            throw new ModelException(
                    ModelException.Part.FILE, file.name() + " has more than 2^31 tokens; split it into several files");
        }
    }

    private record Range(long min, long max) {}

    private int[] values(StoredTensor tensor, Range range, String allowed) {
        int size = tensor.type().bytes();
        int[] values = new int[(int) (tensor.bytes() / size)];
        ByteBuffer piece = ByteBuffer.allocate(PIECE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int done = 0; done < values.length; done += PIECE_BYTES / size) {
            int count = Math.min(PIECE_BYTES / size, values.length - done);
            file.read(tensor, (long) done * size, piece.clear().limit(count * size));
            for (int i = 0; i < count; i++) {
                long value = size == Long.BYTES ? piece.getLong(i * size) : piece.getInt(i * size);
                boolean gap = range.min == IGNORED && value > IGNORED && value < 0;
                if (value < range.min || value > range.max || gap) {
                    throw wrong(tensor, done + i, value, allowed);
                }
                values[done + i] = (int) value;
            }
        }
        return values;
    }

    private ModelException wrong(StoredTensor tensor, int index, long value, String allowed) {
        long seq = tensor.dims().get(1);
        long offset = tensor.begin() + (long) index * tensor.type().bytes();
        return new ModelException(
                ModelException.Part.FILE,
                file.name() + ", byte " + offset + ": " + Printable.quote(tensor.name()) + " [" + index / seq + ", "
                        + index % seq + "] is " + value + "; allowed is " + allowed);
    }
}
