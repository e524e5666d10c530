// The page from above down.

for (const draw of [
    drawHeading,
    drawComparisons,
    drawSequences,
    drawPlans,
    drawPredictions,
    drawTimelines,
    drawTrainings,
    drawFooter,
]) {
    try {
        draw();
    } catch (error) {
        // The other figures are worth something without this one.
        main.append(element("p", { class: "notice" }, "A figure is missing here, which is an error of tsp report: " + error.message));
        console.error(error);
    }
}
redraw();

// Of no height, so that it changes with the page's width alone, which drawing does not change.
const ruler = element("div");
main.append(ruler);
let width = ruler.clientWidth;
new ResizeObserver(() => {
    if (ruler.clientWidth !== width) {
        width = ruler.clientWidth;
        redraw();
    }
}).observe(ruler);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
        document.documentElement.classList.toggle("printing", printing);
        redraw();
    });
}
