package io.tsp.device;

import java.nio.ByteBuffer;

/** Memory of a device. It has an address, but only the device reads and writes through it. */
public interface Buffer extends AutoCloseable {
    long address();

    long bytes();

    /** Copies host bytes to the buffer; returns when they are there. */
    void write(long offset, ByteBuffer source);

    /** Copies bytes of the buffer to the host; returns when they are there. */
    void read(long offset, ByteBuffer target);

    /** Sets every byte. */
    void fill(byte value);

    /** First offset behind the last byte that differs from value: how much of a filled buffer was touched. */
    long endOfBytesOtherThan(byte value);

    @Override
    void close();
}
