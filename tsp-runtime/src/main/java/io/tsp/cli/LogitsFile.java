package io.tsp.cli;

import io.tsp.checkpoint.SafetensorsWriter;
import io.tsp.checkpoint.StoredType;
import io.tsp.evaluate.ForwardRunner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Logits f32 [sequences, S, V] in token order, written token by token. */
final class LogitsFile implements AutoCloseable {
    private static final String TENSOR = "logits";

    /** Bytes that are collected before they are written. */
    private static final int PIECE_BYTES = 1 << 20;

    private final SafetensorsWriter writer;
    private final int seq;
    private final ByteBuffer row;
    private final ByteBuffer piece;
    private long remaining;

    private LogitsFile(SafetensorsWriter writer, int seq, int vocab, long sequences) {
        this.writer = writer;
        this.seq = seq;
        this.remaining = sequences;
        row = ByteBuffer.allocate(Math.multiplyExact(vocab, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
        piece = ByteBuffer.allocate(Math.max(PIECE_BYTES, row.capacity()));
    }

    /** @throws io.tsp.checkpoint.StorageException if the file cannot be made */
    static LogitsFile create(Path file, OpenModel model, Input input) {
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new UsageException("--logits " + file + " is there and is not a file; choose another name");
        }
        long vocab = model.config().vocab();
        var declaration = new SafetensorsWriter.Declaration(
                TENSOR, StoredType.F32, List.of((long) input.sequences(), (long) input.seq(), vocab));
        Map<String, String> metadata = Map.of("model", model.name(), "input", input.name());
        return new LogitsFile(
                SafetensorsWriter.create(file, metadata, List.of(declaration)),
                input.seq(),
                (int) vocab,
                input.sequences());
    }

    /** Appends a batch that was run; sequences that only fill up the last one are left out. */
    void append(ForwardRunner runner, int batch) {
        for (int sequence = 0; sequence < batch && remaining > 0; sequence++, remaining--) {
            for (int token = 0; token < seq; token++) {
                runner.readLogits(sequence, token, row);
                if (piece.remaining() < row.capacity()) {
                    flush();
                }
                piece.put(row.duplicate());
            }
        }
    }

    private void flush() {
        writer.write(TENSOR, piece.flip());
        piece.clear();
    }

    void commit() {
        flush();
        writer.commit();
    }

    @Override
    public void close() {
        writer.close();
    }
}
