package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.Disk;
import io.tsp.checkpoint.SafetensorsWriter;
import io.tsp.checkpoint.SafetensorsWriter.Declaration;
import io.tsp.checkpoint.StoredType;
import io.tsp.model.Parameter.Block;
import io.tsp.tensor.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Writes what one rank owns into its file of a checkpoint. */
final class RankFile {
    static final String STEP = "step";
    static final String RANK = "rank";
    private static final int BUFFER_BYTES = 8 << 20;

    private final CheckpointInfo info;
    private final RankState state;
    private final List<Block> blocks;

    private RankFile(CheckpointInfo info, RankState state) {
        this.info = info;
        this.state = state;
        this.blocks = state.blocks().stream()
                .filter(block -> !block.rows().isEmpty() && !block.columns().isEmpty())
                .toList();
    }

    /**
     * Writes the file and makes it durable.
     *
     * @return its entry in the manifest; empty if the rank owns nothing and has no file
     */
    static Optional<FileEntry> write(Disk disk, Path directory, CheckpointInfo info, RankState state) {
        RankFile file = new RankFile(info, state);
        return file.blocks.isEmpty() ? Optional.empty() : Optional.of(file.write(disk, directory));
    }

    /** The strings under {@code __metadata__}: they tie the file to its place even where no digest is computed. */
    static Map<String, String> metadata(CheckpointInfo info, int rank) {
        return Map.of("format", Manifest.FORMAT, STEP, Long.toString(info.step()), RANK, Integer.toString(rank));
    }

    /** How a kind of tensor is stored. */
    static StoredType stored(CheckpointInfo info, Kind kind) {
        return info.stored(kind) == DType.F32 ? StoredType.F32 : StoredType.BF16;
    }

    private FileEntry write(Disk disk, Path directory) {
        String name = StepNames.rankFile(state.rank());
        Digest digest = new Digest();
        try (SafetensorsWriter writer = SafetensorsWriter.create(
                directory.resolve(name), metadata(info, state.rank()), declarations(), disk, digest::update)) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(bufferBytes()).order(ByteOrder.LITTLE_ENDIAN);
            for (Kind kind : Kind.values()) {
                for (Block block : blocks) {
                    write(writer, kind, block, buffer);
                }
            }
            writer.commit();
        }
        return digest.entry(name, blocks);
    }

    private List<Declaration> declarations() {
        List<Declaration> declarations = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            for (Block block : blocks) {
                List<Long> dims = List.of(block.rows().count(), block.columns().count());
                declarations.add(new Declaration(kind.tensorName(block), stored(info, kind), dims));
            }
        }
        return declarations;
    }

    private int bufferBytes() {
        long widest = blocks.stream()
                .mapToLong(block -> block.columns().count())
                .max()
                .orElse(0);
        return Math.toIntExact(Math.max(BUFFER_BYTES, Math.multiplyExact(widest, Float.BYTES)));
    }

    private void write(SafetensorsWriter writer, Kind kind, Block block, ByteBuffer buffer) {
        long rowBytes = block.columns().count() * info.stored(kind).bytes();
        long rowsAtOnce = buffer.capacity() / rowBytes;
        for (long row = 0; row < block.rows().count(); row += rowsAtOnce) {
            long rows = Math.min(rowsAtOnce, block.rows().count() - row);
            buffer.clear().limit((int) (rows * rowBytes));
            state.read(kind, block, row, rows, buffer);
            if (buffer.hasRemaining()) {
                throw new IllegalStateException(
                        buffer.remaining() + " bytes of " + kind.tensorName(block) + " were not given");
            }
            writer.write(kind.tensorName(block), buffer.flip());
        }
    }
}
