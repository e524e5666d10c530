// Bytes of the rank that has most, by what they are for.

function memoryClasses(items) {
    const names = new Set(items.flatMap((item) => Object.keys(item.bytesByClass || {}).filter((name) => item.bytesByClass[name] > 0)));
    const known = Object.keys(CLASS_COLORS).filter((name) => names.has(name));
    return [...known, ...[...names].filter((name) => !(name in CLASS_COLORS)).sort()];
}

function classColor(name, index) {
    return CLASS_COLORS[name] || OKABE_ITO[index % OKABE_ITO.length];
}

const MEBI = 2 ** 20;

const CANDIDATES_DRAWN = 40;

/** Stacked bars in MiB, from above down in the items' order. */
function memoryBars(items, classes, narrow, extra) {
    return {
        legend: legend({ data: [...classes.map(words), ...extra.map((series) => series.name)] }),
        grid: { left: 8, right: narrow ? 16 : 28, top: legendHeight(classes.length + extra.length, narrow), bottom: 34, containLabel: true },
        xAxis: axis({ type: "value", name: "MiB of a rank" }),
        yAxis: axis({
            type: "category",
            inverse: true,
            data: items.map((item) => item.label),
            axisLabel: { color: color("ink"), fontFamily: FONT, width: narrow ? 90 : 170, overflow: "truncate" },
        }),
        tooltip: tooltipOptions({
            trigger: "axis",
            axisPointer: { type: "shadow" },
            formatter: (points) => tooltip(memoryTip(items[points[0].dataIndex], classes)),
        }),
        series: [
            ...classes.map((name, i) => ({
                name: words(name),
                type: "bar",
                stack: "classes",
                barWidth: 17,
                itemStyle: { color: classColor(name, i), borderColor: color("paper"), borderWidth: 1 },
                data: items.map((item) => ((item.bytesByClass || {})[name] || 0) / MEBI),
            })),
            ...extra,
        ],
    };
}

function legendHeight(entries, narrow) {
    return narrow ? 20 + 22 * Math.ceil(entries / 3) : entries > 8 ? 56 : 38;
}

function memoryTip(item, classes) {
    const lines = [item.label];
    for (const name of classes) {
        if ((item.bytesByClass || {})[name] > 0) {
            lines.push(words(name) + ": " + bytes(item.bytesByClass[name]));
        }
    }
    if (item.plannedPeakBytes !== undefined) {
        lines.push("planned: " + bytes(item.plannedPeakBytes), "measured: " + bytes(item.measuredPeakBytes));
    }
    return lines;
}

/** The plan as an outline behind, what was measured as a line through the bar. */
function outlines(items) {
    return [
        {
            name: "planned",
            type: "bar",
            barGap: "-100%",
            barWidth: 17,
            z: 3,
            silent: true,
            itemStyle: { color: "transparent", borderColor: color("ink"), borderWidth: 1 },
            data: items.map((item) => item.plannedPeakBytes / MEBI),
        },
        {
            name: "measured",
            type: "scatter",
            z: 4,
            symbol: "rect",
            symbolSize: [3, 25],
            itemStyle: { color: color("ink") },
            data: items.map((item) => item.measuredPeakBytes / MEBI),
        },
    ];
}

function memoryFigure(comparison, index) {
    const schemes = measured(comparison).filter((scheme) => scheme.bytesByClass !== undefined);
    if (schemes.length === 0) {
        return [];
    }
    const items = schemes.map((scheme) => ({ ...scheme, label: scheme.scheme }));
    const classes = memoryClasses(items);
    const data = schemes.map(({ scheme, ranks, bytesByClass, plannedPeakBytes, measuredPeakBytes }) =>
        ({ scheme, ranks, bytesByClass, plannedPeakBytes, measuredPeakBytes }));
    return [chart(
        "memory-" + index,
        "Where the memory goes",
        "Bytes that the rank with most reserves, by what they are for. The outline is the plan's peak, the black mark what "
            + "the run wrote; the mark stands at the outline's end when the plan was right.",
        data,
        (narrow) => 70 + legendHeight(classes.length + 2, narrow) + 34 * items.length,
        (narrow) => memoryBars(items, classes, narrow, outlines(items)))];
}

