// Predicted over measured, where both are given for the same scheme.

function predictions() {
    const found = [];
    const simulated = comparisons.filter(isSimulated).flatMap((comparison) => measured(comparison).map((scheme) => ({
        where: comparison,
        scheme: scheme.scheme,
        ranks: scheme.ranks,
        seconds: scheme.stepSeconds,
        bytes: scheme.plannedPeakBytes,
    })));
    const planned = plans.flatMap((plan) => plan.candidates.map((candidate) => ({
        where: { ...plan, ...candidate },
        scheme: candidate.scheme,
        ranks: candidate.ranks,
        seconds: candidate.stepSeconds,
        bytes: candidate.bytesPerRank,
    })));
    const same = (a, b) => a === undefined || b === undefined || a === b;
    for (const comparison of comparisons.filter((candidate) => !isSimulated(candidate))) {
        for (const scheme of measured(comparison)) {
            const match = [...planned, ...simulated].find((prediction) =>
                prediction.scheme === scheme.scheme
                && prediction.ranks === scheme.ranks
                && ["mode", "model", "dtype", "batch", "seq"].every((member) => same(prediction.where[member], comparison[member])));
            if (match) {
                found.push({
                    scheme: scheme.scheme,
                    ranks: scheme.ranks,
                    seq: comparison.seq,
                    mode: comparison.mode,
                    predictedSeconds: match.seconds,
                    measuredSeconds: scheme.stepSeconds,
                    stepRatio: ratio(match.seconds, scheme.stepSeconds),
                    predictedBytes: match.bytes,
                    measuredBytes: scheme.measuredPeakBytes,
                    memoryRatio: ratio(match.bytes, scheme.measuredPeakBytes),
                });
            }
        }
    }
    return found;
}

function ratio(predicted, actual) {
    return predicted === undefined || !actual ? undefined : predicted / actual;
}

function drawPredictions() {
    const found = predictions();
    if (found.length === 0) {
        return;
    }
    const several = (member) => new Set(found.map((item) => item[member])).size > 1;
    const labels = found.map((item) => item.scheme
        + (several("mode") ? " " + item.mode : "")
        + (several("seq") ? " " + item.seq.toLocaleString("en") : ""));
    section("Predicted over measured", chart(
        "prediction-0",
        "Step time and memory",
        "What was predicted, divided by what was measured. At 1 the prediction was right; above it was too high.",
        found,
        () => 120 + 46 * found.length,
        (narrow) => ({
            color: ["#0072b2", "#e69f00"],
            legend: legend({ data: ["step time", "memory"] }),
            grid: { left: 8, right: 40, top: 44, bottom: 36, containLabel: true },
            xAxis: axis({ type: "value", name: "predicted / measured", min: 0 }),
            yAxis: axis({
                type: "category",
                inverse: true,
                data: labels,
                axisLabel: { color: color("ink"), fontFamily: FONT, width: narrow ? 90 : 170, overflow: "truncate" },
            }),
            tooltip: tooltipOptions({ trigger: "axis", axisPointer: { type: "shadow" }, formatter: (points) => tooltip(predictionTip(found[points[0].dataIndex])) }),
            series: ["stepRatio", "memoryRatio"].map((member, i) => ({
                name: ["step time", "memory"][i],
                type: "bar",
                barWidth: 15,
                label: { show: true, position: "insideLeft", fontSize: 11, color: ["#ffffff", "#000000"][i], formatter: (point) => (point.value === undefined ? "" : point.value.toFixed(2)) },
                markLine: i > 0 ? undefined : {
                    silent: true,
                    symbol: "none",
                    lineStyle: { color: color("ink"), type: "dashed" },
                    label: { show: false },
                    data: [{ xAxis: 1 }],
                },
                data: found.map((item) => item[member]),
            })),
        })));
}

function predictionTip(item) {
    const lines = [item.scheme + " on " + item.ranks + ", " + item.seq + " tokens"];
    if (item.stepRatio !== undefined) {
        lines.push("step: " + duration(1e9 * item.predictedSeconds) + " predicted, " + duration(1e9 * item.measuredSeconds) + " measured");
    }
    if (item.memoryRatio !== undefined) {
        lines.push("memory: " + bytes(item.predictedBytes) + " predicted, " + bytes(item.measuredBytes) + " measured");
    }
    return lines;
}
