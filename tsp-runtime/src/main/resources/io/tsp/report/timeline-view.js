// Draws the lanes of some ranks. Where several slices fall into a pixel their share of it is drawn, so that a million of
// them take no longer than the passage over their times.

const GUTTER = 92;
const LANE = 17;
const LANE_GAP = 3;
const RANK_HEAD = 27;
const AXIS = 24;

const SLICE_FILLS = [
    { label: "compute", fill: "#0072b2", text: "#ffffff" },
    { label: "transfer", fill: "#e69f00", text: "#000000" },
    { label: "", fill: "#56b4e9", text: "#000000" },
    { label: "other", fill: "#8c8c8c", text: "#000000" },
];

const WAIT_FILL = { label: "transfer waits for peers", fill: "#e69f00", stripe: "#7a5200" };
const STALL_FILLS = [
    { label: "compute waits for bytes (exposed)", fill: "#d55e00", stripe: "#ffffff" },
    { label: "compute waits for a peer (skew)", fill: "#cc79a7", stripe: "#3d2030" },
];

/** A colour with diagonal stripes, which tell it from its neighbours without colour. */
function striped(context, { fill, stripe }) {
    if (!stripe) {
        return fill;
    }
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.fillStyle = fill;
    pen.fillRect(0, 0, 6, 6);
    pen.strokeStyle = stripe;
    pen.lineWidth = 1.2;
    for (const offset of [-6, 0, 6]) {
        pen.beginPath();
        pen.moveTo(offset - 1, 7);
        pen.lineTo(offset + 7, -1);
        pen.stroke();
    }
    return context.createPattern(tile, "repeat");
}

