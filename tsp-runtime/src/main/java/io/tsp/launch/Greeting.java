package io.tsp.launch;

import io.tsp.launch.LaunchException.Reason;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * The first words on a connection. Each side proves to the other that it knows the token, which itself is not sent, by
 * keyed hashes of random bytes of both; before that nothing but a few bytes of fixed length is read. What follows on the
 * connection is neither encrypted nor signed.
 */
final class Greeting {
    private static final byte[] MAGIC = "TSP-RDV1".getBytes(StandardCharsets.US_ASCII);
    private static final int RANDOM_BYTES = 32;
    private static final int PROOF_BYTES = 32;
    private static final int MAX_HOST_BYTES = 255;

    private final SecretKeySpec key;
    private final SecureRandom random = new SecureRandom();

    /** Who came: its rank, how many ranks it thinks there are, and its machine. */
    record Guest(int rank, int size, String host) {
        private byte[] encoded() {
            byte[] name = host.getBytes(StandardCharsets.UTF_8);
            name = Arrays.copyOf(name, Math.min(name.length, MAX_HOST_BYTES));
            return ByteBuffer.allocate(2 * Integer.BYTES + 1 + name.length)
                    .putInt(rank)
                    .putInt(size)
                    .put((byte) name.length)
                    .put(name)
                    .array();
        }
    }

    /** What rank 0 answers. */
    enum Verdict {
        WELCOME,
        WRONG_TOKEN,
        WRONG_SIZE,
        NO_SUCH_RANK,
        TAKEN
    }

    /** Rank 0 does not let this rank in, and will not later. */
    static final class RefusedException extends Exception {
        private static final long serialVersionUID = 1L;

        private final transient Verdict verdict;

        RefusedException(Verdict verdict) {
            super(verdict.name());
            this.verdict = verdict;
        }

        LaunchException words(Guest self, Place place) {
            String who = "rank 0 at " + place + " does not let rank " + self.rank + " in: ";
            return switch (verdict) {
                case WRONG_SIZE ->
                    new LaunchException(
                            Reason.RANKS_DISAGREE,
                            who + "it was not started as one of " + self.size
                                    + " ranks; start all with the same launcher and options");
                case TAKEN ->
                    new LaunchException(
                            Reason.SETTINGS,
                            who
                                    + "another process has that number; give each process its own, and each job its own port");
                case NO_SUCH_RANK -> new LaunchException(Reason.SETTINGS, who + "there is no such rank");
                case WRONG_TOKEN, WELCOME ->
                    new LaunchException(
                            Reason.SETTINGS,
                            who
                                    + "it has another TSP_RENDEZVOUS_TOKEN; set the same for all ranks, and for each job its"
                                    + " own port");
            };
        }
    }

    /** Decides who may come in, once a guest has proved that it knows the token. */
    @FunctionalInterface
    interface Door {
        Verdict admit(Guest guest);
    }

    Greeting(String token) {
        key = new SecretKeySpec(sha256("tsp rendezvous:" + token), "HmacSHA256");
    }

    private static byte[] sha256(String text) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    /**
     * Rank 0's side.
     *
     * @throws IOException if what came does not speak as a rank does, or may not come in
     */
    Guest receive(DataInputStream in, DataOutputStream out, String host, Door door) throws IOException {
        byte[] mine = randomBytes();
        out.write(MAGIC);
        out.write(mine);
        out.flush();
        requireMagic(in);
        byte[] theirs = in.readNBytes(RANDOM_BYTES);
        byte[] proof = in.readNBytes(PROOF_BYTES);
        Guest guest = new Guest(in.readInt(), in.readInt(), readHost(in));
        Verdict verdict = MessageDigest.isEqual(proof, proof("guest", mine, theirs, guest.encoded()))
                ? door.admit(guest)
                : Verdict.WRONG_TOKEN;
        byte[] answer = new Guest(verdict.ordinal(), 0, host).encoded();
        out.write(proof("host", theirs, mine, answer));
        out.write(answer);
        out.flush();
        if (verdict != Verdict.WELCOME) {
            throw new ProtocolException("refused: " + verdict);
        }
        return guest;
    }

    /**
     * The other ranks' side; returns the name of rank 0's machine.
     *
     * @throws IOException if what listens there is no rank 0, or went away
     */
    String introduce(DataInputStream in, DataOutputStream out, Guest self) throws IOException, RefusedException {
        requireMagic(in);
        byte[] theirs = in.readNBytes(RANDOM_BYTES);
        byte[] mine = randomBytes();
        out.write(MAGIC);
        out.write(mine);
        out.write(proof("guest", theirs, mine, self.encoded()));
        out.write(self.encoded());
        out.flush();
        byte[] proof = in.readNBytes(PROOF_BYTES);
        Guest answer = new Guest(in.readInt(), in.readInt(), readHost(in));
        boolean known = MessageDigest.isEqual(proof, proof("host", mine, theirs, answer.encoded()));
        Verdict[] verdicts = Verdict.values();
        if (!known || answer.rank < 0 || answer.rank >= verdicts.length) {
            throw new RefusedException(Verdict.WRONG_TOKEN);
        }
        if (verdicts[answer.rank] != Verdict.WELCOME) {
            throw new RefusedException(verdicts[answer.rank]);
        }
        return answer.host;
    }

    private static void requireMagic(DataInputStream in) throws IOException {
        if (!Arrays.equals(in.readNBytes(MAGIC.length), MAGIC)) {
            throw new ProtocolException("what is there does not speak as a rank of tsp");
        }
    }

    private static String readHost(DataInputStream in) throws IOException {
        return new String(in.readNBytes(in.readUnsignedByte()), StandardCharsets.UTF_8);
    }

    private byte[] randomBytes() {
        byte[] bytes = new byte[RANDOM_BYTES];
        random.nextBytes(bytes);
        return bytes;
    }

    private byte[] proof(String side, byte[] first, byte[] second, byte[] words) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(key);
            mac.update(side.getBytes(StandardCharsets.US_ASCII));
            mac.update(first);
            mac.update(second);
            return mac.doFinal(words);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java has HmacSHA256", e);
        }
    }
}
