// The numbers of a trace, as TraceEncoder wrote them, in typed arrays. Times are nanoseconds.

const CATEGORIES = ["compute", "communication", "wait", "other"];

async function inflate(id) {
    const text = atob(document.getElementById(id).textContent);
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) {
        packed[i] = text.charCodeAt(i);
    }
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads variable-length integers one after the other; those of times may have up to 53 bits. */
class NumberReader {
    constructor(numbers) {
        this.numbers = numbers;
        this.position = 0;
    }

    next() {
        let byte = this.numbers[this.position++];
        let value = byte & 127;
        for (let unit = 128; byte > 127; unit *= 128) {
            byte = this.numbers[this.position++];
            value += (byte & 127) * unit;
        }
        return value;
    }

    column(array) {
        for (let i = 0; i < array.length; i++) {
            array[i] = this.next();
        }
        return array;
    }

    /** Starts, each written minus the one before, and ends, written as durations. */
    times(count) {
        const starts = this.column(new Float64Array(count));
        for (let i = 1; i < count; i++) {
            starts[i] += starts[i - 1];
        }
        const ends = this.column(new Float64Array(count));
        for (let i = 0; i < count; i++) {
            ends[i] += starts[i];
        }
        return { starts, ends };
    }
}

function readLane(lane, reader) {
    const slices = reader.times(lane.slices);
    slices.names = reader.column(new Uint32Array(lane.slices));
    slices.categories = reader.column(new Uint8Array(lane.slices));
    return { name: lane.name, slices, waits: reader.times(lane.waits) };
}

function readRank(rank, reader) {
    const lanes = rank.lanes.map((lane) => readLane(lane, reader));
    const stalls = reader.times(rank.stalls);
    stalls.forPeers = reader.column(new Uint8Array(rank.stalls));
    const made = { rank: rank.rank, lanes, stalls, exposed: 0, skew: 0 };
    for (let i = 0; i < stalls.starts.length; i++) {
        made[stalls.forPeers[i] ? "skew" : "exposed"] += stalls.ends[i] - stalls.starts[i];
    }
    return made;
}

/** Runs with their ranks and lanes, and how long each took. */
async function readTrace(trace, id) {
    const reader = new NumberReader(await inflate(id));
    return trace.runs.map((run) => {
        const ranks = run.ranks.map((rank) => readRank(rank, reader));
        const ends = ranks.flatMap((rank) => rank.lanes.map((lane) => lane.slices.ends[lane.slices.ends.length - 1] || 0));
        return { name: run.name, ranks, end: Math.max(1, ...ends) };
    });
}

/** All of a trace with names, as it can be saved. */
function traceJson(trace, runs) {
    const spans = ({ starts, ends }) => ({ startNanos: [...starts], endNanos: [...ends] });
    return {
        names: trace.names,
        categories: CATEGORIES,
        runs: runs.map((run) => ({
            name: run.name,
            ranks: run.ranks.map((rank) => ({
                rank: rank.rank,
                lanes: rank.lanes.map((lane) => ({
                    name: lane.name,
                    slices: { ...spans(lane.slices), name: [...lane.slices.names], category: [...lane.slices.categories] },
                    waitsForPeers: spans(lane.waits),
                })),
                computeWaits: { ...spans(rank.stalls), forPeers: [...rank.stalls.forPeers].map(Boolean) },
            })),
        })),
    };
}
