// Timelines: what is shown of a trace, and how people move through it. The view stands in the page's address.

const RANKS_SHOWN = 8;
const MOST_ZOOM_NANOS = 100;

class Timeline {
    constructor(trace, index) {
        this.trace = trace;
        this.index = index;
        this.canvas = element("canvas", { tabindex: "0", role: "img" });
        this.view = new TimelineView(this.canvas);
        this.view.names = trace.names;
        this.tip = element("div", { class: "tip", hidden: "" });
        this.summary = element("p", { class: "quiet" });
        this.runs = [];
        this.firstRank = 0;
    }

    figure() {
        this.made = figure(
            "timeline-" + this.index,
            "What happened when",
            "Each rank's queues of work in one step. Blue is compute, orange a transfer behind it. Stripes on a compute lane are time "
                + "that overlap did not hide: vermilion, compute waited for bytes; pink, it waited for a peer that was late.",
            () => traceJson(this.trace, this.runs),
            this.controls(),
            element("div", { class: "timeline" }, this.canvas, this.tip),
            this.legend(),
            this.summary);
        return this.made;
    }

    button(text, title, action) {
        const made = element("button", { type: "button", title, "aria-label": title }, text);
        made.addEventListener("click", action);
        return made;
    }

    controls() {
        this.runSelect = element("select", {}, ...this.trace.runs.map((run, i) => element("option", { value: i }, run.name)));
        this.runSelect.addEventListener("change", () => this.show(Number(this.runSelect.value)));
        this.rankSelect = element("select", {});
        this.rankSelect.addEventListener("change", () => {
            this.firstRank = Number(this.rankSelect.value);
            this.pickRanks();
            this.change();
        });
        this.rankLabel = element("label", {}, "ranks", this.rankSelect);
        return element(
            "div",
            { class: "controls" },
            element("label", {}, "scheme", this.runSelect),
            this.rankLabel,
            element("span", { class: "spread" }),
            element(
                "span",
                { class: "buttons" },
                this.button("←", "Earlier", () => this.pan(-0.5)),
                this.button("→", "Later", () => this.pan(0.5)),
                this.button("−", "Zoom out", () => this.zoom(2)),
                this.button("+", "Zoom in", () => this.zoom(0.5)),
                this.button("All", "Show the whole step", () => this.window(0, this.run.end))));
    }

    legend() {
        const fills = [SLICE_FILLS[0], SLICE_FILLS[1], WAIT_FILL, ...STALL_FILLS];
        const made = element("div", { class: "legend" }, ...fills.map((fill) => {
            const sample = element("canvas", { width: "44", height: "26" });
            const pen = sample.getContext("2d");
            pen.scale(2, 2);
            pen.fillStyle = striped(pen, fill);
            pen.fillRect(0, 0, 22, 13);
            return element("span", {}, sample, fill.label);
        }));
        made.append(element("span", {}, "Zoom: Ctrl and wheel, pinch, or + and − keys; drag to move."));
        return made;
    }

    async load() {
        this.runs = await readTrace(this.trace, "trace-" + this.index);
        const shared = this.runs.findIndex((run) => run.ranks.length > 1);
        this.show(Math.max(0, shared));
        this.fromAddress();
        this.prepare();
        this.listen();
    }

    show(run) {
        this.run = this.runs[run];
        this.runSelect.value = String(run);
        this.firstRank = 0;
        const pages = Math.ceil(this.run.ranks.length / RANKS_SHOWN);
        this.rankLabel.hidden = pages < 2;
        this.rankSelect.replaceChildren(...Array.from({ length: pages }, (_, page) => {
            const first = page * RANKS_SHOWN;
            const last = Math.min(first + RANKS_SHOWN, this.run.ranks.length) - 1;
            return element("option", { value: first }, this.run.ranks[first].rank + " to " + this.run.ranks[last].rank);
        }));
        this.pickRanks();
        this.window(0, this.run.end);
        this.summarize();
    }

    pickRanks() {
        this.view.ranks = this.run.ranks.slice(this.firstRank, this.firstRank + RANKS_SHOWN);
    }

    summarize() {
        const most = (member) => this.run.ranks.reduce((sum, rank) => Math.max(sum, rank[member]), 0);
        const part = (nanos) => duration(nanos) + " (" + ((100 * nanos) / this.run.end).toFixed(1) + " %)";
        this.made.setAttribute("data-exposed-nanos", most("exposed"));
        this.made.setAttribute("data-skew-nanos", most("skew"));
        this.summary.textContent = this.run.name + " took " + duration(this.run.end) + ". The rank that waited longest waited "
            + part(most("exposed")) + " for bytes and " + part(most("skew")) + " for peers.";
        this.canvas.setAttribute("aria-label", "Timeline. " + this.summary.textContent);
    }

    /** Shows this time, kept within the run. */
    window(from, to) {
        const size = Math.min(this.run.end, Math.max(MOST_ZOOM_NANOS, to - from));
        this.view.from = Math.min(Math.max(0, from), this.run.end - size);
        this.view.to = this.view.from + size;
        this.change();
    }

    zoom(factor, around) {
        const { from, to } = this.view;
        const middle = around === undefined ? (from + to) / 2 : around;
        const size = Math.min(this.run.end, Math.max(MOST_ZOOM_NANOS, (to - from) * factor));
        const start = middle - ((middle - from) * size) / (to - from);
        this.window(start, start + size);
    }

