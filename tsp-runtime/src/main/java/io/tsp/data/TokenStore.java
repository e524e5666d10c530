package io.tsp.data;

import com.google.common.hash.HashCode;
import com.google.common.hash.Hasher;
import com.google.common.hash.Hashing;
import io.tsp.checkpoint.StorageException;
import io.tsp.model.ModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.function.LongConsumer;

/**
 * The tokens of text files, one document per file, kept in a file so that texts of any size are tokenized once and never
 * held in memory. The file is a row of little-endian int32 token ids, where the first of a document is stored as its
 * bitwise complement, so that negative values tell the documents apart; the SHA-256 of all that ends it. It is read by
 * position and never mapped.
 */
public final class TokenStore implements AutoCloseable {
    /** Of text. Tokenizers take twice as long per byte for pieces of 1 MiB. */
    static final int PIECE_BYTES = 1 << 16;

    static final int BUFFER_BYTES = 1 << 20;
    static final int DIGEST_BYTES = 32;

    private static final String FORMAT = "tsp tokens 1";
    private static final int FINGERPRINT_CHARS = 16;

    private final Path path;
    private final FileChannel channel;
    private final Content content;

    /** What a look at the whole file gives. */
    private record Content(long tokens, long documents, HashCode digest) {}

    private TokenStore(Path path, FileChannel channel, Content content) {
        this.path = path;
        this.channel = channel;
        this.content = content;
    }

    /**
     * Opens the tokens of text files: those of {@code tokens-FINGERPRINT.bin} in a folder, which is written if it is not
     * there or damaged. The fingerprint covers the tokenizer and each file's absolute path, size and time of
     * modification. Any number of processes may do so at once. A document gets the special tokens that the tokenizer
     * puts around a text, once; an empty file gives nothing.
     *
     * @param folder made if it is not there
     * @param files in the order of their documents; UTF-8
     * @param progress told the bytes of each piece of text that was read; nothing if the tokens are there already
     * @throws IllegalArgumentException if there are no files
     * @throws ModelException (FILE) if a file is missing, not a regular file, unreadable, not UTF-8 or changed meanwhile,
     *     or if all together have no token
     * @throws StorageException if the folder cannot be written, or what was written cannot be read
     */
    public static TokenStore open(Path folder, List<Path> files, TextTokenizer tokenizer, LongConsumer progress) {
        return open(folder, files, tokenizer, progress, PIECE_BYTES);
    }

    /**
     * The same with texts read in pieces of another size.
     *
     * @param pieceBytes the longest piece of a text that the tokenizer gets
     */
    static TokenStore open(
            Path folder, List<Path> files, TextTokenizer tokenizer, LongConsumer progress, int pieceBytes) {
        if (files.isEmpty()) {
            throw new IllegalArgumentException("there is no text to read; name at least one file");
        }
        List<TextFile> texts = files.stream().map(TextFile::of).toList();
        String fingerprint = fingerprint(texts, tokenizer, pieceBytes).substring(0, FINGERPRINT_CHARS);
        Path path = folder.resolve("tokens-" + fingerprint + ".bin");
        Optional<TokenStore> kept = intact(path, tokenizer.vocabulary());
        if (kept.isPresent()) {
            return kept.get();
        }
        TokenStoreWriter.write(path, texts, tokenizer, progress, pieceBytes);
        return intact(path, tokenizer.vocabulary())
                .orElseThrow(() -> unreadable(path, new IOException("other bytes than were written")));
    }

    /** Tokens of all documents. */
    public long tokens() {
        return content.tokens;
    }

    /** Number of documents: texts that have tokens. */
    public long documents() {
        return content.documents;
    }

    /** The identity of the data: SHA-256 of all tokens and where documents begin, in hex. */
    public String digest() {
        return content.digest.toString();
    }

    /** Where the tokens lie. */
    public Path path() {
        return path;
    }

