package io.tsp.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tsp.model.WeightBlock;
import io.tsp.tensor.DType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A failure means that a rank computes with other weights than its shard. */
class BlockReaderTest {
    @TempDir
    Path directory;

    /**
     * Sizes on both sides of every choice the reader makes: pieces of 2^14 elements, gaps of 16 KiB, rows of 512 KiB.
     */
    @ParameterizedTest
    @CsvSource({
        "F32, 1, 1", "F32, 7, 5", "F32, 3, 4099", "F32, 3, 8200", "F32, 2, 140001", "F32, 70, 2048",
        "BF16, 1, 1", "BF16, 7, 5", "BF16, 3, 8195", "BF16, 3, 17000", "BF16, 2, 270001", "BF16, 130, 2048",
        "F16, 1, 1", "F16, 7, 5", "F16, 3, 8195", "F16, 3, 17000", "F16, 2, 270001", "F16, 130, 2048"
    })
    void everyBlockHoldsItsElements(StoredType type, int rows, int columns) {
        short[] halves = new short[rows * columns];
        SplittableRandom random = new SplittableRandom(rows * 31L + columns);
        for (int i = 0; i < halves.length; i++) {
            // No NaN: their payloads are another test's business.
            halves[i] = (short) (random.nextInt(1 << 16) & ~(type == StoredType.F16 ? 0x0400 : 0x0080));
        }
        Path path = write(type, rows, columns, halves);
        BlockReader reader = new BlockReader();
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            for (int i = 0; i < 12; i++) {
                WeightBlock block = i == 0 ? new WeightBlock(0, rows, 0, columns) : block(random, rows, columns);
                for (DType dtype : List.of(DType.F32, DType.BF16)) {
                    check(reader, file, type, columns, halves, block, dtype);
                }
            }
        }
    }

    @Test
    void tensorsBeyondTwoGigabytesAreReadAtTheirPlace() throws IOException {
        long rows = 700_000;
        int columns = 1024;
        String json =
                "{" + RawSafetensors.entry("w", "F32", "[" + rows + "," + columns + "]", 0, rows * columns * 4) + "}";
        Path path = RawSafetensors.write(directory.resolve("sparse"), RawSafetensors.file(json, 0));
        long start = 8L + json.getBytes(StandardCharsets.UTF_8).length;
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
            ByteBuffer value = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN);
            channel.write(value.putFloat(0, 1.5f), start + (600_000L * columns + 17) * 4);
            channel.write(value.rewind().putFloat(0, 2.5f), start + rows * columns * 4 - 4);
        }
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            StoredTensor tensor = file.tensors().get("w");
            ByteBuffer target = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            BlockReader reader = new BlockReader();
            reader.read(file, tensor, columns, new WeightBlock(600_000, 1, 17, 1), DType.F32, target);
            reader.read(file, tensor, columns, new WeightBlock(rows - 1, 1, columns - 1, 1), DType.F32, target);
            assertEquals(1.5f, target.getFloat(0));
            assertEquals(2.5f, target.getFloat(4));
        }
    }

    private static void check(
            BlockReader reader,
            SafetensorsFile file,
            StoredType type,
            int columns,
            short[] halves,
            WeightBlock block,
            DType dtype) {
        int count = (int) (block.rowCount() * block.columnCount());
        ByteBuffer target = (count % 2 == 0
                        ? ByteBuffer.allocateDirect(count * dtype.bytes() + 4)
                        : ByteBuffer.allocate(count * dtype.bytes() + 4))
                .order(ByteOrder.LITTLE_ENDIAN);
        target.putInt(count * dtype.bytes(), 0x5eed5eed);
        reader.read(file, file.tensors().get("w"), columns, block, dtype, target);
        assertEquals(count * dtype.bytes(), target.position());
        assertEquals(0x5eed5eed, target.getInt(count * dtype.bytes()), "bytes behind the block");
        target.flip();
        for (long row = block.firstRow(); row < block.firstRow() + block.rowCount(); row++) {
            for (long column = block.firstColumn(); column < block.firstColumn() + block.columnCount(); column++) {
                float expected = value(type, halves[(int) (row * columns + column)]);
                float actual = dtype == DType.F32 ? target.getFloat() : Float.intBitsToFloat(target.getShort() << 16);
                if (dtype == DType.F32 ? actual != expected : Math.abs(actual - expected) > Math.abs(expected) / 256) {
                    assertEquals(expected, actual, block + " " + dtype + " row " + row + " column " + column);
                }
            }
        }
    }

    private static WeightBlock block(SplittableRandom random, int rows, int columns) {
        int firstRow = random.nextInt(rows);
        int firstColumn = random.nextInt(columns);
        return new WeightBlock(
                firstRow,
                random.nextInt(rows - firstRow) + 1,
                firstColumn,
                random.nextInt(Math.min(columns - firstColumn, random.nextBoolean() ? 40 : columns)) + 1);
    }

    /** Stored F32 values are widened bfloat16 ones, so that both dtypes have an exact answer. */
    private static float value(StoredType type, short half) {
        return type == StoredType.F16 ? Float.float16ToFloat(half) : Float.intBitsToFloat(half << 16);
    }

    private Path write(StoredType type, int rows, int columns, short[] halves) {
        ByteBuffer bytes = ByteBuffer.allocate(halves.length * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (short half : halves) {
            if (type == StoredType.F32) {
                bytes.putFloat(value(type, half));
            } else {
                bytes.putShort(half);
            }
        }
        Path path = directory.resolve("w.safetensors");
        SafetensorsWriter.Declaration declaration =
                new SafetensorsWriter.Declaration("w", type, List.of((long) rows, (long) columns));
        try (SafetensorsWriter writer = SafetensorsWriter.create(path, Map.of(), List.of(declaration))) {
            writer.write("w", bytes.flip());
            writer.commit();
        }
        return path;
    }
}