    pan(share) {
        const size = this.view.to - this.view.from;
        this.window(this.view.from + share * size, this.view.to + share * size);
    }

    change() {
        if (!this.waiting) {
            this.waiting = true;
            requestAnimationFrame(() => this.prepare());
        }
    }

    prepare() {
        this.waiting = false;
        if (!this.run) {
            return;
        }
        const begin = performance.now();
        const slices = this.view.draw();
        this.made.setAttribute("data-draw-millis", (performance.now() - begin).toFixed(1));
        this.made.setAttribute("data-slices", slices);
        this.made.setAttribute("data-view", this.run.name + " " + Math.round(this.view.from) + " " + Math.round(this.view.to));
        this.made.setAttribute("data-rendered", "true");
        clearTimeout(this.addressing);
        this.addressing = setTimeout(() => this.toAddress(), 250);
    }

    toAddress() {
        const isAll = this.view.from === 0 && this.view.to === this.run.end;
        if (isAll && location.hash === "") {
            return;
        }
        const { from, to } = this.view;
        const address = new URLSearchParams({ trace: this.index, run: this.run.name, from: Math.round(from), to: Math.round(to) });
        history.replaceState(null, "", "#" + address);
    }

    fromAddress() {
        const address = new URLSearchParams(location.hash.slice(1));
        if (address.get("trace") !== String(this.index)) {
            return;
        }
        const run = this.runs.findIndex((candidate) => candidate.name === address.get("run"));
        if (run >= 0) {
            this.show(run);
        }
        const [from, to] = [Number(address.get("from")), Number(address.get("to"))];
        if (from >= 0 && to > from && Number.isFinite(to)) {
            this.window(from, to);
        }
    }

    listen() {
        const { canvas } = this;
        window.addEventListener("hashchange", () => this.fromAddress());
        canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
        canvas.addEventListener("keydown", (event) => this.onKey(event));
        canvas.addEventListener("dblclick", (event) => this.zoom(0.5, this.view.time(event.offsetX)));
        this.pointers = new Map();
        canvas.addEventListener("pointerdown", (event) => {
            this.pointers.set(event.pointerId, event.offsetX);
            canvas.setPointerCapture(event.pointerId);
            this.point(event);
        });
        canvas.addEventListener("pointermove", (event) => this.onMove(event));
        for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
            canvas.addEventListener(name, (event) => {
                this.pointers.delete(event.pointerId);
                this.tip.hidden = this.tip.hidden || (name !== "pointerup");
            });
        }
    }

    /** A wheel alone scrolls the page until someone clicks into the timeline. */
    onWheel(event) {
        const focused = document.activeElement === this.canvas;
        if (!event.ctrlKey && !event.metaKey && !focused) {
            return;
        }
        event.preventDefault();
        if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
            this.pan((event.deltaX || event.deltaY) / 1000);
        } else {
            this.zoom(1.0018 ** event.deltaY, this.view.time(event.offsetX));
        }
    }

    onKey(event) {
        const actions = {
            "+": () => this.zoom(0.5),
            "=": () => this.zoom(0.5),
            "-": () => this.zoom(2),
            "0": () => this.window(0, this.run.end),
            ArrowLeft: () => this.pan(-0.2),
            ArrowRight: () => this.pan(0.2),
            Home: () => this.window(0, this.view.to - this.view.from),
            End: () => this.window(this.run.end, this.run.end),
        };
        if (event.key in actions && !event.ctrlKey && !event.metaKey) {
            event.preventDefault();
            actions[event.key]();
        }
    }

    onMove(event) {
        if (!this.pointers.has(event.pointerId)) {
            this.point(event);
            return;
        }
        const before = [...this.pointers.values()];
        this.pointers.set(event.pointerId, event.offsetX);
        const after = [...this.pointers.values()];
        if (after.length === 1) {
            this.pan((before[0] - after[0]) / this.view.width);
        } else {
            const middle = this.view.time((after[0] + after[1]) / 2);
            this.zoom(Math.abs(before[0] - before[1]) / Math.max(1, Math.abs(after[0] - after[1])), middle);
        }
        this.tip.hidden = true;
    }

    /** Says what is under the pointer. */
    point(event) {
        const lines = this.view.at(event.offsetX, event.offsetY);
        this.tip.hidden = lines === undefined;
        if (lines !== undefined) {
            this.tip.replaceChildren(element("b", {}, lines[0]), ...lines.slice(1).map((line) => element("div", {}, line)));
            const left = Math.min(event.offsetX + 14, this.canvas.clientWidth - this.tip.offsetWidth);
            this.tip.style.left = Math.max(0, left) + "px";
            this.tip.style.top = event.offsetY + 16 + "px";
        }
    }
}

function drawTimelines() {
    report.traces.forEach((trace, index) => {
        const timeline = new Timeline(trace, index);
        section(
            "Timeline",
            element("p", { class: "quiet" }, sourceOf(trace).name),
            timeline.figure());
        redraws.push(timeline);
        timeline.load().catch((error) => {
            timeline.summary.textContent = "This browser cannot read the timeline: " + error.message;
        });
    });
}
