// What this page is about.

function facts(pairs) {
    const list = element("dl", { class: "facts" });
    for (const [name, value] of pairs) {
        if (value !== undefined && value !== "") {
            list.append(element("div", {}, element("dt", {}, name), element("dd", {}, String(value))));
        }
    }
    return list;
}

/** The value that all documents share, or all of theirs. */
function shared(documents, member) {
    const values = [...new Set(documents.map((document) => document[member]).filter((value) => value !== undefined))];
    values.sort((a, b) => (a < b ? -1 : 1));
    return values.join(", ");
}

function simulationNotice(documents) {
    const profiles = new Set(documents.filter(isSimulated).map((document) => {
        const name = document.profile || document.device.slice(SIMULATED.length);
        return name + (document.profileHash ? " (hash " + document.profileHash + ")" : "") + ": times of " + document.device;
    }));
    return [...profiles].map((profile) => element(
        "p",
        { class: "notice" },
        "Simulated with profile " + profile + " follow from what the profile says of the hardware; none of them was measured."));
}

function drawHeading() {
    const documents = [...comparisons, ...plans];
    const models = shared(documents, "model");
    const title = models || (report.trainings.length > 0 ? "Training" : "Timeline");
    const dates = [...new Set(report.sources.map((source) => source.date.slice(0, 10)))].sort();
    document.title = "TSP report: " + title;
    main.append(
        element("p", { class: "quiet" }, "TSP report, " + (dates.length > 1 ? dates[0] + " to " : "") + dates[dates.length - 1]),
        element("h1", {}, title),
        ...simulationNotice(documents),
        facts([
            ["mode", shared(documents, "mode")],
            ["dtype", shared(documents, "dtype")],
            ["batch", shared(documents, "batch")],
            ["sequence", shared(documents, "seq")],
            ["device", shared(documents, "device")],
            ["CPU threads", shared(documents, "threads")],
        ]));
}

function drawFooter() {
    const list = report.sources.map((source) => source.name + " of " + source.date.slice(0, 16).replace("T", " ") + " UTC");
    main.append(element("footer", {}, "Made by tsp report from " + list.join("; ") + ". This file holds everything it shows."));
}
