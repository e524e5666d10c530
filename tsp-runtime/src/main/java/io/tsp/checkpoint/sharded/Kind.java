package io.tsp.checkpoint.sharded;

import io.tsp.model.Parameter.Block;
import java.util.Locale;

/** What a checkpoint holds of every weight. */
public enum Kind {
    /** The f32 master copy of the weight. */
    PARAMETER,
    /** AdamW's running mean of the gradient. */
    FIRST,
    /** AdamW's running mean of the squared gradient. */
    SECOND;

    /** What the names of its tensors begin with. */
    public String prefix() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The tensor that holds a block: {@code first/model.norm.weight[0:64,0:1]}. */
    String tensorName(Block block) {
        return prefix() + "/" + block.name() + "[" + block.rows().from() + ":"
                + block.rows().to() + "," + block.columns().from() + ":"
                + block.columns().to() + "]";
    }
}
