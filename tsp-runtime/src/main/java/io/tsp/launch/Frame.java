package io.tsp.launch;

import io.tsp.launch.LaunchException.Reason;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** A message between rank 0 and another rank: a byte that says its kind, its length in four bytes, its content. */
sealed interface Frame {
    /** Longest content: what all ranks of a large job give, together. */
    int MAX_BYTES = 8 << 20;

    /** What one rank gives. */
    int MAX_VALUE_BYTES = 4096;

    /** I am here. */
    record Beat() implements Frame {}

    /**
     * I have come to a meeting.
     *
     * @param id what the answer will carry
     * @param what the meeting is for; with ranks and sequence it names it
     * @param index place of the sender among the ranks
     * @param patienceMillis after which the sender wants to know who is missing
     * @param value what the sender gives
     */
    record Come(long id, String what, List<Integer> ranks, long sequence, int index, long patienceMillis, byte[] value)
            implements Frame {}

    /** All have come; what each gives, in the order of the ranks. */
    record Met(long id, List<byte[]> values) implements Frame {}

    /** These ranks did not come in time. */
    record Missed(long id, List<Integer> ranks) implements Frame {}

    /** It is over for all. */
    record Failed(Reason reason, String sentence) implements Frame {}

    /** The sender has finished and goes. */
    record Bye() implements Frame {}

    private byte kind() {
        return switch (this) {
            case Beat _ -> 0;
            case Come _ -> 1;
            case Met _ -> 2;
            case Missed _ -> 3;
            case Failed _ -> 4;
            case Bye _ -> 5;
        };
    }

    private byte[] content() {
        return switch (this) {
            case Beat _, Bye _ -> new byte[0];
            case Come come ->
                new Writer()
                        .number(come.id)
                        .bytes(come.what.getBytes(StandardCharsets.UTF_8))
                        .ranks(come.ranks)
                        .number(come.sequence)
                        .number(come.index)
                        .number(come.patienceMillis)
                        .bytes(come.value)
                        .content();
            case Met met -> new Writer().number(met.id).values(met.values).content();
            case Missed missed ->
                new Writer().number(missed.id).ranks(missed.ranks).content();
            case Failed failed ->
                new Writer()
                        .number(failed.reason.ordinal())
                        .bytes(failed.sentence.getBytes(StandardCharsets.UTF_8))
                        .content();
        };
    }

    /** Writes the message, in one piece. */
    default void write(DataOutputStream out) throws IOException {
        byte[] content = content();
        out.writeByte(kind());
        out.writeInt(content.length);
        out.write(content);
        out.flush();
    }

    /**
     * Reads the next message.
     *
     * @throws ProtocolException if what comes is no message; no more memory is taken than has been checked
     */
    static Frame read(DataInputStream in) throws IOException {
        int kind = in.readUnsignedByte();
        int length = in.readInt();
        if (length < 0 || length > MAX_BYTES) {
            throw new ProtocolException("a message of " + length + " bytes, where " + MAX_BYTES + " are the most");
        }
        ByteBuffer content = ByteBuffer.wrap(in.readNBytes(length));
        if (content.remaining() < length) {
            throw new ProtocolException("the connection ended inside a message");
        }
        try {
            Frame frame = decode(kind, new Reader(content));
            if (content.hasRemaining()) {
                throw new ProtocolException("a message with " + content.remaining() + " bytes behind its end");
            }
            return frame;
        } catch (BufferUnderflowException e) {
            throw new ProtocolException("a message that is shorter than it says");
        }
    }

    private static Frame decode(int kind, Reader content) throws ProtocolException {
        return switch (kind) {
            case 0 -> new Beat();
            case 1 ->
                new Come(
                        content.number(),
                        content.text(),
                        content.ranks(),
                        content.number(),
                        content.integer(),
                        content.number(),
                        content.bytes(MAX_VALUE_BYTES));
            case 2 -> new Met(content.number(), content.values());
            case 3 -> new Missed(content.number(), content.ranks());
            case 4 -> new Failed(content.reason(), content.text());
            case 5 -> new Bye();
            default -> throw new ProtocolException("a message of unknown kind " + kind);
        };
    }

    /** Puts a message's content together. */
    final class Writer {
        private final ByteArrayOutputStream content = new ByteArrayOutputStream();

        Writer number(long value) {
            content.writeBytes(ByteBuffer.allocate(Long.BYTES).putLong(value).array());
            return this;
        }

        Writer bytes(byte[] value) {
            number(value.length);
            content.writeBytes(value);
            return this;
        }

        Writer ranks(List<Integer> ranks) {
            number(ranks.size());
            ranks.forEach(this::number);
            return this;
        }

        Writer values(List<byte[]> values) {
            number(values.size());
            values.forEach(this::bytes);
            return this;
        }

        byte[] content() {
            return content.toByteArray();
        }
    }

    /** Takes a message's content apart; lengths are compared with what is there before memory is taken. */
    record Reader(ByteBuffer content) {
        private static final int MAX_TEXT_BYTES = 8192;

        long number() {
            return content.getLong();
        }

        int integer() throws ProtocolException {
            return count(Integer.MAX_VALUE);
        }

        private int count(int most) throws ProtocolException {
            long count = number();
            if (count < 0 || count > most) {
                throw new ProtocolException("a message with a count of " + count);
            }
            return (int) count;
        }

        byte[] bytes(int most) throws ProtocolException {
            byte[] bytes = new byte[count(Math.min(most, Math.max(0, content.remaining() - Long.BYTES)))];
            content.get(bytes);
            return bytes;
        }

        String text() throws ProtocolException {
            return new String(bytes(MAX_TEXT_BYTES), StandardCharsets.UTF_8);
        }

        List<Integer> ranks() throws ProtocolException {
            int count = count(Math.max(0, content.remaining() / Long.BYTES - 1));
            List<Integer> ranks = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                ranks.add(integer());
            }
            return ranks;
        }

        List<byte[]> values() throws ProtocolException {
            int count = count(Math.max(0, content.remaining() / Long.BYTES - 1));
            List<byte[]> values = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                values.add(bytes(MAX_VALUE_BYTES));
            }
            return values;
        }

        Reason reason() throws ProtocolException {
            return Reason.values()[count(Reason.values().length - 1)];
        }
    }
}
