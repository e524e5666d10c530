// The table of a comparison: the terminal's columns, sortable, with the best of each marked.

const COLUMNS = [
    { title: "ranks", unit: "", value: (scheme) => scheme.ranks, text: (value) => String(value) },
    { title: "tokens/s", unit: "", value: (scheme) => scheme.tokensPerSecond, text: (value) => decimals(value, 0), best: Math.max },
    { title: "ratio to", unit: "", value: (scheme, unit) => scheme.tokensPerSecond / unit, text: (value) => decimals(value, 2) },
    { title: "step", unit: "ms", value: (scheme) => 1e3 * scheme.stepSeconds, text: (value) => decimals(value, 1), best: Math.min },
    { title: "planned", unit: "MiB", value: (scheme) => scheme.plannedPeakBytes, text: mebibytes, best: Math.min },
    { title: "measured", unit: "MiB", value: (scheme) => scheme.measuredPeakBytes, text: mebibytes, best: Math.min },
    { title: "sent", unit: "MiB", value: (scheme) => scheme.bytesSent, text: mebibytes, best: Math.min },
    { title: "exposed", unit: "ms", value: (scheme) => 1e3 * scheme.exposedTransferSeconds, text: (value) => decimals(value, 1), best: Math.min },
    { title: "skew", unit: "ms", value: (scheme) => 1e3 * scheme.skewSeconds, text: (value) => decimals(value, 1), best: Math.min },
    { title: "max", unit: "error", value: (scheme) => scheme.maxError, text: exponential },
];

/** As the terminal has it: 8.5e-07. */
function exponential(value) {
    return value === undefined ? "-" : value === 0 ? "0" : value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
}

/** Best values are those of schemes that share the model; the reference on one rank sends nothing and waits for nobody. */
function bestValues(schemes, unit) {
    const shares = schemes.filter((scheme) => scheme.ranks > 1);
    return COLUMNS.map((column) => {
        const values = shares.map((scheme) => column.value(scheme, unit)).filter((value) => value !== undefined);
        return column.best && shares.length > 1 && values.length > 0 ? column.best(...values) : undefined;
    });
}

function row(scheme, unit, best) {
    const made = element("tr", { "data-scheme": scheme.scheme }, element("th", { scope: "row" }, scheme.scheme));
    if (scheme.stepSeconds === undefined) {
        made.append(
            element("td", { "data-value": scheme.ranks }, String(scheme.ranks)),
            element("td", { class: "note", colspan: COLUMNS.length - 1 }, (scheme.status || "skipped") + ": " + (scheme.reason || "")));
        return made;
    }
    COLUMNS.forEach((column, i) => {
        const value = column.value(scheme, unit);
        const isBest = scheme.ranks > 1 && best[i] !== undefined && value === best[i];
        made.append(element(
            "td",
            {
                "data-column": column.title,
                "data-value": value === undefined || Number.isNaN(value) ? undefined : value,
                class: isBest ? "best" : undefined,
                title: isBest ? "best of the schemes that share the model" : undefined,
            },
            column.text(value)));
    });
    return made;
}

function sortBy(table, index) {
    const heads = [...table.tHead.rows[0].cells];
    const ascending = heads[index].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[index].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const key = (tr) => {
        const cell = tr.cells[index];
        const value = cell && cell.dataset.value;
        return index === 0 ? cell.textContent : value === undefined ? Infinity : Number(value);
    };
    const order = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
    const rows = [...table.tBodies[0].rows].sort((a, b) => (ascending ? order(a, b) : order(b, a)));
    table.tBodies[0].append(...rows);
}

function heads(reference, table) {
    const titles = [{ title: "scheme", unit: "" }, ...COLUMNS];
    return element("tr", {}, ...titles.map((column, i) => {
        const unit = column.title === "ratio to" ? reference : column.unit;
        const button = element("button", { type: "button", title: "Sort" }, column.title, element("small", {}, unit || "\u00a0"));
        button.addEventListener("click", () => sortBy(table, i));
        return element("th", { scope: "col" }, button);
    }));
}

function comparisonFigure(comparison, index) {
    const reference = comparison.schemes[0];
    const unit = reference.tokensPerSecond === undefined ? NaN : reference.tokensPerSecond;
    const best = bestValues(measured(comparison), unit);
    const table = element("table", {}, element("thead"), element("tbody"));
    table.tHead.append(heads(reference.scheme, table));
    table.tBodies[0].append(...comparison.schemes.map((scheme) => row(scheme, unit, best)));
    const { source, ...data } = comparison;
    const made = figure(
        "comparison-" + index,
        "Schemes side by side",
        "One step of each scheme on the same model and tokens. ★ marks the best of the schemes that share the model. "
            + "Memory, bytes and waits are those of the rank that has most: exposed, compute waited for bytes; skew, it waited for a peer.",
        data,
        element("div", { class: "scroll", tabindex: "0" }, table));
    made.setAttribute("data-rendered", "true");
    return made;
}

function remarks(comparison) {
    return measured(comparison)
        .filter((scheme) => scheme.reason)
        .map((scheme) => element("p", { class: "quiet" }, scheme.scheme + ": " + scheme.reason));
}

function drawComparisons() {
    comparisons.forEach((comparison, index) => {
        if (comparison.schemes.length === 0) {
            return;
        }
        const device = [comparison.device, comparison.threads ? comparison.threads + " threads" : undefined];
        section(
            modeName(comparison) + ": " + conditions(comparison),
            element("p", { class: "quiet" }, [...device, sourceOf(comparison).name].filter(Boolean).join(", ")),
            comparisonFigure(comparison, index),
            ...remarks(comparison),
            ...memoryFigure(comparison, index));
    });
}
