// How memory grows with the sequence, where results of several lengths were given.

/** Results that differ in nothing but the sequence's length. */
function sequenceGroups() {
    const groups = new Map();
    const add = (document, scheme, ranks, seq, value) => {
        if (seq === undefined || value === undefined) {
            return;
        }
        const key = [modeName(document), conditions({ ...document, seq: undefined }), document.device].filter(Boolean).join(", ");
        const lines = groups.get(key) || groups.set(key, new Map()).get(key);
        const name = scheme + (ranks > 1 ? " on " + ranks : "");
        const points = lines.get(name) || lines.set(name, new Map()).get(name);
        points.set(seq, value);
    };
    comparisons.forEach((comparison) => measured(comparison).forEach((scheme) =>
        add(comparison, scheme.scheme, scheme.ranks, comparison.seq, scheme.plannedPeakBytes)));
    plans.forEach((plan) => plan.candidates.forEach((candidate) =>
        add(plan, candidate.scheme, candidate.ranks, candidate.seq || plan.seq, candidate.bytesPerRank)));
    return groups;
}

function drawSequences() {
    const figures = [];
    for (const [key, lines] of sequenceGroups()) {
        const lengths = [...new Set([...lines.values()].flatMap((points) => [...points.keys()]))].sort((a, b) => a - b);
        if (lengths.length < 2) {
            continue;
        }
        const series = [...lines].map(([name, points]) => ({
            name,
            points: [...points].sort((a, b) => a[0] - b[0]).map(([seq, value]) => ({ seq, bytes: value })),
        }));
        figures.push(chart(
            "sequence-" + figures.length,
            key,
            "Peak bytes that are planned for the rank that has most, at each sequence length that was given. Both axes are logarithmic: "
                + "a line that rises less grows less.",
            series,
            (narrow) => 380 + legendHeight(series.length, narrow),
            (narrow) => sequenceOptions(series, lengths, narrow)));
    }
    if (figures.length > 0) {
        section("Memory against sequence length", ...figures);
    }
}

function sequenceOptions(series, lengths, narrow) {
    return {
        legend: legend({ data: series.map((line) => line.name) }),
        grid: { left: narrow ? 4 : 26, right: 24, top: 20 + legendHeight(series.length, narrow), bottom: 40, containLabel: true },
        xAxis: axis({
            type: "category",
            name: "tokens of a sequence",
            data: lengths.map((length) => length.toLocaleString("en")),
        }),
        yAxis: axis({
            type: "log",
            logBase: 2,
            name: narrow ? "" : "bytes of a rank",
            nameGap: 62,
            min: (range) => 2 ** Math.floor(Math.log2(range.min)),
            max: (range) => 2 ** Math.ceil(Math.log2(range.max)),
            axisLabel: { color: color("quiet"), fontFamily: FONT, formatter: bytes },
        }),
        tooltip: tooltipOptions({
            trigger: "axis",
            formatter: (points) => tooltip([
                points[0].axisValue + " tokens",
                ...points.filter((point) => point.value !== undefined).map((point) => point.seriesName + ": " + bytes(point.value)),
            ]),
        }),
        series: series.map((line, i) => ({
            name: line.name,
            type: "line",
            color: lineColor(i),
            symbol: SYMBOLS[i % SYMBOLS.length],
            symbolSize: 8,
            lineStyle: { width: 2, type: ["solid", "dashed", "dotted"][Math.floor(i / 3) % 3] },
            data: lengths.map((length) => (line.points.find((point) => point.seq === length) || {}).bytes),
        })),
    };
}
