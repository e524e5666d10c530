package io.tsp.data;

import java.util.Arrays;
import java.util.Random;

/**
 * Sequences of S tokens for training and evaluation. Sequence i is the tokens from i * S on of a store; what is left at
 * the end is not used. The last sequences are for evaluation, the others for training: in every epoch each of these
 * once, in an order that depends on nothing but seed and epoch. So a batch is a function of store, S, seed and its
 * position, and a run goes on after a stop from a number. For one thread.
 */
public final class TrainingData {
    // The largest array that every JVM makes.
    private static final long MOST_SEQUENCES = Integer.MAX_VALUE - 8;

    private final TokenStore store;
    private final int seq;
    private final long seed;
    private final int training;
    private final long evaluation;
    private long orderOf = -1;
    private int[] order = {};

    private TrainingData(TokenStore store, int seq, long seed, int training, long evaluation) {
        this.store = store;
        this.seq = seq;
        this.seed = seed;
        this.training = training;
        this.evaluation = evaluation;
    }

    /**
     * Divides a store, which stays open and is the caller's to close.
     *
     * @param seq tokens of a sequence, S
     * @param evalShare which part of the sequences, rounded up, is kept for evaluation; from 0 (none) to less than 1
     * @throws IllegalArgumentException if that leaves no sequence for training, or more than 2^31
     */
    public static TrainingData of(TokenStore store, int seq, long seed, double evalShare) {
        if (seq < 1) {
            throw new IllegalArgumentException("a sequence has at least one token, not " + seq);
        }
        if (!(evalShare >= 0 && evalShare < 1)) {
            throw new IllegalArgumentException("the share of the data that is kept for evaluation is " + evalShare
                    + "; give a number from 0 to less than 1");
        }
        long sequences = store.tokens() / seq;
        long evaluation = (long) Math.ceil(evalShare * sequences);
        long training = sequences - evaluation;
        if (training < 1) {
            throw new IllegalArgumentException("the data has " + store.tokens() + " tokens, which are " + sequences
                    + " sequences of " + seq + " tokens, and " + evaluation + " of them are kept for evaluation; "
                    + "give more text or ask for shorter sequences");
        }
        if (training > MOST_SEQUENCES) {
            throw new IllegalArgumentException("the data has " + training + " sequences of " + seq
                    + " tokens, more than the " + MOST_SEQUENCES + " that can be shuffled; ask for longer sequences");
        }
        return new TrainingData(store, seq, seed, (int) training, evaluation);
    }

    /** Number of sequences in an epoch. */
    public long sequences() {
        return training;
    }

    /** Number of sequences that are kept for evaluation. */
    public long evaluationSequences() {
        return evaluation;
    }

    /** Tokens of an epoch. */
    public long tokens() {
        return (long) training * seq;
    }

    /** Whether a sequence may hold more than one document; if not, every {@code kvStart} is 0. */
    public boolean packed() {
        return store.documents() > 1;
    }

    /** The epoch, from 0, of a position. */
    public long epoch(long position) {
        return requireNatural(position) / training;
    }

    /**
     * Some sequences of the endless row of epochs, which may lie in two of them or more.
     *
     * @param position sequences before the first, since the start of training
     * @param rows how many, B
     * @return [B, S]
     * @throws io.tsp.checkpoint.StorageException if the store cannot be read
     */
    public TokenBatch batch(long position, int rows) {
        Rows batch = new Rows(rows, seq);
        for (int row = 0; row < rows; row++) {
            long at = Math.addExact(requireNatural(position), row);
            batch.load(store, row, order(at / training)[(int) (at % training)]);
        }
        return batch.finish();
    }

    /** Batches of so many rows that hold all sequences for evaluation; 0 if there are none. */
    public int evaluationBatches(int rows) {
        requireRows(rows);
        return Math.toIntExact(Math.ceilDiv(evaluation, (long) rows));
    }

    /**
     * Sequences for evaluation, in the order of the store. What the last batch lacks is filled with token 0, which is not
     * a label.
     *
     * @param index from 0 to {@link #evaluationBatches} - 1
     * @param rows B
     * @return [B, S]
     * @throws io.tsp.checkpoint.StorageException if the store cannot be read
     */
    public TokenBatch evaluation(int index, int rows) {
        if (index < 0 || index >= evaluationBatches(rows)) {
            throw new IllegalArgumentException("there is no batch " + index + " for evaluation, only 0 to "
                    + (evaluationBatches(rows) - 1) + " of " + rows + " sequences");
        }
        Rows batch = new Rows(rows, seq);
        long first = (long) index * rows;
        for (int row = 0; row < Math.min(rows, evaluation - first); row++) {
            batch.load(store, row, training + first + row);
        }
        return batch.finish();
    }

    /** The order of an epoch's sequences. */
    private int[] order(long epoch) {
        if (epoch != orderOf) {
            order = shuffled(training, seed, epoch);
            orderOf = epoch;
        }
        return order;
    }

    /** Fisher and Yates' shuffle with a generator whose numbers are specified, so that every JVM gives this order. */
    static int[] shuffled(int count, long seed, long epoch) {
        Random random = new Random(mixed(mixed(seed) + epoch));
        int[] order = new int[count];
        for (int i = 0; i < count; i++) {
            int other = random.nextInt(i + 1);
            order[i] = order[other];
            order[other] = i;
        }
        return order;
    }

    /** SplitMix64's finalizer (Steele, Lea and Flood, OOPSLA 2014): neighbours become strangers. */
    private static long mixed(long value) {
        long z = value + 0x9e3779b97f4a7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    private static long requireNatural(long position) {
        if (position < 0) {
            throw new IllegalArgumentException("a position counts sequences from 0 up, it is not " + position);
        }
        return position;
    }

    private static void requireRows(int rows) {
        if (rows < 1) {
            throw new IllegalArgumentException("a batch has at least one sequence, not " + rows);
        }
    }

    /** A batch under construction. */
    private static final class Rows {
        private final int seq;
        private final int[] ids;
        private final int[] labels;
        private final int[] documents;

        Rows(int rows, int seq) {
            requireRows(rows);
            this.seq = seq;
            this.ids = new int[Math.multiplyExact(rows, seq)];
            this.labels = new int[ids.length];
            this.documents = new int[ids.length];
            Arrays.fill(labels, TokenBatch.IGNORED);
        }

        void load(TokenStore store, int row, long sequence) {
            int first = row * seq;
            store.read(sequence * seq, ids, first, seq);
            int document = 0;
            for (int i = first; i < first + seq; i++) {
                if (ids[i] < 0) {
                    ids[i] = ~ids[i];
                    document++;
                }
                labels[i] = ids[i];
                documents[i] = document;
            }
        }

        TokenBatch finish() {
            return TokenBatch.of(ids.length / seq, seq, ids, labels, documents);
        }
    }
}
