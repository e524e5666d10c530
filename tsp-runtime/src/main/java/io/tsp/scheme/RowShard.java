package io.tsp.scheme;

import io.tsp.mesh.Group;
import io.tsp.mesh.Range;
import io.tsp.model.Parameter.Block;
import io.tsp.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A weight whose rows some ranks divide between them, nearly equally; parts may be empty. Rows, and not elements, so that
 * each part is a block that a checkpoint can name.
 *
 * @param sharers the ranks, in the order of their parts
 * @param self this rank's place among them
 */
record RowShard(Block block, Group sharers, int self) {

    boolean isWhole() {
        return sharers.size() == 1;
    }

    /** Elements of the whole weight. */
    long count() {
        return block.rows().count() * block.columns().count();
    }

    /** The part of the weight that is this rank's. */
    Block ownBlock() {
        Range rows = part(self);
        long first = block.rows().from();
        return new Block(block.name(), new Range(first + rows.from(), first + rows.to()), block.columns());
    }

    /** This rank's part of a dense tensor of the whole weight, one dimension. */
    Tensor own(Tensor whole) {
        return parts(whole).get(self);
    }

    /** Each sharer's part of a dense tensor of the whole weight, one dimension. */
    List<Tensor> parts(Tensor whole) {
        Tensor flat = whole.reshape(whole.count());
        long columns = block.columns().count();
        return IntStream.range(0, sharers.size())
                .mapToObj(this::part)
                .map(rows -> flat.rows(rows.from() * columns, rows.count() * columns))
                .toList();
    }

    private Range part(int index) {
        return Range.part(block.rows().count(), sharers.size(), index);
    }
}