    /**
     * Copies tokens as they are stored: the first of a document as its bitwise complement.
     *
     * @param first index of the first
     * @param offset where in target it goes
     * @throws StorageException if they cannot be read
     */
    void read(long first, int[] target, int offset, int count) {
        if (first < 0 || count < 0 || count > content.tokens - first) {
            throw new IllegalArgumentException(
                    count + " tokens from " + first + " on lie outside a store of " + content.tokens + " tokens");
        }
        ByteBuffer piece = ByteBuffer.allocate((int) Math.min((long) count * Integer.BYTES, BUFFER_BYTES))
                .order(ByteOrder.LITTLE_ENDIAN);
        for (int done = 0; done < count; done += piece.limit() / Integer.BYTES) {
            piece.clear().limit((int) Math.min(piece.capacity(), (count - done) * (long) Integer.BYTES));
            try {
                readFully(channel, (first + done) * Integer.BYTES, piece);
            } catch (IOException e) {
                throw unreadable(path, e);
            }
            piece.flip().asIntBuffer().get(target, offset + done, piece.limit() / Integer.BYTES);
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    /** The size of pieces belongs to it because a tokenizer may see a difference where a piece ends. */
    private static String fingerprint(List<TextFile> texts, TextTokenizer tokenizer, int pieceBytes) {
        Hasher hasher = Hashing.sha256().newHasher();
        put(hasher, FORMAT);
        put(hasher, tokenizer.identity());
        hasher.putInt(tokenizer.vocabulary()).putInt(pieceBytes);
        for (TextFile text : texts) {
            put(hasher, text.path().toAbsolutePath().normalize().toString());
            put(hasher, text.modified().toString());
            hasher.putLong(text.bytes());
        }
        return hasher.hash().toString();
    }

    /** With its length, so that no two rows of texts are the same bytes. */
    private static void put(Hasher hasher, String text) {
        hasher.putInt(text.length()).putString(text, StandardCharsets.UTF_8);
    }

    /** The store in a file, or empty if there is none or it is not as it was written. */
    private static Optional<TokenStore> intact(Path path, int vocabulary) {
        if (!Files.isRegularFile(path)) {
            return Optional.empty();
        }
        try {
            FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
            try {
                Optional<TokenStore> store =
                        content(channel, vocabulary).map(content -> new TokenStore(path, channel, content));
                if (store.isEmpty()) {
                    channel.close();
                }
                return store;
            } catch (IOException | RuntimeException e) {
                channel.close();
                throw e;
            }
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    private static Optional<Content> content(FileChannel channel, int vocabulary) throws IOException {
        long bytes = channel.size() - DIGEST_BYTES;
        if (bytes < Integer.BYTES || bytes % Integer.BYTES != 0) {
            return Optional.empty();
        }
        Hasher hasher = Hashing.sha256().newHasher();
        ByteBuffer piece = ByteBuffer.allocate(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        long documents = 0;
        for (long at = 0; at < bytes; at += piece.limit()) {
            piece.clear().limit((int) Math.min(BUFFER_BYTES, bytes - at));
            readFully(channel, at, piece);
            hasher.putBytes(piece.flip());
            piece.rewind();
            for (int i = 0; i < piece.limit(); i += Integer.BYTES) {
                int stored = piece.getInt(i);
                documents += stored < 0 ? 1 : 0;
                boolean opens = at + i == 0;
                if ((stored < 0 ? ~stored : stored) >= vocabulary || (opens && stored >= 0)) {
                    return Optional.empty();
                }
            }
        }
        byte[] digest = new byte[DIGEST_BYTES];
        readFully(channel, bytes, ByteBuffer.wrap(digest));
        Content content = new Content(bytes / Integer.BYTES, documents, hasher.hash());
        return HashCode.fromBytes(digest).equals(content.digest) ? Optional.of(content) : Optional.empty();
    }

    private static void readFully(FileChannel channel, long position, ByteBuffer target) throws IOException {
        long next = position;
        while (target.hasRemaining()) {
            int read = channel.read(target, next);
            if (read <= 0) {
                throw new IOException("it has become shorter while open");
            }
            next += read;
        }
    }

    private static StorageException unreadable(Path path, IOException cause) {
        return new StorageException(
                path + " cannot be read (" + TextFile.reason(cause)
                        + "); check the disk, or delete it to have it made again",
                cause);
    }
}
