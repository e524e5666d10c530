// Curves of training runs, one figure for each quantity, all runs in it.

const CURVES = [
    { members: ["loss", "evaluationLoss"], title: "Loss", sentence: "Mean loss of each step's tokens in nats, before the update; marks are the loss on held-out text." },
    { members: ["gradNorm"], title: "Gradient norm", sentence: "Norm of all gradients together, before clipping.", type: "log" },
    { members: ["learningRate"], title: "Learning rate", sentence: "What the schedule gave each step." },
    { members: ["tokensPerSecond"], title: "Tokens per second", sentence: "Tokens of a step over its time." },
];

function curveSeries(runs, curve) {
    return runs.flatMap((run, i) => curve.members.map((member, j) => ({
        name: (runs.length > 1 ? run.name + " " : "") + (member === "evaluationLoss" ? "held out" : words(member)),
        type: "line",
        showSymbol: j > 0,
        symbol: SYMBOLS[(i + j) % SYMBOLS.length],
        symbolSize: 9,
        sampling: j > 0 ? undefined : "lttb",
        lineStyle: { width: 2, type: j > 0 ? "dashed" : "solid" },
        color: lineColor(2 * i + j),
        data: run.steps.filter((step) => step[member] !== undefined).map((step) => [step.step, step[member]]),
    }))).filter((series) => series.data.length > 0);
}

function drawTrainings() {
    const runs = report.trainings.map((document) => ({ name: sourceOf(document).name, steps: document.objects }));
    if (runs.length === 0) {
        return;
    }
    const made = section("Training", ...runs.map(runSummary));
    CURVES.forEach((curve) => {
        const count = curveSeries(runs, curve).length;
        if (count === 0) {
            return;
        }
        const data = runs.map((run) => ({
            run: run.name,
            steps: run.steps.map((step) => Object.fromEntries(["step", ...curve.members]
                .filter((member) => step[member] !== undefined)
                .map((member) => [member, step[member]]))),
        }));
        made.append(chart(
            "training-" + curve.members[0],
            curve.title,
            curve.sentence,
            data,
            () => 300,
            (narrow) => curveOptions(curveSeries(runs, curve), curve, narrow)));
    });
}

function runSummary(run) {
    const last = run.steps[run.steps.length - 1];
    const peak = run.steps.reduce((most, step) => Math.max(most, step.peakBytes || 0), 0);
    return element(
        "p",
        { class: "quiet" },
        run.name + ": " + run.steps.length.toLocaleString("en") + " steps, the last is " + last.step
            + (last.loss === undefined ? "" : " with a loss of " + last.loss.toFixed(4))
            + (peak > 0 ? "; " + bytes(peak) + " for the rank that has most" : "") + ".");
}

function curveOptions(series, curve, narrow) {
    return {
        legend: series.length > 1 ? legend({ data: series.map((line) => line.name) }) : undefined,
        grid: { left: 8, right: 24, top: series.length > 1 ? legendHeight(series.length, narrow) : 14, bottom: 36, containLabel: true },
        xAxis: axis({ type: "value", name: "step", min: "dataMin", max: "dataMax", splitLine: { show: false } }),
        yAxis: axis({
            type: curve.type || "value",
            scale: true,
            axisLabel: { color: color("quiet"), fontFamily: FONT, formatter: short },
        }),
        tooltip: tooltipOptions({
            trigger: "axis",
            formatter: (points) => tooltip([
                "step " + points[0].value[0],
                ...points.map((point) => point.seriesName + ": " + Number(point.value[1].toPrecision(6))),
            ]),
        }),
        series,
    };
}