/** The first index whose value is above. */
function above(values, value) {
    let low = 0;
    let high = values.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (values[middle] > value) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

class TimelineView {
    constructor(canvas) {
        this.canvas = canvas;
        this.context = canvas.getContext("2d");
        this.from = 0;
        this.to = 1;
        this.ranks = [];
        this.names = [];
    }

    height() {
        return AXIS + this.ranks.reduce((sum, rank) => sum + RANK_HEAD + rank.lanes.length * (LANE + LANE_GAP), 0);
    }

    /** Draws everything and says how many slices were looked at. */
    draw() {
        const ratio = window.devicePixelRatio || 1;
        const width = this.canvas.clientWidth;
        const height = this.height();
        this.canvas.style.height = height + "px";
        this.canvas.width = Math.round(width * ratio);
        this.canvas.height = Math.round(height * ratio);
        this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
        this.width = Math.max(1, width - GUTTER);
        this.scale = this.width / (this.to - this.from);
        this.context.fillStyle = color("paper");
        this.context.fillRect(0, 0, width, height);
        this.drawAxis(height);
        this.seen = 0;
        let y = AXIS;
        for (const rank of this.ranks) {
            y = this.drawRank(rank, y);
        }
        return this.seen;
    }

    x(time) {
        return GUTTER + (time - this.from) * this.scale;
    }

    time(x) {
        return this.from + (x - GUTTER) / this.scale;
    }

    drawAxis(height) {
        const { context } = this;
        const rough = ((this.to - this.from) * 95) / this.width;
        const unit = 10 ** Math.floor(Math.log10(rough));
        const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= rough);
        context.font = "11.5px " + FONT;
        context.textAlign = "center";
        context.textBaseline = "alphabetic";
        for (let time = Math.ceil(this.from / step) * step; time <= this.to; time += step) {
            const x = Math.round(this.x(time)) + 0.5;
            context.fillStyle = color("line");
            context.fillRect(x - 0.5, AXIS - 8, 1, height - AXIS + 8);
            context.fillStyle = color("quiet");
            const text = this.tick(time, step);
            const half = context.measureText(text).width / 2;
            if (x + half <= GUTTER + this.width && x - half >= 0) {
                context.fillText(text, x, 11);
            }
        }
    }

    /** With as many digits as the step between ticks needs. */
    tick(time, step) {
        const [unit, name] = this.to >= 1e9 ? [1e9, "s"] : this.to >= 1e6 ? [1e6, "ms"] : [1e3, "µs"];
        return (time / unit).toFixed(Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9))) + " " + name;
    }

    drawRank(rank, top) {
        const { context } = this;
        context.textAlign = "left";
        context.textBaseline = "alphabetic";
        context.font = "600 12.5px " + FONT;
        context.fillStyle = color("ink");
        context.fillText("rank " + rank.rank, 0, top + 20);
        let y = top + RANK_HEAD;
        for (const lane of rank.lanes) {
            context.textBaseline = "middle";
            context.font = "11px " + FONT;
            context.fillStyle = color("quiet");
            context.fillText(lane.name.toLowerCase(), 0, y + LANE / 2 + 0.5, GUTTER - 8);
            context.fillStyle = color("shade");
            context.fillRect(GUTTER, y, this.width, LANE);
            context.save();
            context.beginPath();
            context.rect(GUTTER, y, this.width, LANE);
            context.clip();
            this.drawLane(rank, lane, y);
            context.restore();
            y += LANE + LANE_GAP;
        }
        return y;
    }

    drawLane(rank, lane, y) {
        const { categories, names } = lane.slices;
        SLICE_FILLS.forEach((fill, category) => {
            this.drawSpans(lane.slices, y, fill, (i) => categories[i] === category, names);
        });
        this.drawSpans(lane.waits, y, WAIT_FILL, () => true);
        if (lane.name === "COMPUTE") {
            STALL_FILLS.forEach((fill, kind) => {
                this.drawSpans(rank.stalls, y, fill, (i) => rank.stalls.forPeers[i] === kind);
            });
        }
    }

    drawSpans(spans, y, style, belongs, names) {
        const first = Math.max(0, above(spans.starts, this.from) - 1);
        const last = above(spans.starts, this.to);
        this.seen += last - first;
        this.context.fillStyle = striped(this.context, style);
        if (last - first > this.width) {
            this.drawShares(spans, first, last, y, belongs);
            return;
        }
        for (let i = first; i < last; i++) {
            if (belongs(i) && spans.ends[i] >= this.from) {
                this.drawSpan(spans, i, y, style, names);
            }
        }
    }

    drawSpan(spans, i, y, style, names) {
        const { context } = this;
        const left = Math.max(GUTTER - 1, this.x(spans.starts[i]));
        const right = Math.min(GUTTER + this.width + 1, this.x(spans.ends[i]));
        const size = right - left;
        context.globalAlpha = Math.min(1, Math.max(size, 0.25));
        context.fillRect(left, y, Math.max(1, size > 3 ? size - 0.6 : size), LANE);
        context.globalAlpha = 1;
        if (names && size > 34) {
            const fill = context.fillStyle;
            context.fillStyle = style.text;
            context.font = "11px " + FONT;
            const label = this.names[names[i]].replace(/^(.*): (.*)$/, "$2, $1");
            const fitting = Math.floor((size - 8) / 5.6);
            context.fillText(label.length > fitting ? label.slice(0, fitting - 1) + "…" : label, left + 4, y + LANE / 2 + 0.5);
            context.fillStyle = fill;
        }
    }

    /** Of each pixel's time the share that the slices take, as strength of their colour. */
    drawShares(spans, first, last, y, belongs) {
        const { starts, ends } = spans;
        const shares = new Float32Array(Math.ceil(this.width) + 1);
        for (let i = first; i < last; i++) {
            if (!belongs(i)) {
                continue;
            }
            const left = Math.max(0, (starts[i] - this.from) * this.scale);
            const right = Math.min(this.width, (ends[i] - this.from) * this.scale);
            let pixel = Math.floor(left);
            if (right <= pixel + 1) {
                shares[pixel] += Math.max(0, right - left);
                continue;
            }
            shares[pixel++] += pixel - left;
            while (pixel + 1 <= right) {
                shares[pixel++] += 1;
            }
            shares[pixel] += right - pixel;
        }
        this.paintShares(shares, y);
    }

    paintShares(shares, y) {
        const levels = 8;
        const level = (pixel) => Math.min(levels, Math.ceil(shares[pixel] * levels - 0.02));
        for (let begin = 0; begin < shares.length;) {
            const strength = level(begin);
            let end = begin + 1;
            while (end < shares.length && level(end) === strength) {
                end++;
            }
            if (strength > 0) {
                this.context.globalAlpha = strength / levels;
                this.context.fillRect(GUTTER + begin, y, end - begin, LANE);
            }
            begin = end;
        }
        this.context.globalAlpha = 1;
    }

    /** What is at a point of the canvas, in lines; nothing if nothing is. */
    at(x, y) {
        let top = AXIS;
        for (const rank of this.ranks) {
            const index = Math.floor((y - top - RANK_HEAD) / (LANE + LANE_GAP));
            if (index >= 0 && index < rank.lanes.length) {
                return x < GUTTER ? undefined : this.describe(rank, rank.lanes[index], this.time(x));
            }
            top += RANK_HEAD + rank.lanes.length * (LANE + LANE_GAP);
        }
        return undefined;
    }

    describe(rank, lane, time) {
        const slack = 1.5 / this.scale;
        const find = (spans) => {
            const i = above(spans.starts, time) - 1;
            if (i >= 0 && spans.ends[i] + slack >= time) {
                return i;
            }
            return i + 1 < spans.starts.length && spans.starts[i + 1] - slack <= time ? i + 1 : -1;
        };
        const stall = lane.name === "COMPUTE" ? find(rank.stalls) : -1;
        const slice = find(lane.slices);
        const inside = slice >= 0 && lane.slices.starts[slice] <= time && lane.slices.ends[slice] >= time;
        if (stall >= 0 && !(inside && CATEGORIES[lane.slices.categories[slice]] === "compute")) {
            return [
                STALL_FILLS[rank.stalls.forPeers[stall]].label,
                ...this.span(rank.stalls, stall),
                slice < 0 ? "" : this.names[lane.slices.names[slice]],
            ];
        }
        return slice < 0 ? undefined : [this.names[lane.slices.names[slice]], ...this.span(lane.slices, slice)];
    }

    span(spans, i) {
        return [duration(spans.ends[i] - spans.starts[i]) + ", from " + duration(spans.starts[i])];
    }
}
