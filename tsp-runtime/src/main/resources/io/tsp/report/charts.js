// ECharts in the page's colours. The palette is Okabe and Ito's, which colour-blind people can tell apart.

const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c"];

/** For lines: where paper is dark, the dark blue changes places with the light one. */
function lineColor(index) {
    const i = index % OKABE_ITO.length;
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches && !document.documentElement.classList.contains("printing");
    return OKABE_ITO[isDark && i % 4 === 0 ? 4 - i : i];
}

const CLASS_COLORS = {
    parameters: "#0072b2",
    gradients: "#e69f00",
    optimizer: "#009e73",
    saved: "#cc79a7",
    transient: "#56b4e9",
    communication: "#d55e00",
    kvCache: "#f0e442",
    host: "#8c8c8c",
};

const SYMBOLS = ["circle", "rect", "triangle", "diamond", "emptyCircle", "emptyRect", "emptyTriangle", "emptyDiamond"];

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

const redraws = [];

function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

/** An axis in the page's colours. */
function axis(options) {
    return {
        axisLine: { lineStyle: { color: color("line") } },
        axisTick: { show: false },
        axisLabel: { color: color("quiet"), fontFamily: FONT, hideOverlap: true },
        splitLine: { show: options.type !== "category", lineStyle: { color: color("line") } },
        nameTextStyle: { color: color("quiet"), fontFamily: FONT },
        nameGap: 26,
        nameLocation: "middle",
        ...options,
    };
}

function legend(options) {
    return { top: 0, left: 0, itemGap: 16, type: "plain", textStyle: { color: color("ink"), fontFamily: FONT }, ...options };
}

/** Text in a tooltip; ECharts would take it as markup. */
function tooltip(lines) {
    return element("div", {}, ...lines.map((line) => element("div", {}, line)));
}

function tooltipOptions(options) {
    return {
        confine: true,
        backgroundColor: color("paper"),
        borderColor: color("line"),
        textStyle: { color: color("ink"), fontFamily: FONT, fontSize: 13 },
        ...options,
    };
}

/** Adds a chart to the page and draws it again when colours or widths change. */
function chart(name, title, sentence, data, height, options) {
    const canvas = element("div", { class: "chart", role: "img", "aria-label": title + ". " + sentence });
    const made = figure(name, title, sentence, data, canvas);
    redraws.push({ prepare: () => prepareChart(made, canvas, height, options) });
    return made;
}

function prepareChart(made, canvas, height, options) {
    const narrow = canvas.clientWidth < 560;
    canvas.style.height = (typeof height === "function" ? height(narrow) : height) + "px";
    const old = echarts.getInstanceByDom(canvas);
    if (old) {
        old.dispose();
    }
    const drawn = echarts.init(canvas, null, { devicePixelRatio: Math.max(2, window.devicePixelRatio || 1) });
    drawn.on("finished", () => made.setAttribute("data-rendered", "true"));
    drawn.setOption({ animation: false, textStyle: { fontFamily: FONT }, ...options(narrow) });
}

function redraw() {
    redraws.forEach((figure) => figure.prepare());
}
