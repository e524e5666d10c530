package io.tsp.data;

import com.google.common.hash.Hasher;
import com.google.common.hash.Hashing;
import io.tsp.checkpoint.StorageException;
import io.tsp.model.ModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.LongConsumer;

/** Writes the file of a {@link TokenStore}: to a temporary name, which becomes the final one when all is on the disk. */
final class TokenStoreWriter {
    private final FileChannel channel;
    private final Hasher hasher = Hashing.sha256().newHasher();
    private final ByteBuffer piece =
            ByteBuffer.allocate(TokenStore.BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private boolean empty = true;

    private TokenStoreWriter(FileChannel channel) {
        this.channel = channel;
    }

    /**
     * Tokenizes texts into a file.
     *
     * @param progress told the bytes of each piece of text that was read
     * @throws ModelException (FILE) if a text cannot be used, or none has a token
     * @throws StorageException if the file cannot be written
     */
    static void write(
            Path target, List<TextFile> texts, TextTokenizer tokenizer, LongConsumer progress, int pieceBytes) {
        Path absolute = target.toAbsolutePath();
        Path temporary = absolute.resolveSibling("." + absolute.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            Files.createDirectories(absolute.resolveSibling("."));
            try {
                writeAll(temporary, texts, tokenizer, progress, pieceBytes);
                Files.move(temporary, absolute, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(temporary);
            }
            try (FileChannel folder = FileChannel.open(absolute.resolveSibling("."), StandardOpenOption.READ)) {
                folder.force(true);
            }
        } catch (IOException e) {
            throw new StorageException(
                    target + " cannot be written (" + TextFile.reason(e)
                            + "); free space there or choose another folder",
                    e);
        }
    }

    private static void writeAll(
            Path file, List<TextFile> texts, TextTokenizer tokenizer, LongConsumer progress, int pieceBytes)
            throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW)) {
            TokenStoreWriter writer = new TokenStoreWriter(channel);
            for (TextFile text : texts) {
                writer.append(text, tokenizer, progress, pieceBytes);
            }
            if (writer.empty) {
                throw new ModelException(
                        ModelException.Part.FILE,
                        texts.getFirst().path() + (texts.size() == 1 ? " has" : " and all other files have")
                                + " no tokens; name files with text");
            }
            writer.flush();
            writer.writeFully(ByteBuffer.wrap(writer.hasher.hash().asBytes()));
            channel.force(true);
        }
    }

    /** Appends a document. */
    private void append(TextFile text, TextTokenizer tokenizer, LongConsumer progress, int pieceBytes)
            throws IOException {
        try (TextPieces pieces = TextPieces.open(text, pieceBytes)) {
            boolean begins = true;
            long consumed = 0;
            for (Optional<TextPieces.Piece> next = pieces.next(); next.isPresent(); next = pieces.next()) {
                TextPieces.Piece part = next.get();
                for (int id : tokenizer.encode(part.text(), part.begins(), part.ends())) {
                    put(begins ? ~id : id);
                    begins = false;
                }
                progress.accept(pieces.consumed() - consumed);
                consumed = pieces.consumed();
            }
            text.requireUnchanged(pieces.consumed());
            empty &= begins;
        }
    }

    private void put(int stored) throws IOException {
        if (!piece.hasRemaining()) {
            flush();
        }
        piece.putInt(stored);
    }

    private void flush() throws IOException {
        hasher.putBytes(piece.flip());
        writeFully(piece.rewind());
        piece.clear();
    }

    private void writeFully(ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
