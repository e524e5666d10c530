package io.tsp.checkpoint.sharded;

import io.tsp.checkpoint.Disk;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** One checkpoint on its way: written under a hidden name, then committed. */
final class Save {
    private final Disk disk;
    private final Path out;
    private final CheckpointInfo info;
    private final List<RankState> local;
    private final Path committed;
    private final Path temporary;
    private final Rendezvous rendezvous;

    Save(Disk disk, Path out, CheckpointInfo info, List<RankState> local, Duration deadline) {
        Set<Integer> ranks = new HashSet<>();
        for (RankState state : local) {
            if (state.rank() < 0 || state.rank() >= info.ranks() || !ranks.add(state.rank())) {
                throw new IllegalArgumentException("rank " + state.rank() + " twice or beyond " + info.ranks());
            }
        }
        this.disk = disk;
        this.out = out;
        this.info = info;
        this.local =
                local.stream().sorted(Comparator.comparingInt(RankState::rank)).toList();
        this.committed = out.resolve(StepNames.committed(info.step()));
        this.temporary = out.resolve(StepNames.hidden(committed.getFileName().toString(), StepNames.TEMPORARY));
        this.rendezvous = new Rendezvous(disk, temporary, committed, deadline);
    }

    /** Whether this process leads: it has rank 0. */
    boolean hasFirstRank() {
        return local.stream().anyMatch(state -> state.rank() == 0);
    }

    /** Where the checkpoint ends up. */
    Path committed() {
        return committed;
    }

    /** Writes this process's ranks into the directory that the leading process makes, and awaits its commit. */
    void contribute() throws IOException {
        Object identity = rendezvous.awaitDirectory();
        for (RankState state : local) {
            List<FileEntry> written =
                    RankFile.write(disk, temporary, info, state).stream().toList();
            rendezvous.report(state.rank(), written);
        }
        rendezvous.awaitCommit(identity);
    }

    /** Writes and commits the checkpoint; where that fails nothing of it stays. */
    void write(Map<String, byte[]> files) throws IOException {
        disk.deleteTree(temporary);
        disk.createDirectory(temporary);
        try {
            fill(files);
            commit();
        } catch (IOException | RuntimeException | Error e) {
            disk.discard(temporary, e);
            throw e;
        }
    }

    private void fill(Map<String, byte[]> files) throws IOException {
        List<FileEntry> entries = new ArrayList<>();
        for (Map.Entry<String, byte[]> file : new TreeMap<>(files).entrySet()) {
            entries.add(Digest.of(file.getValue()).entry(file.getKey(), List.of()));
        }
        for (RankState state : local) {
            RankFile.write(disk, temporary, info, state).ifPresent(entries::add);
        }
        entries.addAll(rendezvous.collect(missing()));
        entries.sort(Comparator.comparing(FileEntry::name));
        Manifest manifest = new Manifest(info, entries);
        byte[] json = manifest.toJson();
        SelfCheck.require(manifest, json, files);
        for (Map.Entry<String, byte[]> file : new TreeMap<>(files).entrySet()) {
            disk.writeFile(temporary.resolve(file.getKey()), file.getValue());
        }
        disk.writeFile(temporary.resolve(Manifest.NAME), json);
        disk.writeFile(temporary.resolve(Manifest.DIGEST_NAME), Manifest.digestFile(json));
        disk.forceDirectory(temporary);
    }

    private List<Integer> missing() {
        Set<Integer> here = new HashSet<>();
        local.forEach(state -> here.add(state.rank()));
        List<Integer> missing = new ArrayList<>();
        for (int rank = 0; rank < info.ranks(); rank++) {
            if (!here.contains(rank)) {
                missing.add(rank);
            }
        }
        return missing;
    }

    /**
     * Gives the checkpoint its name. One that has it steps aside under a name from which a restart puts it back, so
     * between the two renames there is always one that is whole.
     */
    private void commit() throws IOException {
        if (!Files.exists(committed, LinkOption.NOFOLLOW_LINKS)) {
            disk.move(temporary, committed);
            disk.forceDirectory(out);
            return;
        }
        String name = committed.getFileName().toString();
        Path replaced = out.resolve(StepNames.hidden(name, StepNames.REPLACED));
        disk.move(committed, replaced);
        try {
            disk.move(temporary, committed);
        } catch (IOException e) {
            disk.move(replaced, committed);
            throw e;
        }
        disk.forceDirectory(out);
        Leftovers.remove(disk, replaced, name);
    }
}
