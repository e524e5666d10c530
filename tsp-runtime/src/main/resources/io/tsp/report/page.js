// What all sections share: the data, elements, numbers as text, and what can be saved.

const report = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("report");

/** An element with attributes and children; text never becomes markup. */
function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
        if (value !== undefined && value !== false) {
            made.setAttribute(key, value);
        }
    }
    made.append(...children.filter((child) => child !== undefined && child !== ""));
    return made;
}

function sourceOf(document) {
    return report.sources[document.source];
}

/** As the terminal's tables have it: 0 is "0", and what is not known is "-". */
function decimals(value, digits) {
    if (value === undefined || Number.isNaN(value)) {
        return "-";
    }
    return value === 0 ? "0" : value.toFixed(digits);
}

function mebibytes(bytes) {
    return decimals(bytes === undefined ? bytes : bytes / 2 ** 20, 1);
}

/** Bytes for people. */
function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    let rest = value;
    while (rest >= 1024 && unit < units.length - 1) {
        rest /= 1024;
        unit++;
    }
    return short(rest) + " " + units[unit];
}

/** Three digits that count. */
function short(value) {
    if (value === 0) {
        return "0";
    }
    const size = Math.abs(value);
    if (size >= 1e6 || size < 1e-3) {
        return value.toExponential(1);
    }
    return Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });
}

/** Nanoseconds for people. */
function duration(nanos) {
    const size = Math.abs(nanos);
    if (size >= 1e9) {
        return (nanos / 1e9).toFixed(3) + " s";
    }
    if (size >= 1e6) {
        return (nanos / 1e6).toFixed(3) + " ms";
    }
    return size >= 1e3 ? (nanos / 1e3).toFixed(2) + " µs" : nanos.toFixed(0) + " ns";
}

/** Names of memory classes as the terminal has them. */
function words(name) {
    return name === "communication" ? "exchange" : name.replace(/([A-Z])/g, " $1").toLowerCase();
}

/** A link that saves data: at once if the data is small, so that it stands in the page; else when it is clicked. */
function jsonLink(name, data) {
    const link = element("a", { class: "json", download: name + ".json", href: "#", title: "Save this figure's data" }, "JSON");
    if (typeof data === "function") {
        link.addEventListener("click", () => {
            link.href = URL.createObjectURL(new Blob([JSON.stringify(data())], { type: "application/json" }));
            setTimeout(() => URL.revokeObjectURL(link.href), 60000);
        });
    } else {
        link.href = "data:application/json;charset=utf-8," + encodeURIComponent(JSON.stringify(data));
    }
    return link;
}

/** A figure: what it shows in a sentence, a link to its data, and its content. */
function figure(name, title, sentence, data, ...content) {
    const caption = element(
        "figcaption",
        {},
        element("div", {}, element("h3", {}, title), element("p", {}, sentence)),
        jsonLink(name, data));
    return element("figure", { id: name, "data-figure": name }, caption, ...content);
}

function section(title, ...content) {
    const made = element("section", {}, element("h2", {}, title), ...content);
    main.append(made);
    return made;
}

/** What a comparison or plan was made under, in a line. */
function conditions(document) {
    const tokens = document.seq === undefined ? undefined : document.seq.toLocaleString("en") + " tokens";
    const batch = document.batch === undefined ? undefined : tokens ? document.batch + " x " + tokens : "batch of " + document.batch;
    return [document.model, document.dtype, batch || tokens].filter(Boolean).join(", ");
}

function modeName(document) {
    return { forward: "Forward pass", train: "Training step" }[document.mode] || document.mode || "";
}

const SIMULATED = "sim:";

function isSimulated(document) {
    return (document.device || "").startsWith(SIMULATED);
}

/** Schemes that were run; the others have no numbers. */
function measured(comparison) {
    return comparison.schemes.filter((scheme) => scheme.stepSeconds !== undefined);
}

const comparisons = report.comparisons.map((document) => ({ source: document.source, ...document.objects[0] }));
const plans = report.plans.map((document) => ({ source: document.source, ...document.objects[0] }));