/** What plans say of memory: candidates of each plan. */
function drawPlans() {
    plans.forEach((plan, index) => {
        if (plan.candidates.length === 0) {
            return;
        }
        const items = plan.candidates
            .map((candidate, i) => ({ ...candidate, label: candidateLabel(plan, candidate, i) }))
            .filter((candidate) => candidate.bytesByClass !== undefined)
            .slice(0, CANDIDATES_DRAWN);
        const classes = memoryClasses(items);
        const made = section(
            ["Plan", modeName(plan).toLowerCase(), conditions(plan)].filter(Boolean).join(", "),
            element("p", { class: "quiet" }, [plan.device, sourceOf(plan).name].filter(Boolean).join(", ")),
            planFigure(plan, index));
        if (items.length > 0) {
            made.append(chart(
                "plan-memory-" + index,
                "Planned memory",
                "Bytes of a rank by what they are for, as the plan has them. ★ is what the plan recommends."
                    + (items.length < plan.candidates.length ? " These are the first " + items.length + " that have them." : ""),
                items.map(({ label, ...item }) => item),
                (narrow) => 70 + legendHeight(classes.length, narrow) + 34 * items.length,
                (narrow) => memoryBars(items, classes, narrow, [])));
        }
    });
}

/** A scheme, with what else tells the candidates of a plan apart. */
function candidateLabel(plan, candidate, index) {
    const parts = ["degree", "recompute", "seq"]
        .filter((name) => new Set(plan.candidates.map((other) => other[name])).size > 1 && candidate[name] !== undefined)
        .map((name) => name === "degree" ? "x" + candidate.degree
            : name === "seq" ? candidate.seq.toLocaleString("en") : candidate[name]);
    return [candidate.scheme, ...parts].join(" ") + (index === plan.recommended ? " ★" : "");
}

/** A plan as a table. */
function planFigure(plan, index) {
    const columns = [
        ["ranks", (item) => item.ranks, String],
        ["dp", (item) => item.dp, (value) => (value === undefined ? "-" : String(value))],
        ["MiB of a rank", (item) => item.bytesPerRank, mebibytes],
        ["step ms", (item) => (item.stepSeconds === undefined ? undefined : 1e3 * item.stepSeconds), (value) => decimals(value, 1)],
        ["tokens/s", (item) => item.tokensPerSecond, (value) => decimals(value, 0)],
        ["exposed ms", (item) => (item.exposedTransferSeconds === undefined ? undefined : 1e3 * item.exposedTransferSeconds), (value) => decimals(value, 1)],
        ["fits", (item) => item.fits, (value) => (value === undefined ? "-" : value ? "yes" : "no")],
    ];
    const head = element("tr", {}, ...["scheme", ...columns.map((column) => column[0])].map((title) =>
        element("th", { scope: "col" }, element("button", { type: "button" }, title))));
    const table = element("table", {}, element("thead", {}, head), element("tbody"));
    [...head.cells].forEach((cell, i) => cell.firstChild.addEventListener("click", () => sortBy(table, i)));
    plan.candidates.forEach((item, i) => {
        const best = i === plan.recommended;
        table.tBodies[0].append(element(
            "tr",
            {},
            element("th", { scope: "row" }, candidateLabel(plan, item, i)),
            ...columns.map(([, value, text]) => element(
                "td",
                { "data-value": value(item), style: best ? "font-weight: 700" : undefined },
                text(value(item))))));
    });
    const { source, ...data } = plan;
    const made = figure(
        "plan-" + index,
        "Candidates",
        "What the planner expects of each way to share the model. ★ is what it recommends.",
        data,
        element("div", { class: "scroll", tabindex: "0" }, table));
    made.setAttribute("data-rendered", "true");
    return made;
}
